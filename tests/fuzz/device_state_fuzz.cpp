// Snapshots from anywhere: the container, and the state of each device. The first byte of the input says whose.
// Invariants: what is refused leaves the device as after a reset; what is accepted can be saved and restored again,
// and the device then runs on it.
#include "devices/overlay_disk.hpp"
#include "devices/serial.hpp"
#include "devices/virtio/balloon.hpp"
#include "devices/virtio/block.hpp"
#include "devices/virtio/console.hpp"
#include "devices/virtio/mmio_transport.hpp"
#include "devices/virtio/net.hpp"
#include "devices/virtio/pmem.hpp"
#include "devices/virtio/rng.hpp"
#include "fuzz_input.hpp"
#include "state/snapshot.hpp"

#include <unistd.h>

namespace {

using namespace pyro::devices;
using pyro::base::ByteView;

std::unique_ptr<BlockBackend> make_disk() {
  auto base = pyro::base::make_memfd("base");
  auto delta = pyro::base::make_memfd("delta");
  test::require(base.ok() && delta.ok() && ::ftruncate(base->get(), 1 << 20) == 0);
  auto disk = OverlayDisk::create(std::move(*base), std::move(*delta), OverlayDisk::Durability::none);
  test::require(disk.ok());
  return std::move(*disk);
}

std::unique_ptr<virtio::Device> make_device(int kind, const pyro::memory::GuestMemory& memory) {
  switch (kind) {
    case 0:
      return std::make_unique<virtio::Rng>();
    case 1:
      return std::make_unique<virtio::Net>(virtio::MacAddress{2});
    case 2:
      return std::make_unique<virtio::Pmem>(pyro::memory::Range{0x100000000, 0x200000});
    case 3:
      return std::make_unique<virtio::Balloon>(memory);
    case 4:
      return std::make_unique<virtio::Block>(make_disk(), "serial");
    default:
      return std::make_unique<virtio::Console>(
          "pyro.agent", virtio::ConsoleHost{[](ByteView bytes) { return bytes.size(); }, [] {}, {}});
  }
}

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

void check_device(int kind, ByteView bytes) {
  const auto& memory = test::fresh_memory();
  test::FakeIrq irq;
  virtio::MmioTransport transport(memory, irq, make_device(kind, memory), {});
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
    check_device(kind, bytes);
  }
  return 0;
}
