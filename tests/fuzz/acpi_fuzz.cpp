// ACPI tables for any number of processors and any devices.
// Invariant: an error, or tables that lie one behind the other in their range, each with its length and checksum right.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <numeric>

#include "vmm/acpi.hpp"
#include "vmm/layout.hpp"

namespace {

using namespace pyro;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

template <typename T>
T take(const std::uint8_t*& data, std::size_t& size) {
  T value{};
  const std::size_t taken = std::min(sizeof(T), size);
  if (taken > 0) {
    std::memcpy(&value, data, taken);
  }
  data += taken;
  size -= taken;
  return value;
}

std::uint8_t sum(const std::string& bytes, std::size_t length) {
  return std::accumulate(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length), std::uint8_t{0},
                         [](std::uint8_t total, char byte) { return static_cast<std::uint8_t>(total + byte); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto vcpus = take<std::uint16_t>(data, size);
  std::vector<vmm::VirtioSlot> slots;
  while (size > 0 && slots.size() < 1000) {
    slots.push_back({take<std::uint64_t>(data, size), take<std::uint32_t>(data, size)});
  }
  const auto tables = vmm::make_acpi_tables(vcpus, slots);
  if (!tables.ok()) {
    return 0;
  }
  std::uint64_t end_gpa = vmm::layout::kAcpiGpa;
  require(!tables->empty() && tables->front().bytes.substr(0, 8) == "RSD PTR ");
  for (const vmm::AcpiTable& table : *tables) {
    require(table.gpa >= end_gpa);
    end_gpa = table.gpa + table.bytes.size();
    if (&table == &tables->front()) {
      require(sum(table.bytes, 20) == 0 && sum(table.bytes, table.bytes.size()) == 0);
      continue;
    }
    std::uint32_t length = 0;
    require(table.bytes.size() >= 36);
    std::memcpy(&length, table.bytes.data() + 4, sizeof(length));
    require(length == table.bytes.size() && sum(table.bytes, length) == 0);
  }
  require(end_gpa <= vmm::layout::kAcpiGpa + vmm::layout::kAcpiMaxBytes);
  return 0;
}
