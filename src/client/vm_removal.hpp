// Removing a VM that outlives its client: its supervisor is told to drop everything, and killed if it does not; then the
// folder goes. Nothing of the guest is asked.
// Thread rule: as Op.
#pragma once

#include "client/context.hpp"
#include "client/vm_control.hpp"
#include "client/vm_folder.hpp"

namespace pyro::client {

class VmRemoval {
 public:
  /// `folder` and `poller` outlive this.
  VmRemoval(ContextPtr context, const VmFolder& folder, Poller& poller);
  /// True once it is gone; false: call again when the poller wakes. Errors: TIMEOUT (its supervisor does not even die),
  /// INTERNAL.
  base::Result<bool> poll();
  void stop() noexcept { control_.stop(); }

 private:
  base::Status kill();

  ContextPtr context_;
  const VmFolder& folder_;
  Poller& poller_;
  VmControl control_;
  std::int64_t deadline_ms_;
  bool told_ = false;
  bool killed_ = false;
};

}  // namespace pyro::client
