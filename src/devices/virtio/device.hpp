// A virtio device without its transport: what it is, and what it does with a queue.
// Thread rule: device_id, features, queue_sizes, read_config and write_config from any thread; everything else only
// inside the work of its transport (virtio/transport.hpp), so one thread at a time.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "devices/virtio/queue.hpp"
#include "devices/virtio/transport.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace pyro::devices::virtio {

class Device {
 public:
  Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;
  virtual ~Device() = default;

  /// VIRTIO_ID_…
  [[nodiscard]] virtual std::uint32_t device_id() const noexcept = 0;
  /// What the device offers besides the transport's own VERSION_1, INDIRECT_DESC and EVENT_IDX. Constant.
  [[nodiscard]] virtual std::uint64_t features() const noexcept = 0;
  /// The largest size of each queue, powers of two. Constant.
  [[nodiscard]] virtual std::span<const std::uint16_t> queue_sizes() const noexcept = 0;

  /// Any offset and size; bytes beyond the device's configuration are left as they are (the transport zeroes them).
  virtual void read_config(std::uint64_t offset, std::span<std::byte> data) const noexcept = 0;
  virtual void write_config(std::uint64_t /*offset*/, base::ByteView /*data*/) noexcept {}

  /// The driver has finished setting up: queues can be used.
  virtual void activate() noexcept {}
  /// Back to the state after construction; queues are gone. What the host has set stays.
  virtual void reset() noexcept {}
  /// The driver rang for this queue, or may have.
  virtual void process_queue(std::uint16_t index) noexcept = 0;

  /// The device's own state, without features, queues and status, which the transport keeps.
  virtual void save(base::ByteWriter& /*out*/) const {}
  /// Takes over what save() wrote, which may have been tampered with. The transport is as it was then, queues included. What
  /// is not all of `in`, to its end, is refused, and then nothing is changed.
  virtual base::Status restore(base::ByteReader& /*in*/) { return base::success(); }

  /// Called once, by the transport that takes the device.
  void attach(Transport& transport) noexcept { transport_ = &transport; }

 protected:
  /// Only after attach(): not in a constructor.
  [[nodiscard]] Transport& transport() const noexcept { return *transport_; }
  [[nodiscard]] bool attached() const noexcept { return transport_ != nullptr; }

  /// Serves a queue until it is empty: `serve(chain)` for each chain, and it is to push it. Doorbells are off meanwhile.
  template <typename Serve>
  void serve_queue(Queue& queue, Serve serve) {
    do {
      queue.disable_notifications();
      while (transport().may_continue()) {
        if (!queue.pop(chain_)) {
          break;
        }
        serve(chain_);
      }
    } while (queue.enable_notifications() && transport().may_continue());
  }

  /// Where serve_queue() puts each chain; for others who work on a queue, too.
  Chain chain_;

 private:
  Transport* transport_ = nullptr;
};

/// Copies the part of `config` that an access at `offset` covers.
inline void copy_config(base::ByteView config, std::uint64_t offset, std::span<std::byte> data) noexcept {
  if (offset < config.size()) {
    const base::ByteView from = config.subspan(static_cast<std::size_t>(offset));
    std::memcpy(data.data(), from.data(), std::min(from.size(), data.size()));
  }
}

}  // namespace pyro::devices::virtio
