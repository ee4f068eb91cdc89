#include "memory/guest_memory.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace pyro::memory {

namespace {

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kHugePageBytes = std::uint64_t{2} << 20;

// The end of a range, if it does not wrap.
std::optional<std::uint64_t> end_of(std::uint64_t gpa, std::uint64_t size_bytes) {
  std::uint64_t end = 0;
  if (__builtin_add_overflow(gpa, size_bytes, &end)) {
    return std::nullopt;
  }
  return end;
}

// Both kinds of region obey the same rules; `total` sums their sizes.
template <typename R>
base::Status check_ranges(std::span<const R> ranges, std::uint64_t& total) {
  std::uint64_t previous_end = 0;
  if (ranges.size() > kMaxRegions) {
    return base::make_error(PYRO_ERROR_LIMIT, "guest memory in {} regions, at most {} are possible", ranges.size(),
                            kMaxRegions);
  }
  for (const R& range : ranges) {
    const auto end = end_of(range.gpa, range.size_bytes);
    if (range.size_bytes == 0 || range.gpa % kPageBytes != 0 || range.size_bytes % kPageBytes != 0) {
      return base::make_error(PYRO_ERROR_INVALID, "guest memory of {:#x} bytes at {:#x} is not whole pages",
                              range.size_bytes, range.gpa);
    }
    if (!end || range.gpa < previous_end) {
      return base::make_error(PYRO_ERROR_INVALID, "guest memory at {:#x} overlaps, wraps or is out of order",
                              range.gpa);
    }
    previous_end = *end;
    if (range.size_bytes > kMaxMemoryBytes || (total += range.size_bytes) > kMaxMemoryBytes) {
      return base::make_error(PYRO_ERROR_LIMIT, "guest memory of more than {} GiB", kMaxMemoryBytes >> 30);
    }
  }
  return base::success();
}

template <typename R>
const R* find(const std::vector<R>& regions, std::uint64_t gpa, std::uint64_t size_bytes) noexcept {
  // Few regions: a walk is faster than anything clever.
  for (const R& region : regions) {
    if (gpa >= region.gpa && gpa - region.gpa < region.size_bytes) {
      const std::uint64_t left = region.size_bytes - (gpa - region.gpa);
      return size_bytes <= left ? &region : nullptr;
    }
  }
  return nullptr;
}

// Sealed, because a memory file that shrinks below its mapping kills whoever touches it.
base::Result<base::Fd> make_sealed_file(std::uint64_t size_bytes) {
  base::Fd fd(::memfd_create("pyro-guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd.valid() || ::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0 ||
      ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return base::errno_error(errno, "cannot create a file for guest memory");
  }
  return fd;
}

}  // namespace

base::Result<GuestMemory> GuestMemory::create(std::span<const Range> ranges, Backing backing,
                                              std::span<const ReadOnlyRegion> read_only) {
  std::uint64_t ram_bytes = 0;
  std::uint64_t read_only_bytes = 0;
  if (ranges.empty()) {
    return base::make_error(PYRO_ERROR_INVALID, "a guest without memory");
  }
  PYRO_TRY(check_ranges(ranges, ram_bytes));
  PYRO_TRY(check_ranges(read_only, read_only_bytes));

  GuestMemory memory;
  std::uint64_t file_bytes = 0;
  std::vector<std::uint64_t> offsets;
  for (const Range& range : ranges) {
    for (const ReadOnlyRegion& other : read_only) {
      if (range.gpa < other.gpa + other.size_bytes && other.gpa < range.gpa + range.size_bytes) {
        return base::make_error(PYRO_ERROR_INVALID, "read-only guest memory at {:#x} overlaps RAM", other.gpa);
      }
    }
    // The first offset behind what is there that is congruent to the address; the gap costs nothing.
    file_bytes += (range.gpa - file_bytes) % kHugePageBytes;
    offsets.push_back(file_bytes);
    file_bytes += range.size_bytes;
  }
  if (backing == Backing::memfd) {
    PYRO_TRY_ASSIGN(memory.fd_, make_sealed_file(file_bytes));
  }
  for (std::size_t i = 0; i < ranges.size(); ++i) {
    PYRO_TRY(memory.map(ranges[i], memory.fd_.valid() ? offsets[i] : 0));
  }
  memory.read_only_.assign(read_only.begin(), read_only.end());
  return memory;
}

base::Status GuestMemory::map(const Range& range, std::uint64_t fd_offset) {
  // Addresses for the region and for moving it to where it is congruent to its guest address.
  const std::size_t reserved_bytes = range.size_bytes + kHugePageBytes;
  void* reserved = ::mmap(nullptr, reserved_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) {
    return base::errno_error(errno, fmt::format("cannot map {} MiB of guest memory", range.size_bytes >> 20));
  }
  mappings_.push_back({reserved, reserved_bytes});
  auto* start = static_cast<std::byte*>(reserved);
  start += (range.gpa - reinterpret_cast<std::uintptr_t>(start)) % kHugePageBytes;
  const int kind = fd_.valid() ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
  if (::mmap(start, range.size_bytes, PROT_READ | PROT_WRITE, kind | MAP_FIXED | MAP_NORESERVE, fd_.get(),
             static_cast<off_t>(fd_offset)) == MAP_FAILED) {
    return base::errno_error(errno, fmt::format("cannot map {} MiB of guest memory", range.size_bytes >> 20));
  }
  // Advice: a kernel built without one of them says EINVAL, and all is well.
  ::madvise(start, range.size_bytes, MADV_HUGEPAGE);
  ::madvise(start, range.size_bytes, MADV_DONTDUMP);
  regions_.push_back({range.gpa, range.size_bytes, start, fd_.get(), fd_offset});
  return base::success();
}

GuestMemory::GuestMemory(GuestMemory&& other) noexcept
    : regions_(std::move(other.regions_)),
      read_only_(std::move(other.read_only_)),
      mappings_(std::move(other.mappings_)),
      fd_(std::move(other.fd_)) {
  other.regions_.clear();
  other.read_only_.clear();
  other.mappings_.clear();
}

GuestMemory& GuestMemory::operator=(GuestMemory&& other) noexcept {
  if (this != &other) {
    unmap();
    regions_ = std::exchange(other.regions_, {});
    read_only_ = std::exchange(other.read_only_, {});
    mappings_ = std::exchange(other.mappings_, {});
    fd_ = std::move(other.fd_);
  }
  return *this;
}

GuestMemory::~GuestMemory() {
  unmap();
}

void GuestMemory::unmap() noexcept {
  for (const Mapping& mapping : mappings_) {
    ::munmap(mapping.address, mapping.size_bytes);
  }
  mappings_.clear();
}

std::uint64_t GuestMemory::size_bytes() const noexcept {
  std::uint64_t total = 0;
  for (const Region& region : regions_) {
    total += region.size_bytes;
  }
  return total;
}

std::optional<std::span<std::byte>> GuestMemory::slice(std::uint64_t gpa, std::uint64_t size_bytes) const noexcept {
  const Region* region = find(regions_, gpa, size_bytes);
  if (region == nullptr) {
    return std::nullopt;
  }
  return std::span(region->host + (gpa - region->gpa), size_bytes);
}

std::optional<base::ByteView> GuestMemory::slice_readable(std::uint64_t gpa, std::uint64_t size_bytes) const noexcept {
  if (const auto ram = slice(gpa, size_bytes)) {
    return base::ByteView(*ram);
  }
  const ReadOnlyRegion* region = find(read_only_, gpa, size_bytes);
  if (region == nullptr) {
    return std::nullopt;
  }
  return base::ByteView(region->host + (gpa - region->gpa), size_bytes);
}

bool GuestMemory::read(std::uint64_t gpa, std::span<std::byte> out) const noexcept {
  const auto from = slice(gpa, out.size());
  if (from) {
    std::memcpy(out.data(), from->data(), out.size());
  }
  return from.has_value();
}

bool GuestMemory::write(std::uint64_t gpa, base::ByteView bytes) const noexcept {
  const auto to = slice(gpa, bytes.size());
  if (to) {
    std::memcpy(to->data(), bytes.data(), bytes.size());
  }
  return to.has_value();
}

bool GuestMemory::discard(std::uint64_t gpa, std::uint64_t size_bytes) const noexcept {
  const Region* region = find(regions_, gpa, size_bytes);
  if (region == nullptr) {
    return false;
  }
  const std::uint64_t begin = (gpa - region->gpa + kPageBytes - 1) / kPageBytes * kPageBytes;
  const std::uint64_t end = (gpa - region->gpa + size_bytes) / kPageBytes * kPageBytes;
  if (begin >= end) {
    return true;
  }
  // Dropping the pages of a mapping frees nothing of a file: there the file itself gets a hole.
  if (fd_.valid()) {
    return ::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       static_cast<off_t>(region->fd_offset + begin), static_cast<off_t>(end - begin)) == 0;
  }
  return ::madvise(region->host + begin, end - begin, MADV_DONTNEED) == 0;
}

}  // namespace pyro::memory
