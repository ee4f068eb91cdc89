#include "devices/overlay_disk.hpp"

#include "devices/file_disk.hpp"
#include "devices/vectored_io.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace pyro::devices {

namespace {

constexpr unsigned kMinClusterShift = 12;

// A fresh ext4 has a few dozen extents. A file with more than this is taken as data to its end: a start must not take
// long because somebody's image is in pieces.
constexpr int kMaxExtents = 4096;

constexpr std::array<std::byte, 4096> kZeroes{};

std::uint64_t total_bytes(std::span<const iovec> pieces) noexcept {
  std::uint64_t total = 0;
  for (const iovec& piece : pieces) {
    total += piece.iov_len;
  }
  return total;
}

// Moves the first `length` bytes of `pieces` to `part`.
void cut(std::span<iovec>& pieces, std::uint64_t length, std::vector<iovec>& part) {
  part.clear();
  while (length > 0 && !pieces.empty()) {
    iovec& piece = pieces.front();
    const auto step = static_cast<std::size_t>(std::min<std::uint64_t>(length, piece.iov_len));
    part.push_back({piece.iov_base, step});
    piece.iov_base = static_cast<char*>(piece.iov_base) + step;
    piece.iov_len -= step;
    length -= step;
    if (piece.iov_len == 0) {
      pieces = pieces.subspan(1);
    }
  }
}

}  // namespace

base::Result<std::unique_ptr<OverlayDisk>> OverlayDisk::create(base::Fd base, base::Fd delta, Durability durability) {
  PYRO_TRY_ASSIGN(const std::uint64_t size_bytes, disk_size_bytes(base));
  if (size_bytes > kMaxDiskBytes) {
    return base::make_error(PYRO_ERROR_LIMIT, "a disk of more than {} GiB", kMaxDiskBytes >> 30);
  }
  unsigned cluster_shift = kMinClusterShift;
  while (size_bytes >> cluster_shift > kMaxClusters) {
    ++cluster_shift;
  }
  // Sparse: takes no space until something is written.
  if (::ftruncate(delta.get(), static_cast<off_t>(size_bytes)) != 0) {
    return base::errno_error(errno, fmt::format("cannot make a disk's private file {} bytes long", size_bytes));
  }
  std::unique_ptr<OverlayDisk> disk(
      new OverlayDisk(std::move(base), std::move(delta), durability, size_bytes, cluster_shift));
  disk->find_holes();
  return disk;
}

OverlayDisk::OverlayDisk(base::Fd base, base::Fd delta, Durability durability, std::uint64_t size_bytes,
                         unsigned cluster_shift)
    : base_(std::move(base)),
      delta_(std::move(delta)),
      durability_(durability),
      size_bytes_(size_bytes),
      cluster_shift_(cluster_shift),
      in_delta_((size_bytes + (std::uint64_t{1} << cluster_shift) - 1) >> cluster_shift),
      in_base_(in_delta_.size()) {}

void OverlayDisk::find_holes() noexcept {
  std::uint64_t offset = 0;
  for (int extents = 0; offset < size_bytes_; ++extents) {
    const off_t data = ::lseek(base_.get(), static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
      return;  // only a hole is left
    }
    const off_t hole = data < 0 ? -1 : ::lseek(base_.get(), data, SEEK_HOLE);
    if (hole < 0 || extents == kMaxExtents) {
      in_base_.assign(cluster_of(offset), in_base_.size(), true);
      return;
    }
    const std::uint64_t end = std::min(static_cast<std::uint64_t>(hole), size_bytes_);
    if (static_cast<std::uint64_t>(data) < end) {
      in_base_.assign(cluster_of(static_cast<std::uint64_t>(data)), cluster_of(end - 1) + 1, true);
    }
    offset = static_cast<std::uint64_t>(hole);
  }
}

std::size_t OverlayDisk::cluster_of(std::uint64_t offset) const noexcept {
  return static_cast<std::size_t>(offset >> cluster_shift_);
}

OverlayDisk::Source OverlayDisk::source(std::size_t cluster) const noexcept {
  if (in_delta_.test(cluster)) {
    return Source::delta;
  }
  return in_base_.test(cluster) ? Source::base : Source::zeroes;
}

int OverlayDisk::read(std::uint64_t offset, std::span<iovec> pieces) noexcept {
  const std::uint64_t end = offset + total_bytes(pieces);
  while (offset < end) {
    // As far as the bytes come from the same place.
    std::size_t cluster = cluster_of(offset);
    const Source from = source(cluster);
    do {
      ++cluster;
    } while (std::uint64_t{cluster} << cluster_shift_ < end && source(cluster) == from);
    const std::uint64_t run_end = std::min(end, std::uint64_t{cluster} << cluster_shift_);
    int error = 0;
    if (run_end == end) {
      error = read_from(from, offset, pieces);
    } else {
      cut(pieces, run_end - offset, part_);
      error = read_from(from, offset, part_);
    }
    if (error != 0) {
      return error;
    }
    offset = run_end;
  }
  return 0;
}

int OverlayDisk::read_from(Source source, std::uint64_t offset, std::span<iovec> pieces) noexcept {
  if (source != Source::zeroes) {
    return read_fully(source == Source::delta ? delta_.get() : base_.get(), offset, pieces);
  }
  for (const iovec& piece : pieces) {
    std::memset(piece.iov_base, 0, piece.iov_len);
  }
  return 0;
}

