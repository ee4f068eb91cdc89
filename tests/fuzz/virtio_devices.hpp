// Every virtio device, small, with a host's end that checks what it is asked for. For targets that drive all of them.
#pragma once

#include "devices/overlay_disk.hpp"
#include "devices/virtio/balloon.hpp"
#include "devices/virtio/block.hpp"
#include "devices/virtio/console.hpp"
#include "devices/virtio/net.hpp"
#include "devices/virtio/pmem.hpp"
#include "devices/virtio/rng.hpp"
#include "fuzz_input.hpp"

#include <sys/mman.h>
#include <unistd.h>

namespace pyro::devices::test {

// What the guest has: one region that a fuzzer finds its way around in, and the image, which can be read only.
inline constexpr memory::Range kSmallRam{kFuzzedGpa, 0x10000};
inline constexpr memory::Range kImage{0x100000000, 0x200000};

/// One memory for all inputs. It is not cleaned.
inline const memory::GuestMemory& small_memory() {
  static const memory::GuestMemory memory = [] {
    void* image = ::mmap(nullptr, kImage.size_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    require(image != MAP_FAILED);
    const memory::ReadOnlyRegion rom{kImage.gpa, kImage.size_bytes, static_cast<const std::byte*>(image)};
    auto made = memory::GuestMemory::create({&kSmallRam, 1}, memory::GuestMemory::Backing::anonymous, {&rom, 1});
    require(made.ok());
    return std::move(*made);
  }();
  return memory;
}

/// Sectors in memory; asked for whole sectors inside the disk, to and from guest memory.
class SmallDisk final : public BlockBackend {
 public:
  SmallDisk(const memory::GuestMemory& memory, bool read_only) : memory_(memory), read_only_(read_only) {}
  std::uint64_t size_bytes() const noexcept override { return bytes_.size(); }
  bool read_only() const noexcept override { return read_only_; }
  int read(std::uint64_t offset, std::span<iovec> pieces) noexcept override {
    for (const iovec& piece : pieces) {
      const auto* to = static_cast<std::byte*>(piece.iov_base);
      const memory::Region& ram = memory_.regions()[0];
      require(to >= ram.host && to + piece.iov_len <= ram.host + ram.size_bytes);
      std::memcpy(piece.iov_base, take(offset, piece.iov_len), piece.iov_len);
    }
    require(offset % kSectorBytes == 0);
    return 0;
  }
  int write(std::uint64_t offset, std::span<iovec> pieces) noexcept override {
    require(!read_only_);
    for (const iovec& piece : pieces) {
      std::memcpy(take(offset, piece.iov_len), piece.iov_base, piece.iov_len);
    }
    require(offset % kSectorBytes == 0);
    return 0;
  }
  int flush() noexcept override { return 0; }
  int discard(std::uint64_t offset, std::uint64_t length) noexcept override {
    require(!read_only_ && offset % kSectorBytes == 0 && length % kSectorBytes == 0);
    std::memset(take(offset, length), 0, length);
    return 0;
  }
  int write_zeroes(std::uint64_t offset, std::uint64_t length) noexcept override { return discard(offset, length); }

 private:
  std::byte* take(std::uint64_t& offset, std::uint64_t length) {
    require(offset <= bytes_.size() && length <= bytes_.size() - offset);
    std::byte* at = bytes_.data() + offset;
    offset += length;
    return at;
  }
  const memory::GuestMemory& memory_;
  bool read_only_;
  std::array<std::byte, 64 * kSectorBytes> bytes_{};
};

/// A shared file with data and a hole, below a private one.
inline std::unique_ptr<BlockBackend> make_overlay(off_t size_bytes) {
  auto base = base::make_memfd("base");
  auto delta = base::make_memfd("delta");
  require(base.ok() && delta.ok() && ::ftruncate(base->get(), size_bytes) == 0);
  require(::pwrite(base->get(), "pristine", 8, 0x3000) == 8);
  auto disk = OverlayDisk::create(std::move(*base), std::move(*delta), OverlayDisk::Durability::flush);
  require(disk.ok());
  return std::move(*disk);
}

/// The host's end of a console: takes what there is room for.
struct ConsolePeer {
  std::size_t room = 0;
  bool connected = false;
  virtio::ConsoleHost host() {
    return {[this](base::ByteView bytes) {
              require(connected && !bytes.empty());
              const std::size_t taken = std::min(room, bytes.size());
              room -= taken;
              return taken;
            },
            [this] { require(connected); },
            {}};
  }
};

enum class Kind { rng, block, console, pmem, net, balloon, overlay, read_only_block };
inline constexpr int kKinds = 8;

inline std::unique_ptr<virtio::Device> make_device(Kind kind, const memory::GuestMemory& memory, ConsolePeer& peer) {
  switch (kind) {
    case Kind::block:
    case Kind::read_only_block:
      return std::make_unique<virtio::Block>(std::make_unique<SmallDisk>(memory, kind == Kind::read_only_block),
                                             "disk");
    case Kind::overlay:
      return std::make_unique<virtio::Block>(make_overlay(1 << 16), "overlay");
    case Kind::console:
      return std::make_unique<virtio::Console>("pyro.agent", peer.host());
    case Kind::pmem:
      return std::make_unique<virtio::Pmem>(kImage);
    case Kind::net:
      return std::make_unique<virtio::Net>(virtio::MacAddress{2});
    case Kind::balloon:
      return std::make_unique<virtio::Balloon>(memory);
    default:
      return std::make_unique<virtio::Rng>();
  }
}

}  // namespace pyro::devices::test
