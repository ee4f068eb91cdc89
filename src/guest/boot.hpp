// From the kernel's start to the parked agent: everything that does not depend on which VM this is, so
// that a guest may be kept as a template here.
// Thread rule: one thread.
#pragma once

#include "guest/cgroups.hpp"
#include "guest/modules.hpp"

#include <string>

namespace pyro::guest {

/// A booted guest.
struct Machine {
  /// The port to the supervisor, open on both ends.
  base::Fd port;
  CgroupTree cgroups;
  /// Device file of the scratch disk, not mounted yet.
  std::string scratch_disk;
  /// For load_idle_drivers().
  ModuleLoader modules;
};

/// Where the agent has things in its own mount namespace, which no command sees.
inline constexpr const char* kLowerPath = "/lower";      // root image, EROFS, read-only
inline constexpr const char* kScratchPath = "/scratch";  // scratch disk, ext4
inline constexpr const char* kRootPath = "/newroot";     // overlay of both: root of the commands
inline constexpr const char* kPtsPath = "/pts";          // devpts of the commands

/// Descriptors 0 to 3 of the agent are taken by nothing of value: a command's process finds 0 to 2 free
/// for its streams and this one for its report, whatever else it holds.
inline constexpr int kReportFd = 3;

/// Of the agent's threads, among SCHED_RR: above every command.
inline constexpr int kAgentPriority = 1;

/// Mounts the kernel's file systems, loads modules, opens the port (into `port`, at once, so that the
/// caller can report what fails after it), mounts the root image and sets up cgroups.
base::Status boot(Machine& machine);

/// The driver that no command waits for: of the balloon, through which the host gets back the memory that is free here.
/// Without it the guest works as well; what fails is a line on the console.
void load_idle_drivers(ModuleLoader& modules);

}  // namespace pyro::guest
