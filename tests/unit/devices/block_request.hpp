// A block request as a driver makes it.
#pragma once

#include "fake_driver.hpp"

namespace pyro::devices::test {

/// Where header and status are; what lies from kRequestDataGpa on is for data.
inline constexpr std::uint64_t kRequestGpa = 0x200000;
inline constexpr std::uint64_t kRequestStatusGpa = 0x200100;
inline constexpr std::uint64_t kRequestDataGpa = 0x210000;

/// Puts it into the first queue and rings.
inline void ring_request(FakeDriver& driver, std::uint32_t type, std::uint64_t sector, std::vector<Piece> data) {
  driver.poke(kRequestGpa, type);
  driver.poke(kRequestGpa + 8, sector);
  driver.poke(kRequestStatusGpa, std::uint8_t{99});
  data.insert(data.begin(), {kRequestGpa, 16, false});
  data.push_back({kRequestStatusGpa, 1, true});
  driver.add(0, data);
  driver.kick(0);
}

}  // namespace pyro::devices::test
