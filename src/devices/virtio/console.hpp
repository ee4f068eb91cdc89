// virtio-console (virtio 1.2, 5.3) with one named port, over which the guest's agent talks to its supervisor. Port 0,
// which a driver takes for a terminal, is never announced.
//
// Both directions have back pressure and no buffer of their own: what the host does not take stays in the guest's
// buffers, and what the guest has no buffer for stays with the host.
//
// Thread rule: as virtio::Device; send, resume_output and set_connected from any thread (they wait for whoever works
// for the device). The host's functions are called by whoever works, and may call these three in turn.
#pragma once

#include "devices/virtio/device.hpp"

#include <atomic>
#include <functional>
#include <string>

namespace pyro::devices::virtio {

/// The host's end of the port.
struct ConsoleHost {
  /// Takes bytes from the guest and says how many; after fewer than all, nothing comes until resume_output().
  /// They lie in guest memory, and the guest may change them meanwhile: copy first, look later.
  std::function<std::size_t(base::ByteView)> output;
  /// After send() put less than it was given: there may be room again.
  std::function<void()> writable;
  /// A program in the guest opened the port, or closed it. May be empty.
  std::function<void(bool open)> guest_open;
};

/// Bytes of a port's name.
inline constexpr std::size_t kMaxPortNameBytes = 64;

class Console final : public Device {
 public:
  /// `port_name`: what the guest finds in /sys/class/virtio-ports/*/name; its number is 1.
  Console(const std::string& port_name, ConsoleHost host);

  /// Puts bytes into the guest's buffers and gives how many; none while the port is closed on either side.
  /// After fewer than all, ConsoleHost::writable says when to go on.
  std::size_t send(base::ByteView bytes) noexcept;
  /// ConsoleHost::output can take more.
  void resume_output() noexcept;
  /// Opens or closes the host's end, which the guest is told. While it is closed, what the guest writes is dropped.
  void set_connected(bool connected) noexcept;
  /// Whether a program in the guest has the port open. Any thread.
  [[nodiscard]] bool guest_open() const noexcept { return guest_open_.load(); }

  std::uint32_t device_id() const noexcept override { return VIRTIO_ID_CONSOLE; }
  std::uint64_t features() const noexcept override;
  std::span<const std::uint16_t> queue_sizes() const noexcept override;
  void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept override;
  void reset() noexcept override;
  void process_queue(std::uint16_t index) noexcept override;

  void save(base::ByteWriter& out) const override;
  base::Status restore(base::ByteReader& in) override;

 private:
  void drain_output(Queue& queue) noexcept;
  void put_out(Queue& queue, const Chain& chain) noexcept;
  void receive_control(const Chain& chain) noexcept;
  void send_control() noexcept;
  void now_writable() noexcept;
  void set_guest_open(bool open) noexcept;

  const std::string port_name_;
  const ConsoleHost host_;

  // What the host does.
  bool connected_ = false;
  bool starved_ = false;  // send() put less than it was given
  bool blocked_ = false;  // output() took less than it was given
  bool resumed_ = false;  // resume_output() since output() was last called
  // What the guest does.
  std::atomic<bool> guest_open_{false};
  bool port_ready_ = false;
  std::uint64_t output_offset_ = 0;  // bytes of the first available chain that output() has taken
  // Control messages that wait for a buffer, a bit each: however often a guest asks, there are three.
  std::uint8_t control_pending_ = 0;
  // Not chain_, which may be under way when the host sends from inside output().
  Chain send_chain_;
};

}  // namespace pyro::devices::virtio
