// The command line of QEMU for one VM: everything by descriptor number, nothing by path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::machine {

/// Descriptor numbers inside QEMU.
enum QemuFd : int {
  kQemuFdKernel = 10,
  kQemuFdInitrd,
  kQemuFdRoot,
  kQemuFdScratch,
  kQemuFdDelta,
  kQemuFdConsole,
  kQemuFdAgent,
  kQemuFdMonitor,
  kQemuFdLock,
  kQemuFdSlot,
};

/// Room for translated code per VM. QEMU's default is 1 GiB; the kernel and a working set of commands
/// fit well into this, and a full buffer only costs translating again.
inline constexpr std::uint32_t kTranslationBufferMib = 128;

/// What QEMU reads on the host: the system's libraries and firmware, and of a `program` that lies elsewhere
/// (".../bin/qemu-system-x86_64") its own ones.
std::vector<std::string> qemu_readable_paths(std::string_view program);

struct QemuOptions {
  std::uint32_t vcpu_count = 1;
  std::uint32_t mem_mib = 0;
  /// MachineConfig::keeps_disk.
  bool keeps_disk = false;
};

std::vector<std::string> qemu_command(const QemuOptions& options, std::uint64_t tsc_khz);

}  // namespace pyro::machine
