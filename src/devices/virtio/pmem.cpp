#include "devices/virtio/pmem.hpp"

#include <array>

namespace pyro::devices::virtio {

namespace {

constexpr std::array<std::uint16_t, 1> kPmemQueueSizes{64};

// 5.19.6: request {le32 type}, response {le32 ret}.
constexpr std::uint32_t VIRTIO_PMEM_REQ_TYPE_FLUSH = 0;
constexpr std::uint32_t kDone = 0;
constexpr std::uint32_t kFailed = 0xffffffff;

}  // namespace

std::span<const std::uint16_t> Pmem::queue_sizes() const noexcept {
  return kPmemQueueSizes;
}

void Pmem::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
  // 5.19.4: start, size.
  const std::array<std::uint64_t, 2> config{range_.gpa, range_.size_bytes};
  copy_config(std::as_bytes(std::span(config)), offset, data);
}

void Pmem::process_queue(std::uint16_t index) noexcept {
  Queue* queue = transport().queue(index);
  if (queue == nullptr) {
    return;
  }
  serve_queue(*queue, [queue](const Chain& chain) {
    std::uint32_t type = 0;
    if (chain.copy_out(0, std::as_writable_bytes(std::span(&type, 1))) != sizeof(type) ||
        chain.writable_bytes() < sizeof(std::uint32_t)) {
      return queue->set_broken("a request to persistent memory that is too short");
    }
    const std::uint32_t result = type == VIRTIO_PMEM_REQ_TYPE_FLUSH ? kDone : kFailed;
    chain.copy_in(0, std::as_bytes(std::span(&result, 1)));
    queue->push(chain, sizeof(result));
  });
}

void Pmem::save(base::ByteWriter& out) const {
  out.u64(range_.gpa);
  out.u64(range_.size_bytes);
}

base::Status Pmem::restore(base::ByteReader& in) {
  // Pages of the image are in the guest's page tables: it has to be where it was.
  if (in.u64() != range_.gpa || in.u64() != range_.size_bytes) {
    return base::make_error(PYRO_ERROR_INVALID, "the saved state has its persistent memory elsewhere");
  }
  return base::success();
}

}  // namespace pyro::devices::virtio
