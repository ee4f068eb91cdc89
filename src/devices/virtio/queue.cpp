#include "devices/virtio/queue.hpp"

#include <algorithm>
#include <limits>

namespace pyro::devices::virtio {

namespace {

// Area of a queue: where, how large, and how it is to be aligned (2.7).
base::Result<std::byte*> area(const memory::GuestMemory& memory, const char* name, std::uint64_t gpa,
                              std::uint64_t size_bytes, std::uint64_t alignment) {
  if (gpa % alignment != 0) {
    return base::make_error(PYRO_ERROR_INVALID, "the {} at {:#x} is not aligned to {} bytes", name, gpa, alignment);
  }
  const auto bytes = memory.slice(gpa, size_bytes);
  if (!bytes) {
    return base::make_error(PYRO_ERROR_INVALID, "the {} at {:#x} is not in memory", name, gpa);
  }
  return bytes->data();
}

// For the two places where a store has to be seen before a load is made: what the driver does at the same time is
// the mirror image (2.7.7.1, 2.7.10.1), and both must not miss each other.
void put_ordered(std::byte* at, std::uint16_t value) noexcept {
  __atomic_store_n(reinterpret_cast<std::uint16_t*>(at), value, __ATOMIC_SEQ_CST);
}
std::uint16_t fetch_ordered(const std::byte* at) noexcept {
  return __atomic_load_n(reinterpret_cast<const std::uint16_t*>(at), __ATOMIC_SEQ_CST);
}

std::uint16_t distance(std::uint16_t from, std::uint16_t to) noexcept {
  return static_cast<std::uint16_t>(to - from);
}

}  // namespace

base::Result<Queue> Queue::create(const memory::GuestMemory& memory, const QueueLayout& layout, std::uint64_t features,
                                  const QueuePosition& position) {
  const std::uint64_t size = layout.size;
  if (size == 0 || size > kMaxQueueSize || (size & (size - 1)) != 0) {
    return base::make_error(PYRO_ERROR_INVALID, "a queue of {} descriptors", size);
  }
  if (distance(position.next_used, position.next_avail) > size) {
    return base::make_error(PYRO_ERROR_INVALID, "a queue of {} descriptors with {} chains under way", size,
                            distance(position.next_used, position.next_avail));
  }
  Queue queue(memory);
  PYRO_TRY_ASSIGN(queue.desc_, area(memory, "descriptor table", layout.desc_gpa, size * sizeof(Descriptor), 16));
  // The two bytes at the end of each ring are used_event and avail_event.
  PYRO_TRY_ASSIGN(queue.avail_, area(memory, "available ring", layout.avail_gpa, kAvailRingOffset + size * 2 + 2, 2));
  PYRO_TRY_ASSIGN(queue.used_,
                  area(memory, "used ring", layout.used_gpa, kUsedRingOffset + size * kUsedElementBytes + 2, 4));
  queue.size_ = layout.size;
  queue.event_idx_ = (features & VIRTIO_F_EVENT_IDX) != 0;
  queue.indirect_ = (features & VIRTIO_F_INDIRECT_DESC) != 0;
  queue.position_ = position;
  return queue;
}

void Queue::set_broken(const char* why) noexcept {
  if (broken_ == nullptr) {
    broken_ = why;
  }
}

bool Queue::refuse(const char* why) noexcept {
  set_broken(why);
  return false;
}

bool Queue::has_available() noexcept {
  if (broken_ != nullptr) {
    return false;
  }
  const std::uint16_t pending = distance(position_.next_avail, fetch_ordered(avail_ + kAvailIdxOffset));
  if (pending > size_) {
    return refuse("the available index is ahead by more than the queue's size");
  }
  return pending != 0;
}

bool Queue::pop(Chain& chain) noexcept {
  if (!has_available()) {
    return false;
  }
  const std::size_t slot = position_.next_avail % size_;
  chain.head_ = memory::fetch_once<std::uint16_t>(avail_ + kAvailRingOffset + 2 * slot);
  if (chain.head_ >= size_) {
    return refuse("the available ring names a descriptor that does not exist");
  }
  ++position_.next_avail;
  return resolve(chain);
}

bool Queue::resolve(Chain& chain) noexcept {
  chain.buffers_.clear();
  chain.readable_count_ = 0;
  chain.readable_bytes_ = 0;
  chain.writable_bytes_ = 0;

  const std::byte* table = desc_;
  bool in_indirect = false;
  std::uint64_t table_size = size_;
  std::uint64_t index = chain.head_;
  // A chain that visits more descriptors than its table has visits one twice.
  for (std::uint64_t visited = 0; visited < table_size; ++visited) {
    const auto descriptor = memory::fetch_once<Descriptor>(table + index * sizeof(Descriptor));
    if ((descriptor.flags & VIRTQ_DESC_F_INDIRECT) != 0) {
      // 2.7.5.3: the last of a chain, at most once, and only if negotiated.
      if (!indirect_ || in_indirect || (descriptor.flags & VIRTQ_DESC_F_NEXT) != 0) {
        return refuse("an indirect descriptor where none may be");
      }
      const auto bytes = memory_->slice(descriptor.addr, descriptor.len);
      if (!bytes || bytes->empty() || bytes->size() % sizeof(Descriptor) != 0) {
        return refuse("an indirect table that is not in memory or not whole descriptors");
      }
      in_indirect = true;
      table = bytes->data();
      table_size = bytes->size() / sizeof(Descriptor);
      index = 0;
      visited = std::numeric_limits<std::uint64_t>::max();  // the loop adds one
      continue;
    }
    if (!add_buffer(chain, descriptor)) {
      return false;
    }
    if ((descriptor.flags & VIRTQ_DESC_F_NEXT) == 0) {
      return true;
    }
    index = descriptor.next;
    if (index >= table_size) {
      return refuse("a descriptor chain leaves its table");
    }
  }
  return refuse("a descriptor chain with a loop");
}

bool Queue::add_buffer(Chain& chain, const Descriptor& descriptor) noexcept {
  if (descriptor.len == 0) {
    return refuse("a buffer of no bytes");
  }
  if (chain.buffers_.size() == kMaxChainBuffers) {
    return refuse("a descriptor chain with too many buffers");
  }
  Buffer buffer{descriptor.addr, nullptr, descriptor.len};
  const bool writable = (descriptor.flags & VIRTQ_DESC_F_WRITE) != 0;
  if (writable) {
    if (const auto bytes = memory_->slice(descriptor.addr, descriptor.len)) {
      buffer.data = bytes->data();
    }
  } else {
    if (chain.writable_bytes_ != 0) {
      return refuse("a buffer to read behind one to write");
    }
    if (const auto bytes = memory_->slice_readable(descriptor.addr, descriptor.len)) {
      // Nobody writes to what readable() gives; iovec knows no const.
      buffer.data = const_cast<std::byte*>(bytes->data());
    }
  }
  if (buffer.data == nullptr) {
    return refuse("a buffer outside of memory");
  }
  std::uint64_t& total = writable ? chain.writable_bytes_ : chain.readable_bytes_;
  total += buffer.size;
  if (total > std::numeric_limits<std::uint32_t>::max()) {
    return refuse("a descriptor chain of more than 4 GiB");
  }
  chain.readable_count_ += writable ? 0 : 1;
  chain.buffers_.push_back(buffer);
  return true;
}

void Queue::push(const Chain& chain, std::uint32_t written_bytes) noexcept {
  std::byte* element = used_ + kUsedRingOffset + position_.next_used % size_ * kUsedElementBytes;
  memory::put_once<std::uint32_t>(element, chain.head());
  memory::put_once<std::uint32_t>(element + 4, written_bytes);
  ++position_.next_used;
  memory::put_once(used_ + kUsedIdxOffset, position_.next_used);
}

void Queue::disable_notifications() noexcept {
  // With EVENT_IDX there is nothing to do: the driver rings when it passes avail_event, which lies behind it now.
  if (!event_idx_) {
    memory::put_once(used_, VIRTQ_USED_F_NO_NOTIFY);
  }
}

bool Queue::enable_notifications() noexcept {
  if (event_idx_) {
    put_ordered(used_ + kUsedRingOffset + size_ * kUsedElementBytes, position_.next_avail);
  } else {
    put_ordered(used_, 0);
  }
  return has_available();
}

bool Queue::take_interrupt() noexcept {
  const std::uint16_t pushed = distance(position_.signalled_used, position_.next_used);
  if (pushed == 0) {
    return false;
  }
  // The same index once more, to order it before the load.
  put_ordered(used_ + kUsedIdxOffset, position_.next_used);
  position_.signalled_used = position_.next_used;
  if (!event_idx_) {
    return (fetch_ordered(avail_) & VIRTQ_AVAIL_F_NO_INTERRUPT) == 0;
  }
  // 2.7.7.2: when the used index has passed used_event since the last interrupt.
  const std::uint16_t used_event = fetch_ordered(avail_ + kAvailRingOffset + std::size_t{size_} * 2);
  return distance(used_event, static_cast<std::uint16_t>(position_.next_used - 1)) < pushed;
}

}  // namespace pyro::devices::virtio
