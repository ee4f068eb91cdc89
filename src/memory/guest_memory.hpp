// The guest's RAM, and the only door to it: every address and size that a guest gave is checked here.
// The guest changes its memory while we read it. So a value that decides something is fetched once, with load(),
// and only the copy is looked at.
// Thread rule: immutable after create(); any thread, at any time.
#pragma once

#include "base/bytes.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

namespace pyro::memory {

/// A range of guest physical addresses.
struct Range {
  std::uint64_t gpa = 0;
  std::uint64_t size_bytes = 0;
};

/// One region of RAM as a memory slot of KVM wants it. `host` and `gpa` are equal modulo 2 MiB, and so is
/// `fd_offset`, so that huge pages of the host serve as huge pages of the guest.
struct Region {
  std::uint64_t gpa = 0;
  std::uint64_t size_bytes = 0;
  std::byte* host = nullptr;
  /// The memory file and where in it the region begins; -1 and 0 for anonymous memory. Owned by the GuestMemory.
  int fd = -1;
  std::uint64_t fd_offset = 0;
};

/// Memory that the guest sees but may not write, such as the image behind virtio-pmem. A driver may name it in a
/// buffer that a device is to read (direct I/O from a mapped file). `host` is borrowed and outlives the GuestMemory.
struct ReadOnlyRegion {
  std::uint64_t gpa = 0;
  std::uint64_t size_bytes = 0;
  const std::byte* host = nullptr;
};

/// Guest RAM is never more than this: a number of the configuration that is larger is a mistake.
inline constexpr std::uint64_t kMaxMemoryBytes = std::uint64_t{1} << 40;
/// Regions: below and above the hole that ends at 4 GiB, and room for a few more.
inline constexpr std::size_t kMaxRegions = 8;

class GuestMemory {
 public:
  enum class Backing {
    /// One shared file in memory for all regions: can become a template, can be handed to another process.
    memfd,
    /// Private memory, which gets transparent huge pages wherever the host has them enabled.
    anonymous,
  };

  /// `ranges`: at least one, page-aligned, ascending, disjoint. `read_only` likewise (it may be empty), and disjoint
  /// from `ranges`. Nothing is touched yet: memory is taken from the host when the guest uses it.
  static base::Result<GuestMemory> create(std::span<const Range> ranges, Backing backing,
                                          std::span<const ReadOnlyRegion> read_only = {});

  GuestMemory(GuestMemory&& other) noexcept;
  GuestMemory& operator=(GuestMemory&& other) noexcept;
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;
  ~GuestMemory();

  /// Ascending by address.
  [[nodiscard]] std::span<const Region> regions() const noexcept { return regions_; }
  [[nodiscard]] Backing backing() const noexcept { return fd_.valid() ? Backing::memfd : Backing::anonymous; }
  [[nodiscard]] std::uint64_t size_bytes() const noexcept;

  /// The host's view of [gpa, gpa + size_bytes), if all of it lies in one region of RAM.
  [[nodiscard]] std::optional<std::span<std::byte>> slice(std::uint64_t gpa, std::uint64_t size_bytes) const noexcept;
  /// The same, for reading only: in one region of RAM or of read-only memory.
  [[nodiscard]] std::optional<base::ByteView> slice_readable(std::uint64_t gpa,
                                                             std::uint64_t size_bytes) const noexcept;

  /// Copies out of or into RAM: all of it, or nothing and false.
  [[nodiscard]] bool read(std::uint64_t gpa, std::span<std::byte> out) const noexcept;
  [[nodiscard]] bool write(std::uint64_t gpa, base::ByteView bytes) const noexcept;

  /// One value of the guest's, fetched exactly once (acquire, if it is a number at its natural alignment).
  template <typename T>
  [[nodiscard]] std::optional<T> load(std::uint64_t gpa) const noexcept;
  /// The opposite (release, under the same condition). False if it does not lie in RAM.
  template <typename T>
  [[nodiscard]] bool store(std::uint64_t gpa, T value) const noexcept;

  /// Gives whole pages inside the range back to the host; they read as zero from now on. False if the range
  /// is not in RAM or the host refuses. For pages that the guest has declared free.
  bool discard(std::uint64_t gpa, std::uint64_t size_bytes) const noexcept;

 private:
  struct Mapping {
    void* address = nullptr;
    std::size_t size_bytes = 0;
  };

  GuestMemory() = default;
  base::Status map(const Range& range, std::uint64_t fd_offset);
  void unmap() noexcept;

  std::vector<Region> regions_;
  std::vector<ReadOnlyRegion> read_only_;
  std::vector<Mapping> mappings_;
  base::Fd fd_;
};

/// Fetches a value from memory that a guest may be changing; `at` may have any alignment.
template <typename T>
[[nodiscard]] T fetch_once(const std::byte* at) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  T value{};
  if constexpr (std::is_integral_v<T>) {
    if (reinterpret_cast<std::uintptr_t>(at) % sizeof(T) == 0) {
      return __atomic_load_n(reinterpret_cast<const T*>(at), __ATOMIC_ACQUIRE);
    }
  }
  std::memcpy(&value, at, sizeof(T));
  // What was copied is what is used: the compiler may not go back to the source.
  __asm__ __volatile__("" ::: "memory");
  return value;
}

/// Puts a value where a guest may be reading.
template <typename T>
void put_once(std::byte* at, T value) noexcept {
  static_assert(std::is_trivially_copyable_v<T>);
  if constexpr (std::is_integral_v<T>) {
    if (reinterpret_cast<std::uintptr_t>(at) % sizeof(T) == 0) {
      __atomic_store_n(reinterpret_cast<T*>(at), value, __ATOMIC_RELEASE);
      return;
    }
  }
  __asm__ __volatile__("" ::: "memory");
  std::memcpy(at, &value, sizeof(T));
}

template <typename T>
std::optional<T> GuestMemory::load(std::uint64_t gpa) const noexcept {
  const auto at = slice(gpa, sizeof(T));
  if (!at) {
    return std::nullopt;
  }
  return fetch_once<T>(at->data());
}

template <typename T>
bool GuestMemory::store(std::uint64_t gpa, T value) const noexcept {
  const auto at = slice(gpa, sizeof(T));
  if (at) {
    put_once(at->data(), value);
  }
  return at.has_value();
}

}  // namespace pyro::memory
