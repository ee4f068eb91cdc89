// The VMs of a home folder that run now, one-shots included, counted in one file, $PYRO_HOME/slots. Each has a slot: a
// byte on which its supervisor or its engine hold a lock for as long as they live, and a record of what it may take. The
// kernel drops the lock however they end, so a slot is never left behind; a record without a lock means nothing.
//
// Their locks are their processes' (POSIX). Whoever starts them holds one of the open file (OFD) until then, which the
// supervisor drops when it has its own: copies of the descriptor in children that the host forks meanwhile hold nothing.
//
// Who starts a VM looks at all slots and takes one under a lock of all starters, so that any number that start at once
// keep to the caps. A supervisor gets a descriptor that it cannot write with: a guest that owns it cannot forge records.
// Thread rule: free functions; any number of processes and threads may call them for the same folder.
#pragma once

#include "client/caps.hpp"
#include "client/file_lock.hpp"

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

/// A slot for a VM that is about to be started: a lock, of which the supervisor gets the descriptor. Errors: LIMIT (a cap;
/// the message says what is in use and what to free), TIMEOUT, INTERNAL.
base::Result<FileLock> take_slot(const Settings& settings, const SlotRequest& request);

/// What is in use now.
base::Result<SlotUse> look_at_slots(const Settings& settings);

}  // namespace pyro::client