int OverlayDisk::write(std::uint64_t offset, std::span<iovec> pieces) noexcept {
  const std::uint64_t end = offset + total_bytes(pieces);
  if (offset == end) {
    return 0;
  }
  const std::uint64_t cluster_bytes = std::uint64_t{1} << cluster_shift_;
  const std::size_t first = cluster_of(offset);
  const std::size_t last = cluster_of(end - 1);
  // Clusters at both ends that are written in part have to be whole in the private file first.
  if (offset % cluster_bytes != 0 && !in_delta_.test(first)) {
    if (const int error = copy_cluster(first)) {
      return error;
    }
  }
  if (end % cluster_bytes != 0 && end != size_bytes_ && !in_delta_.test(last)) {
    if (const int error = copy_cluster(last)) {
      return error;
    }
  }
  // Only when all is written do the clusters count: a failed write leaves what was there before.
  if (const int error = write_fully(delta_.get(), offset, pieces)) {
    return error;
  }
  in_delta_.assign(first, last + 1, true);
  return 0;
}

int OverlayDisk::copy_cluster(std::size_t cluster) noexcept {
  const std::uint64_t offset = std::uint64_t{cluster} << cluster_shift_;
  cluster_.resize(static_cast<std::size_t>(std::min(size_bytes_ - offset, std::uint64_t{1} << cluster_shift_)));
  iovec piece{cluster_.data(), cluster_.size()};
  if (const int error = read_from(source(cluster), offset, {&piece, 1})) {
    return error;
  }
  piece = {cluster_.data(), cluster_.size()};
  if (const int error = write_fully(delta_.get(), offset, {&piece, 1})) {
    return error;
  }
  in_delta_.assign(cluster, cluster + 1, true);
  return 0;
}

int OverlayDisk::flush() noexcept {
  return durability_ == Durability::flush && ::fdatasync(delta_.get()) != 0 ? errno : 0;
}

int OverlayDisk::discard(std::uint64_t offset, std::uint64_t length) noexcept {
  // What is less than a cluster stays: discarding is a hint.
  const std::uint64_t cluster_bytes = std::uint64_t{1} << cluster_shift_;
  const std::uint64_t end = offset + length;
  const std::size_t last = end == size_bytes_ ? in_delta_.size() : cluster_of(end);
  const int error = zero_clusters(cluster_of(offset + cluster_bytes - 1), last);
  return error == EOPNOTSUPP ? 0 : error;
}

int OverlayDisk::write_zeroes(std::uint64_t offset, std::uint64_t length) noexcept {
  const std::uint64_t cluster_bytes = std::uint64_t{1} << cluster_shift_;
  const std::uint64_t end = offset + length;
  const std::size_t first = cluster_of(offset + cluster_bytes - 1);
  const std::size_t last = end == size_bytes_ ? in_delta_.size() : cluster_of(end);
  if (first >= last) {
    return zero_bytes(offset, length);
  }
  if (const int error = zero_clusters(first, last)) {
    return error;
  }
  const std::uint64_t first_offset = std::uint64_t{first} << cluster_shift_;
  if (const int head_error = zero_bytes(offset, first_offset - offset)) {
    return head_error;
  }
  const std::uint64_t last_offset = std::min(end, std::uint64_t{last} << cluster_shift_);
  return zero_bytes(last_offset, end - last_offset);
}

// Whole clusters read as zero from now on, and take no space.
int OverlayDisk::zero_clusters(std::size_t begin, std::size_t end) noexcept {
  if (begin >= end) {
    return 0;
  }
  const std::uint64_t offset = std::uint64_t{begin} << cluster_shift_;
  const std::uint64_t length = std::min(size_bytes_, std::uint64_t{end} << cluster_shift_) - offset;
  if (const int error = punch_hole(delta_.get(), offset, length)) {
    return error;
  }
  // Where the shared file has data, the hole of the private one covers it. Elsewhere nobody needs to look.
  in_delta_.copy(in_base_, begin, end);
  return 0;
}

int OverlayDisk::zero_bytes(std::uint64_t offset, std::uint64_t length) noexcept {
  while (length > 0) {
    const std::uint64_t cluster_end = (offset | ((std::uint64_t{1} << cluster_shift_) - 1)) + 1;
    const std::uint64_t step = std::min({length, cluster_end - offset, std::uint64_t{kZeroes.size()}});
    if (source(cluster_of(offset)) != Source::zeroes) {
      // Only read from; iovec knows no const.
      iovec piece{const_cast<std::byte*>(kZeroes.data()), static_cast<std::size_t>(step)};
      if (const int error = write(offset, {&piece, 1})) {
        return error;
      }
    }
    offset += step;
    length -= step;
  }
  return 0;
}

void OverlayDisk::save(base::ByteWriter& out) const {
  out.u64(size_bytes_);
  out.u8(static_cast<std::uint8_t>(cluster_shift_));
  for (const std::uint64_t word : in_delta_.words()) {
    out.u64(word);
  }
}

base::Status OverlayDisk::restore(base::ByteReader& in) {
  const bool same = in.u64() == size_bytes_ && in.u8() == cluster_shift_;
  if (!same || in.remaining() != in_delta_.words().size() * sizeof(std::uint64_t)) {
    return base::make_error(PYRO_ERROR_INVALID, "the saved state is of another disk");
  }
  std::vector<std::uint64_t> words(in_delta_.words().size());
  for (std::uint64_t& word : words) {
    word = in.u64();
  }
  if (!in_delta_.set_words(std::move(words))) {
    return base::make_error(PYRO_ERROR_INVALID, "the saved state has clusters behind the end of the disk");
  }
  return base::success();
}

}  // namespace pyro::devices
