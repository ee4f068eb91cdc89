#include "devices/virtio/balloon.hpp"

#include <algorithm>
#include <array>

namespace pyro::devices::virtio {

namespace {

// 5.5.3 feature bits.
constexpr std::uint64_t VIRTIO_BALLOON_F_DEFLATE_ON_OOM = std::uint64_t{1} << 2;
constexpr std::uint64_t VIRTIO_BALLOON_F_PAGE_REPORTING = std::uint64_t{1} << 5;

// 5.5.2: inflateq, deflateq, statsq, free_page_vq, reporting_vq. Without statistics and hinting Linux numbers the
// reporting queue 2, the specification 4: both work.
constexpr std::array<std::uint16_t, 5> kBalloonQueueSizes{128, 128, 128, 128, 128};
constexpr std::uint16_t kInflateQueue = 0;
constexpr std::uint16_t kDeflateQueue = 1;

constexpr std::uint64_t kPageBytes = 4096;  // 5.5.6: whatever the guest's own page size is
// Page numbers and ranges looked at per request: as many as Linux sends at most. More are taken, and stay with the
// guest: each may cost a system call.
constexpr std::size_t kMaxPagesPerRequest = 256;
constexpr std::size_t kMaxRangesPerReport = 32;
// Linux reports blocks of 4 MiB at most. Giving back takes time for each page that is there, so what is named beyond this
// stays with the guest.
constexpr std::uint64_t kMaxBytesPerReport = std::uint64_t{128} << 20;

// 5.5.4: num_pages, actual.
constexpr std::uint64_t kActualOffset = 4;

}  // namespace

void Balloon::set_target_pages(std::uint32_t pages) noexcept {
  if (target_pages_.exchange(pages) != pages && attached()) {
    transport().config_changed();
  }
}

std::uint64_t Balloon::features() const noexcept {
  return VIRTIO_BALLOON_F_DEFLATE_ON_OOM | VIRTIO_BALLOON_F_PAGE_REPORTING;
}

std::span<const std::uint16_t> Balloon::queue_sizes() const noexcept {
  return kBalloonQueueSizes;
}

void Balloon::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
  const std::array<std::uint32_t, 2> config{target_pages_.load(), actual_pages_.load()};
  copy_config(std::as_bytes(std::span(config)), offset, data);
}

void Balloon::write_config(std::uint64_t offset, base::ByteView data) noexcept {
  if (offset == kActualOffset && data.size() == sizeof(std::uint32_t)) {
    std::uint32_t pages = 0;
    std::memcpy(&pages, data.data(), sizeof(pages));
    actual_pages_.store(pages);
  }
}

void Balloon::reset() noexcept {
  actual_pages_.store(0);
}

void Balloon::process_queue(std::uint16_t index) noexcept {
  Queue* queue = transport().queue(index);
  if (queue == nullptr) {
    return;
  }
  serve_queue(*queue, [this, index, queue](const Chain& chain) {
    if (index == kInflateQueue) {
      inflate(chain);
    } else if (index != kDeflateQueue) {
      report(chain);
    }
    // Deflating needs nothing: a page that the guest touches is there again.
    queue->push(chain, 0);
  });
}

// An array of page numbers, most of them consecutive.
void Balloon::inflate(const Chain& chain) noexcept {
  std::array<std::uint32_t, kMaxPagesPerRequest> pages;
  const std::size_t count = chain.copy_out(0, std::as_writable_bytes(std::span(pages))) / sizeof(std::uint32_t);
  for (std::size_t i = 0; i < count;) {
    std::size_t run = 1;
    while (i + run < count && pages[i + run] == std::uint64_t{pages[i]} + run) {
      ++run;
    }
    discard(pages[i] * kPageBytes, run * kPageBytes);
    i += run;
  }
}

// Each buffer is a range that the guest does not use now (5.5.6.7).
void Balloon::report(const Chain& chain) noexcept {
  const auto ranges = chain.writable();
  std::uint64_t left = kMaxBytesPerReport;
  for (const Buffer& range : ranges.first(std::min(ranges.size(), kMaxRangesPerReport))) {
    const std::uint64_t size = std::min<std::uint64_t>(range.size, left);
    discard(range.gpa, size);
    left -= size;
  }
}

void Balloon::discard(std::uint64_t gpa, std::uint64_t size_bytes) noexcept {
  // What is not RAM is no harm and no gain.
  if (memory_.discard(gpa, size_bytes)) {
    discarded_bytes_.fetch_add(size_bytes, std::memory_order_relaxed);
  }
}

void Balloon::save(base::ByteWriter& out) const {
  out.u32(target_pages_.load());
  out.u32(actual_pages_.load());
}

base::Status Balloon::restore(base::ByteReader& in) {
  const std::uint32_t target_pages = in.u32();
  const std::uint32_t actual_pages = in.u32();
  if (!in.finished()) {
    return base::make_error(PYRO_ERROR_INVALID, "the saved state of the balloon has the wrong length");
  }
  target_pages_.store(target_pages);
  actual_pages_.store(actual_pages);
  return base::success();
}

}  // namespace pyro::devices::virtio
