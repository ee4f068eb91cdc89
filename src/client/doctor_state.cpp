// The checks of pyro_doctor() that are about what runs and what is kept: caps, and the registry.
#include "client/doctor.hpp"
#include "client/vm_cgroup.hpp"
#include "client/vm_index.hpp"
#include "client/vm_slots.hpp"

namespace pyro::client {

namespace {

std::string number(std::uint64_t cap) {
  return cap == Caps::kNone ? "any number" : fmt::format("{}", cap);
}

}  // namespace

Check check_limits(const Settings& settings) {
  const auto use = look_at_slots(settings);
  if (!use.ok()) {
    return Check{"limits", PYRO_CHECK_FAILED, use.error().message, "Set PYRO_HOME to a folder that you can write to"};
  }
  const Caps caps = with_defaults(settings.caps, settings.home);
  const auto room = disk_room(settings.home);
  const std::string message = fmt::format(
      "{} of {} VMs; {} of {} MiB of memory expected ({} MiB for one of 1024 MiB); {} MiB of disk kept free", use->vms,
      number(caps.max_vms), use->expected_mib, number(caps.max_mem_mib),
      expected_memory_mib({PYRO_ENGINE_SOFTWARE, 1024}, caps.mem_overcommit), caps.disk_reserve_mib);
  const std::uint64_t least = expected_memory_mib({PYRO_ENGINE_KVM, 128}, caps.mem_overcommit);
  if (use->vms >= caps.max_vms || use->expected_mib + least > caps.max_mem_mib ||
      (room && room->free_mib < caps.disk_reserve_mib)) {
    return Check{"limits", PYRO_CHECK_WARNING, message,
                 "No VM can be started now: stop or delete some (pyro task list), free some disk, or raise "
                 "PYRO_MAX_VMS, PYRO_MAX_MEM_MIB, PYRO_MEM_OVERCOMMIT, or lower PYRO_DISK_RESERVE_MIB"};
  }
  return Check{"limits", PYRO_CHECK_OK, message, ""};
}

Check check_cpu_shares(const Settings& settings) {
  if (settings.cgroup.empty()) {
    return Check{"cpu-shares", PYRO_CHECK_OK, "VMs share CPUs by their processes: no cgroup is named (PYRO_CGROUP)",
                 ""};
  }
  if (const auto usable = check_cgroup(settings.cgroup); !usable.ok()) {
    return Check{"cpu-shares", PYRO_CHECK_FAILED, usable.error().message, "No VM can be started with it"};
  }
  return Check{"cpu-shares", PYRO_CHECK_OK, "each VM has an equal share, in a cgroup below " + settings.cgroup, ""};
}

Check check_registry(const Context& context) {
  const auto checked = context.index->check();
  if (checked.ok()) {
    return Check{"registry", PYRO_CHECK_OK, "lists of tasks and VMs are answered from it", ""};
  }
  return Check{"registry", PYRO_CHECK_WARNING, checked.error().message,
               checked.error().code == PYRO_ERROR_STATE         ? "Run pyro registry rebuild"
               : checked.error().code == PYRO_ERROR_UNSUPPORTED ? "Use the libpyro that made it, or a newer one"
                                                                : "Lists work without it, slower"};
}

}  // namespace pyro::client
