#include "devices/virtio/console.hpp"

#include <algorithm>
#include <array>

namespace pyro::devices::virtio {

namespace {

// 5.3.3 feature bits.
constexpr std::uint64_t VIRTIO_CONSOLE_F_MULTIPORT = std::uint64_t{1} << 1;

// 5.3.6.2 multiport device operation.
constexpr std::uint16_t VIRTIO_CONSOLE_DEVICE_READY = 0;
constexpr std::uint16_t VIRTIO_CONSOLE_DEVICE_ADD = 1;
constexpr std::uint16_t VIRTIO_CONSOLE_PORT_READY = 3;
constexpr std::uint16_t VIRTIO_CONSOLE_PORT_OPEN = 6;
constexpr std::uint16_t VIRTIO_CONSOLE_PORT_NAME = 7;
struct Control {
  std::uint32_t id;
  std::uint16_t event;
  std::uint16_t value;
};
static_assert(sizeof(Control) == 8);

// 5.3.2: a pair for port 0, a pair for control messages, then a pair for each further port.
constexpr std::uint16_t kPort0Transmit = 1;
constexpr std::uint16_t kControlReceive = 2;
constexpr std::uint16_t kControlTransmit = 3;
constexpr std::uint16_t kPortReceive = 4;
constexpr std::uint16_t kPortTransmit = 5;
constexpr std::array<std::uint16_t, 6> kConsoleQueueSizes{64, 64, 64, 64, 128, 128};

constexpr std::uint32_t kPortNumber = 1;
// 5.3.4: cols and rows, max_nr_ports, emerg_wr.
constexpr std::array<std::uint32_t, 3> kConsoleConfig{0, 2, 0};

// Bits of control_pending_, in the order in which a driver needs the messages.
constexpr std::uint8_t kSendAdd = 1;
constexpr std::uint8_t kSendName = 2;
constexpr std::uint8_t kSendOpen = 4;
constexpr std::uint8_t kSendBits = kSendAdd | kSendName | kSendOpen;

}  // namespace

Console::Console(const std::string& port_name, ConsoleHost host)
    : port_name_(port_name.substr(0, kMaxPortNameBytes)), host_(std::move(host)) {}

std::uint64_t Console::features() const noexcept {
  return VIRTIO_CONSOLE_F_MULTIPORT;
}

std::span<const std::uint16_t> Console::queue_sizes() const noexcept {
  return kConsoleQueueSizes;
}

void Console::read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept {
  copy_config(std::as_bytes(std::span(kConsoleConfig)), offset, data);
}

void Console::process_queue(std::uint16_t index) noexcept {
  Queue* queue = transport().queue(index);
  if (queue == nullptr) {
    return;
  }
  switch (index) {
    case kPort0Transmit:
      return serve_queue(*queue, [queue](const Chain& chain) { queue->push(chain, 0); });
    case kControlReceive:
      return send_control();
    case kControlTransmit:
      serve_queue(*queue, [this, queue](const Chain& chain) {
        receive_control(chain);
        queue->push(chain, 0);
      });
      return send_control();
    case kPortReceive:
      // Buffers come back all the time; a doorbell is of use only when they had run out.
      queue->disable_notifications();
      return now_writable();
    case kPortTransmit:
      return drain_output(*queue);
    default:
      return queue->disable_notifications();
  }
}

// ---- host to guest

std::size_t Console::send(base::ByteView bytes) noexcept {
  const Work work(transport());
  Queue* queue = transport().queue(kPortReceive);
  std::size_t sent = 0;
  // Linux drops what comes for a port that nobody has open.
  while (queue != nullptr && connected_ && guest_open_.load() && sent < bytes.size()) {
    if (!queue->pop(send_chain_)) {
      if (queue->enable_notifications()) {
        continue;
      }
      break;
    }
    // With nothing but room in it, every descriptor that is looked at takes a byte at least.
    if (send_chain_.writable_bytes() == 0 || send_chain_.readable_bytes() != 0) {
      queue->set_broken("a buffer to receive with that cannot be written");
      break;
    }
    const std::size_t put = send_chain_.copy_in(0, bytes.subspan(sent));
    queue->push(send_chain_, static_cast<std::uint32_t>(put));
    sent += put;
  }
  starved_ = sent < bytes.size();
  if (queue != nullptr && !starved_) {
    queue->disable_notifications();
  }
  return sent;
}

void Console::now_writable() noexcept {
  if (starved_ && connected_ && guest_open_.load()) {
    starved_ = false;
    host_.writable();
  }
}

// ---- guest to host

void Console::resume_output() noexcept {
  const Work work(transport());
  blocked_ = false;
  resumed_ = true;
  transport().notify(kPortTransmit);
}

void Console::drain_output(Queue& queue) noexcept {
  do {
    queue.disable_notifications();
    while (!blocked_ && transport().may_continue() && queue.pop(chain_)) {
      put_out(queue, chain_);
    }
  } while (!blocked_ && queue.enable_notifications() && transport().may_continue());
}

void Console::put_out(Queue& queue, const Chain& chain) noexcept {
  std::uint64_t skip = output_offset_;
  for (const Buffer& buffer : chain.readable()) {
    if (skip >= buffer.size) {
      skip -= buffer.size;
      continue;
    }
    const base::ByteView bytes(buffer.data + skip, buffer.size - static_cast<std::size_t>(skip));
    skip = 0;
    resumed_ = false;
    const std::size_t taken = connected_ ? std::min(host_.output(bytes), bytes.size()) : bytes.size();
    output_offset_ += taken;
    if (taken < bytes.size()) {
      blocked_ = !resumed_;
      return queue.undo_pop();
    }
  }
  output_offset_ = 0;
  queue.push(chain, 0);
}

// ---- opening and closing

void Console::set_connected(bool connected) noexcept {
  const Work work(transport());
  if (connected == connected_) {
    return;
  }
  connected_ = connected;
  if (port_ready_) {
    control_pending_ |= kSendOpen;
    send_control();
  }
  blocked_ = false;
  resumed_ = true;
  transport().notify(kPortTransmit);
}

void Console::receive_control(const Chain& chain) noexcept {
  Control message{};
  if (chain.copy_out(0, std::as_writable_bytes(std::span(&message, 1))) != sizeof(message)) {
    return;
  }
  if (message.event == VIRTIO_CONSOLE_DEVICE_READY && message.value == 1) {
    control_pending_ |= kSendAdd;
  } else if (message.id != kPortNumber) {
    return;
  } else if (message.event == VIRTIO_CONSOLE_PORT_READY && message.value == 1) {
    port_ready_ = true;
    control_pending_ |= kSendName | kSendOpen;
  } else if (message.event == VIRTIO_CONSOLE_PORT_OPEN) {
    set_guest_open(message.value == 1);
  }
}

void Console::send_control() noexcept {
  Queue* queue = transport().queue(kControlReceive);
  if (queue == nullptr) {
    return;
  }
  queue->disable_notifications();
  while (control_pending_ != 0) {
    if (!queue->pop(send_chain_)) {
      if (queue->enable_notifications()) {
        continue;
      }
      return;
    }
    const auto next = static_cast<std::uint8_t>(control_pending_ & -control_pending_);
    control_pending_ &= static_cast<std::uint8_t>(~next);
    Control message{kPortNumber, VIRTIO_CONSOLE_DEVICE_ADD, 1};
    std::size_t put = 0;
    if (next == kSendName) {
      message.event = VIRTIO_CONSOLE_PORT_NAME;
    } else if (next == kSendOpen) {
      message.event = VIRTIO_CONSOLE_PORT_OPEN;
      message.value = connected_ ? 1 : 0;
    }
    put = send_chain_.copy_in(0, std::as_bytes(std::span(&message, 1)));
    if (next == kSendName) {
      put += send_chain_.copy_in(put, base::as_bytes(port_name_));
    }
    queue->push(send_chain_, static_cast<std::uint32_t>(put));
  }
}

void Console::set_guest_open(bool open) noexcept {
  if (guest_open_.exchange(open) == open) {
    return;
  }
  if (host_.guest_open) {
    host_.guest_open(open);
  }
  now_writable();
}

// ---- reset and snapshots

void Console::reset() noexcept {
  set_guest_open(false);
  port_ready_ = false;
  output_offset_ = 0;
  control_pending_ = 0;
  blocked_ = false;
}

void Console::save(base::ByteWriter& out) const {
  out.u8(guest_open_.load() ? 1 : 0);
  out.u8(port_ready_ ? 1 : 0);
  out.u8(control_pending_);
  out.u64(output_offset_);
}

base::Status Console::restore(base::ByteReader& in) {
  const std::uint8_t guest_open = in.u8();
  const std::uint8_t port_ready = in.u8();
  const std::uint8_t control_pending = in.u8();
  const std::uint64_t output_offset = in.u64();
  if (!in.finished() || guest_open > 1 || port_ready > 1 || (control_pending & ~kSendBits) != 0) {
    return base::make_error(PYRO_ERROR_INVALID, "the saved state of the console cannot be");
  }
  port_ready_ = port_ready == 1;
  // The host of now may be connected where that of then was not, or the other way round.
  control_pending_ = static_cast<std::uint8_t>(control_pending | (port_ready_ ? kSendOpen : 0));
  output_offset_ = output_offset;
  starved_ = true;
  set_guest_open(guest_open == 1);
  return base::success();
}

}  // namespace pyro::devices::virtio
