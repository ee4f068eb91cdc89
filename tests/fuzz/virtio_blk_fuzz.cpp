// Block requests from a driver that writes what it likes into its rings and requests.
// Invariants: the backend is only asked for whole sectors inside the disk, and only for guest memory.
#include "devices/virtio/block.hpp"
#include "devices/virtio/mmio_transport.hpp"
#include "fuzz_input.hpp"

#include <algorithm>

namespace {

using namespace pyro::devices;

constexpr std::uint64_t kDiskBytes = 64 * 512;

class CheckingDisk final : public BlockBackend {
 public:
  explicit CheckingDisk(const pyro::memory::GuestMemory& memory, bool read_only)
      : memory_(memory), read_only_(read_only) {}
  std::uint64_t size_bytes() const noexcept override { return kDiskBytes; }
  bool read_only() const noexcept override { return read_only_; }
  int read(std::uint64_t offset, std::span<iovec> pieces) noexcept override { return check(offset, pieces); }
  int write(std::uint64_t offset, std::span<iovec> pieces) noexcept override {
    test::require(!read_only_);
    return check(offset, pieces);
  }
  int flush() noexcept override { return 0; }
  int discard(std::uint64_t offset, std::uint64_t length) noexcept override {
    test::require(!read_only_);
    return check(offset, length);
  }
  int write_zeroes(std::uint64_t offset, std::uint64_t length) noexcept override { return discard(offset, length); }

 private:
  static int check(std::uint64_t offset, std::uint64_t length) {
    test::require(offset % 512 == 0 && length % 512 == 0 && offset <= kDiskBytes && length <= kDiskBytes - offset);
    return static_cast<int>(offset / 512 % 5 == 4);  // some fail
  }
  int check(std::uint64_t offset, std::span<const iovec> pieces) {
    const pyro::memory::Region& ram = memory_.regions()[0];
    std::uint64_t length = 0;
    for (const iovec& piece : pieces) {
      const auto* begin = static_cast<const std::byte*>(piece.iov_base);
      test::require(begin >= ram.host && begin + piece.iov_len <= ram.host + ram.size_bytes);
      length += piece.iov_len;
    }
    return check(offset, length);
  }
  const pyro::memory::GuestMemory& memory_;
  bool read_only_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  test::Input input(data, size);
  const auto& memory = test::fresh_memory();
  test::FakeIrq irq;
  auto disk = std::make_unique<CheckingDisk>(memory, input.take<std::uint8_t>() % 2 == 1);
  virtio::MmioTransport transport(memory, irq, std::make_unique<virtio::Block>(std::move(disk), "serial"), {});
  test::FakeDriver driver(memory, transport);
  test::require(driver.start(~std::uint64_t{0}, 8));
  const std::uint64_t header = test::kFuzzedGpa + 0x1000;
  while (!input.empty()) {
    const std::uint8_t action = input.take<std::uint8_t>();
    if (action % 4 != 0) {
      test::scribble(input, memory);
      continue;
    }
    // A request that is sound in form, so that its content gets somewhere.
    driver.poke(header, std::uint32_t{input.take<std::uint8_t>()});
    driver.poke(header + 8, std::uint64_t{input.take<std::uint16_t>()});
    const bool writable = (action & 4) != 0;
    const std::uint32_t length = input.take<std::uint16_t>();
    driver.add(0, {{header, 16}, {header + 16, std::max(length, 1U), writable}, {header + 0x2000, 1, true}});
    driver.kick(0);
    if (driver.broken()) {
      test::require(driver.start(~std::uint64_t{0}, 8));
    }
  }
  return 0;
}
