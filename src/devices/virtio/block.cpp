#include "devices/virtio/block.hpp"

#include <array>
#include <cerrno>

namespace pyro::devices::virtio {

namespace {

// 5.2.3 feature bits.
constexpr std::uint64_t VIRTIO_BLK_F_SEG_MAX = std::uint64_t{1} << 2;
constexpr std::uint64_t VIRTIO_BLK_F_RO = std::uint64_t{1} << 5;
constexpr std::uint64_t VIRTIO_BLK_F_BLK_SIZE = std::uint64_t{1} << 6;
constexpr std::uint64_t VIRTIO_BLK_F_FLUSH = std::uint64_t{1} << 9;
constexpr std::uint64_t VIRTIO_BLK_F_TOPOLOGY = std::uint64_t{1} << 10;
constexpr std::uint64_t VIRTIO_BLK_F_DISCARD = std::uint64_t{1} << 13;
constexpr std::uint64_t VIRTIO_BLK_F_WRITE_ZEROES = std::uint64_t{1} << 14;

// 5.2.6 device operation.
constexpr std::uint32_t VIRTIO_BLK_T_IN = 0;
constexpr std::uint32_t VIRTIO_BLK_T_OUT = 1;
constexpr std::uint32_t VIRTIO_BLK_T_FLUSH = 4;
constexpr std::uint32_t VIRTIO_BLK_T_GET_ID = 8;
constexpr std::uint32_t VIRTIO_BLK_T_DISCARD = 11;
constexpr std::uint32_t VIRTIO_BLK_T_WRITE_ZEROES = 13;
constexpr std::uint8_t VIRTIO_BLK_S_OK = 0;
constexpr std::uint8_t VIRTIO_BLK_S_IOERR = 1;
constexpr std::uint8_t VIRTIO_BLK_S_UNSUPP = 2;
constexpr std::uint32_t kWriteZeroesUnmap = 1;  // flags of a range, bit 0
constexpr std::size_t kIdBytes = 20;

constexpr std::uint16_t kQueueSize = 256;
constexpr std::array<std::uint16_t, 1> kBlockQueueSizes{kQueueSize};
// Header and status take a descriptor each.
constexpr std::uint32_t kMaxSegments = kQueueSize - 2;

// Ranges of one discard, and sectors of one range (1 GiB): a file system trims in few large pieces.
constexpr std::uint32_t kMaxRanges = 16;
constexpr std::uint32_t kMaxRangeSectors = 1U << 21;

// In a long batch the driver hears of what is done already after this much: late enough to save interrupts, early
// enough that it can go on with it.
constexpr std::uint32_t kSignalRequests = 16;
constexpr std::uint64_t kSignalBytes = std::uint64_t{1} << 20;

// 5.2.6, virtio_blk_discard_write_zeroes.
struct ZeroRange {
  std::uint64_t sector;
  std::uint32_t num_sectors;
  std::uint32_t flags;
};
static_assert(sizeof(ZeroRange) == 16);

// 5.2.4, virtio_blk_config.
struct Config {
  std::uint64_t capacity = 0;
  std::uint32_t size_max = 0;
  std::uint32_t seg_max = kMaxSegments;
  std::uint32_t geometry = 0;
  std::uint32_t blk_size = kSectorBytes;
  std::uint8_t physical_block_exp = 3;  // pages: what is smaller or unaligned costs a copy
  std::uint8_t alignment_offset = 0;
  std::uint16_t min_io_size = 8;
  std::uint32_t opt_io_size = 0;
  std::uint8_t writeback = 0;
  std::uint8_t unused0 = 0;
  std::uint16_t num_queues = 1;
  std::uint32_t max_discard_sectors = kMaxRangeSectors;
  std::uint32_t max_discard_seg = kMaxRanges;
  std::uint32_t discard_sector_alignment = 8;
  std::uint32_t max_write_zeroes_sectors = kMaxRangeSectors;
  std::uint32_t max_write_zeroes_seg = kMaxRanges;
  std::uint8_t write_zeroes_may_unmap = 1;
  std::array<std::uint8_t, 3> unused1{};
};
static_assert(sizeof(Config) == 64 && offsetof(Config, max_discard_sectors) == 36);

}  // namespace

// 5.2.6, virtio_blk_req without its data.
struct Block::Request {
  std::uint32_t type;
  std::uint32_t reserved;
  std::uint64_t sector;
};

Block::Block(std::unique_ptr<BlockBackend> backend, const std::string& serial)
    : backend_(std::move(backend)), serial_(serial.substr(0, kIdBytes)) {
  static_assert(sizeof(Request) == 16);
  pieces_.reserve(kMaxSegments);
}

std::uint64_t Block::features() const noexcept {
  const std::uint64_t always =
      VIRTIO_BLK_F_SEG_MAX | VIRTIO_BLK_F_BLK_SIZE | VIRTIO_BLK_F_FLUSH | VIRTIO_BLK_F_TOPOLOGY;
  return always | (backend_->read_only() ? VIRTIO_BLK_F_RO : VIRTIO_BLK_F_DISCARD | VIRTIO_BLK_F_WRITE_ZEROES);
}

std::span<const std::uint16_t> Block::queue_sizes() const noexcept {
  return kBlockQueueSizes;
}

void Block::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
  Config config;
  config.capacity = backend_->size_bytes() / kSectorBytes;
  copy_config(std::as_bytes(std::span(&config, 1)), offset, data);
}

