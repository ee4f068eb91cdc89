#include "client/caps.hpp"

#include "base/io.hpp"

#include <algorithm>
#include <charconv>

#include <sys/statvfs.h>
#include <unistd.h>

namespace pyro::client {

namespace {

constexpr std::uint64_t kMib = 1024 * 1024;
constexpr std::uint64_t kVmsPerCpu = 32;
constexpr std::uint64_t kLeastVms = 64;
constexpr std::uint64_t kReserveMib = 1024;
constexpr std::uint64_t kReserveShare = 50;  // of the disk, as a divisor
constexpr double kOvercommit = 8;
constexpr double kMaxOvercommit = 1000;

base::Result<std::uint64_t> read_count(const char* name, const std::string& text) {
  if (text.empty()) {
    return std::uint64_t{0};
  }
  if (text == "none") {
    return Caps::kNone;
  }
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value == 0) {
    return base::make_error(PYRO_ERROR_INVALID, "{} is \"{}\": a number from 1 on, or none", name, text);
  }
  return value;
}

base::Result<double> read_overcommit(const std::string& text) {
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (!text.empty() && (failure != std::errc() || end != text.data() + text.size() || !(value >= 1))) {
    return base::make_error(PYRO_ERROR_INVALID, "PYRO_MEM_OVERCOMMIT is \"{}\": a number from 1 to {}", text,
                            kMaxOvercommit);
  }
  return value;
}

// The least memory.max from this process's cgroup up to the root; kNone: there is none.
std::uint64_t cgroup_memory_bytes() {
  const auto own = base::read_file("/proc/self/cgroup", 64 * 1024);
  std::uint64_t least = Caps::kNone;
  constexpr std::string_view kUnified = "0::";  // cgroups(7)
  const std::size_t begin = own.ok() ? ("\n" + *own).find("\n0::") : std::string::npos;
  if (begin == std::string::npos) {
    return least;
  }
  std::string path = own->substr(begin + kUnified.size(), own->find('\n', begin) - begin - kUnified.size());
  while (true) {
    const auto limit = base::read_file("/sys/fs/cgroup" + path + "/memory.max", 64);
    std::uint64_t bytes = 0;
    // "max": no limit.
    if (limit.ok() && std::from_chars(limit->data(), limit->data() + limit->size(), bytes).ec == std::errc()) {
      least = std::min(least, bytes);
    }
    if (path.empty() || path == "/") {
      return least;
    }
    path.erase(path.find_last_of('/'));
  }
}

}  // namespace

base::Result<Caps> read_caps(const pyro_open_options& options,
                             const std::function<std::string(const char*)>& environment_variable) {
  const auto count = [&](std::uint64_t option, const char* name) {
    return option != 0 ? base::Result<std::uint64_t>(option) : read_count(name, environment_variable(name));
  };
  Caps caps;
  PYRO_TRY_ASSIGN(caps.max_vms, count(options.max_vms, "PYRO_MAX_VMS"));
  PYRO_TRY_ASSIGN(caps.max_mem_mib, count(options.max_mem_mib, "PYRO_MAX_MEM_MIB"));
  PYRO_TRY_ASSIGN(caps.disk_reserve_mib, count(options.disk_reserve_mib, "PYRO_DISK_RESERVE_MIB"));
  caps.mem_overcommit = options.mem_overcommit;
  if (caps.mem_overcommit == 0) {
    PYRO_TRY_ASSIGN(caps.mem_overcommit, read_overcommit(environment_variable("PYRO_MEM_OVERCOMMIT")));
  }
  if (caps.mem_overcommit != 0 && !(caps.mem_overcommit >= 1 && caps.mem_overcommit <= kMaxOvercommit)) {
    return base::make_error(PYRO_ERROR_INVALID, "mem_overcommit is {}: 1 to {} are possible", caps.mem_overcommit,
                            kMaxOvercommit);
  }
  return caps;
}

std::uint64_t host_memory_mib() {
  const auto pages = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 0L));
  const auto page_bytes = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 0L));
  return std::min(pages * page_bytes, cgroup_memory_bytes()) / kMib;
}

std::optional<DiskRoom> disk_room(const std::string& path) {
  struct statvfs disk {};
  if (::statvfs(path.c_str(), &disk) != 0) {
    return std::nullopt;
  }
  return DiskRoom{disk.f_blocks * disk.f_frsize / kMib, disk.f_bavail * disk.f_frsize / kMib};
}

Caps with_defaults(Caps caps, const std::string& home) {
  if (caps.max_vms == 0) {
    const auto cpus = static_cast<std::uint64_t>(std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L));
    caps.max_vms = std::max(kLeastVms, cpus * kVmsPerCpu);
  }
  if (caps.max_mem_mib == 0) {
    caps.max_mem_mib = host_memory_mib();
  }
  if (caps.disk_reserve_mib == Caps::kNone) {
    caps.disk_reserve_mib = 0;
  } else if (caps.disk_reserve_mib == 0) {
    const auto room = disk_room(home);
    caps.disk_reserve_mib = room ? std::min(kReserveMib, room->total_mib / kReserveShare) : 0;
  }
  if (caps.mem_overcommit == 0) {
    caps.mem_overcommit = kOvercommit;
  }
  return caps;
}

}  // namespace pyro::client
