// The VMs of a home folder that run now, one-shots included, counted in one file, $PYRO_HOME/slots. Each has a slot: a
// byte on which its supervisor holds a lock for as long as it lives, and a record of what it may take. The kernel drops
// the lock however that ends, so a slot is never left behind; a record without a lock means nothing.
//
// The supervisor's lock is its process's (POSIX). Whoever starts it holds one of the open file (OFD) until then, which the
// supervisor drops when it has its own: copies of the descriptor in children that the host forks meanwhile hold nothing.
//
// Who starts a VM looks at all slots and takes one under a lock of all starters, so that any number that start at once
// keep to the caps. A supervisor gets a descriptor that it cannot write with: a guest that owns it cannot forge records.
// Thread rule: free functions; any number of processes and threads may call them for the same folder.
#pragma once

#include "base/fd.hpp"
#include "client/caps.hpp"

#include <sys/types.h>

namespace pyro::client {

struct SlotRequest {
  pyro_engine engine = PYRO_ENGINE_AUTO;
  std::uint32_t mem_mib = 0;
};

/// What the VMs of a home folder take.
struct SlotUse {
  std::uint64_t vms = 0;
  std::uint64_t expected_mib = 0;
};

/// What a VM is expected to take of the host's memory that it does not share with others.
std::uint64_t expected_memory_mib(const SlotRequest& request, double overcommit) noexcept;

/// A slot for a VM that is about to be started. Freed with this object, unless a supervisor has taken it over. In a
/// forked child it only closes.
class VmSlot {
 public:
  VmSlot() = default;
  /// `file`: has the lock, and its byte is where the file is at.
  explicit VmSlot(base::Fd file) noexcept;
  VmSlot(VmSlot&&) noexcept = default;
  VmSlot& operator=(VmSlot&& other) noexcept;
  ~VmSlot() { release(); }

  [[nodiscard]] bool valid() const noexcept { return file_.valid(); }
  /// For the supervisor.
  [[nodiscard]] int fd() const noexcept { return file_.get(); }
  void release() noexcept;

 private:
  base::Fd file_;
  pid_t owner_ = 0;
};

/// Errors: LIMIT (a cap; the message says what is in use and what to free), TIMEOUT, INTERNAL.
base::Result<VmSlot> take_slot(const Settings& settings, const SlotRequest& request);

/// What is in use now.
base::Result<SlotUse> look_at_slots(const Settings& settings);

}  // namespace pyro::client
