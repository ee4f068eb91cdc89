// Snapshots from anywhere: the container, and the state of each device. The first byte of the input says whose.
// Invariants: what is refused leaves the device as after a reset; what is accepted can be saved and restored again,
// and the device then runs on it.
#include "devices/serial.hpp"
#include "devices/virtio/mmio_transport.hpp"
#include "fuzz_input.hpp"
#include "state/snapshot.hpp"
#include "virtio_devices.hpp"

#include <array>

namespace {

using namespace pyro::devices;
using pyro::base::ByteView;

// In the order of the first byte.
constexpr std::array kDevices{test::Kind::rng,     test::Kind::net,     test::Kind::pmem,
                              test::Kind::balloon, test::Kind::overlay, test::Kind::console};

void check_container(ByteView bytes) {
  const auto reader = pyro::state::SnapshotReader::parse(bytes);
  if (!reader.ok()) {
    return;
  }
  pyro::state::SnapshotWriter writer;
  for (const auto& section : reader->sections()) {
    test::require(writer.add(section.id, section.version, section.payload).ok());
  }
  test::require(std::ranges::equal(std::move(writer).finish(), bytes));
}

void check_serial(ByteView bytes) {
  test::FakeIrq irq;
  Serial serial(irq, [](ByteView) {});
  if (serial.restore(bytes).ok()) {
    test::require(std::ranges::equal(serial.save(), bytes));
  }
}

void check_device(test::Kind kind, ByteView bytes) {
  const auto& memory = test::fresh_memory();
  test::FakeIrq irq;
  // A host that takes all there is.
  test::ConsolePeer peer{SIZE_MAX, true};
  // States of a larger disk are in the corpus.
  auto device = kind == test::Kind::overlay ? std::make_unique<virtio::Block>(test::make_overlay(1 << 20), "serial")
                                            : test::make_device(kind, memory, peer);
  virtio::MmioTransport transport(memory, irq, std::move(device), {});
  test::FakeDriver driver(memory, transport);
  if (!transport.restore(bytes).ok()) {
    test::require(driver.status() == 0);
    return;
  }
  const auto saved = transport.save();
  test::require(transport.restore(saved).ok());
  test::require(transport.save() == saved);
  transport.kick_all();
  test::require(driver.start(~std::uint64_t{0}, 8));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const ByteView bytes = std::as_bytes(std::span(data, size)).subspan(1);
  const int kind = data[0] % 8;
  if (kind == 7) {
    check_container(bytes);
  } else if (kind == 6) {
    check_serial(bytes);
  } else {
    check_device(kDevices[static_cast<std::size_t>(kind)], bytes);
  }
  return 0;
}