void Block::process_queue(std::uint16_t index) noexcept {
  Queue* queue = transport().queue(index);
  if (queue == nullptr) {
    return;
  }
  serve_queue(*queue, [this, queue](const Chain& chain) { serve(*queue, chain); });
  unsignalled_requests_ = 0;
  unsignalled_bytes_ = 0;
}

void Block::serve(Queue& queue, const Chain& chain) noexcept {
  Request request{};
  if (chain.copy_out(0, std::as_writable_bytes(std::span(&request, 1))) != sizeof(request) ||
      chain.writable_bytes() == 0) {
    return queue.set_broken("a block request without header or status");
  }
  // The status is the last byte that the device writes, whatever the buffers are (5.2.6).
  const std::uint64_t in_bytes = chain.writable_bytes() - 1;
  const std::uint64_t data_bytes =
      request.type == VIRTIO_BLK_T_OUT ? chain.readable_bytes() - sizeof(request) : in_bytes;
  std::uint32_t written = 0;
  const std::uint8_t status = execute(chain, request, data_bytes, written);
  chain.copy_in(in_bytes, std::as_bytes(std::span(&status, 1)));
  queue.push(chain, written + 1);

  unsignalled_bytes_ += data_bytes;
  if (++unsignalled_requests_ >= kSignalRequests || unsignalled_bytes_ >= kSignalBytes) {
    transport().interrupt(queue);
    unsignalled_requests_ = 0;
    unsignalled_bytes_ = 0;
  }
}

std::uint8_t Block::execute(const Chain& chain, const Request& request, std::uint64_t data_bytes,
                            std::uint32_t& written) noexcept {
  switch (request.type) {
    case VIRTIO_BLK_T_IN:
    case VIRTIO_BLK_T_OUT:
      return transfer(chain, request, data_bytes, written);
    case VIRTIO_BLK_T_FLUSH:
      return backend_->flush() == 0 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
    case VIRTIO_BLK_T_GET_ID: {
      if (data_bytes < kIdBytes) {
        return VIRTIO_BLK_S_IOERR;
      }
      std::array<char, kIdBytes> id{};
      serial_.copy(id.data(), id.size());
      written = static_cast<std::uint32_t>(chain.copy_in(0, std::as_bytes(std::span(id))));
      return VIRTIO_BLK_S_OK;
    }
    case VIRTIO_BLK_T_DISCARD:
    case VIRTIO_BLK_T_WRITE_ZEROES:
      return change_ranges(chain, request.type);
    default:
      return VIRTIO_BLK_S_UNSUPP;
  }
}

bool Block::inside(std::uint64_t sector, std::uint64_t length) const noexcept {
  const std::uint64_t sectors = backend_->size_bytes() / kSectorBytes;
  return sector <= sectors && length % kSectorBytes == 0 && length / kSectorBytes <= sectors - sector;
}

std::uint8_t Block::transfer(const Chain& chain, const Request& request, std::uint64_t data_bytes,
                             std::uint32_t& written) noexcept {
  const bool out = request.type == VIRTIO_BLK_T_OUT;
  if (data_bytes > kMaxBlockRequestBytes || !inside(request.sector, data_bytes) || (out && backend_->read_only())) {
    return VIRTIO_BLK_S_IOERR;
  }
  pieces_.clear();
  Chain::walk(out ? chain.readable() : chain.writable(), out ? sizeof(Request) : 0, data_bytes,
              [this](const Buffer& piece, std::size_t) {
                pieces_.push_back({piece.data, piece.size});
              });
  const std::uint64_t offset = request.sector * kSectorBytes;
  if ((out ? backend_->write(offset, pieces_) : backend_->read(offset, pieces_)) != 0) {
    return VIRTIO_BLK_S_IOERR;
  }
  written = out ? 0 : static_cast<std::uint32_t>(data_bytes);
  return VIRTIO_BLK_S_OK;
}

std::uint8_t Block::change_ranges(const Chain& chain, std::uint32_t type) noexcept {
  const bool discard = type == VIRTIO_BLK_T_DISCARD;
  std::array<ZeroRange, kMaxRanges> ranges;
  const std::uint64_t bytes = chain.readable_bytes() - sizeof(Request);
  if (backend_->read_only() || bytes == 0 || bytes % sizeof(ZeroRange) != 0 || bytes > sizeof(ranges)) {
    return backend_->read_only() ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
  }
  const std::size_t count =
      chain.copy_out(sizeof(Request), std::as_writable_bytes(std::span(ranges))) / sizeof(ZeroRange);
  for (const ZeroRange& range : std::span(ranges).first(count)) {
    // 5.2.6.2: other flags, and unmap for a discard, are unsupported.
    if ((range.flags & ~(discard ? 0 : kWriteZeroesUnmap)) != 0) {
      return VIRTIO_BLK_S_UNSUPP;
    }
    const std::uint64_t length = std::uint64_t{range.num_sectors} * kSectorBytes;
    if (range.num_sectors > kMaxRangeSectors || !inside(range.sector, length)) {
      return VIRTIO_BLK_S_IOERR;
    }
    const std::uint64_t offset = range.sector * kSectorBytes;
    if (const int error = discard ? backend_->discard(offset, length) : backend_->write_zeroes(offset, length)) {
      return error == EOPNOTSUPP ? VIRTIO_BLK_S_UNSUPP : VIRTIO_BLK_S_IOERR;
    }
  }
  return VIRTIO_BLK_S_OK;
}

void Block::save(base::ByteWriter& out) const {
  backend_->save(out);
}

base::Status Block::restore(base::ByteReader& in) {
  return backend_->restore(in);
}

}  // namespace pyro::devices::virtio
