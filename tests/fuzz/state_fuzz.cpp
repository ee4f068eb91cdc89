// The records of the environment store, as another program, a disk or a bundle may have left them.
// Invariants: a manifest that decodes is canonical (its digest is the environment's identity); every record that
// decodes survives being written and read again.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "state/environment.hpp"

namespace {

using namespace pyro::state;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

template <typename Record>
void check_round_trip(std::string_view text) {
  const auto record = Record::decode(text);
  if (record.ok()) {
    const auto again = Record::decode(record->encode());
    require(again.ok() && again->encode() == record->encode());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto manifest = Manifest::decode(text); manifest.ok()) {
    require(manifest->encode() == text);
  }
  check_round_trip<NameRecord>(text);
  check_round_trip<Stamp>(text);
  if (check_environment_name(text).ok()) {
    require(text.find('/') == std::string_view::npos && !text.starts_with('.'));
  }
  return 0;
}
