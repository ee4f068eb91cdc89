// Machine: the narrow interface between a supervisor and whatever runs its VM.
//
// A Machine owns everything of one VM: memory, vCPUs, devices, processes. It is started once, tells
// once that it has ended, and takes all of it along when it is destroyed. What the guest says travels
// over agent_socket(); a Machine does not look into it.
// Thread rule: everything, callbacks included, on the thread that runs the io_context.
#pragma once

#include "base/fd.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

namespace pyro::machine {

/// The unit of sizes whose names end in _mib.
inline constexpr std::uint64_t kMib = 1024 * 1024;

/// What a machine is made of. All files were opened by the client; a machine knows no paths of them.
/// How many bytes of the two files of a VM are locked, from where the file is at (fcntl(2); 0: to the end).
inline constexpr off_t kLockBytes = 0;
inline constexpr off_t kSlotBytes = 1;

struct MachineConfig {
  /// Engine kvm rather than software.
  bool use_kvm = false;
  std::uint32_t vcpu_count = 1;
  std::uint32_t mem_mib = 0;
  std::uint32_t disk_mib = 0;
  base::Fd kernel;
  base::Fd initramfs;
  /// The agent's program, put into the initial file system as /init.
  base::Fd agent;
  base::Fd root;
  /// Pristine scratch file system of disk_mib, shared by all VMs of that size, never written.
  base::Fd scratch;
  /// Empty file that takes what the guest writes to its scratch disk; with keeps_disk the whole disk, and `scratch` is
  /// not used.
  base::Fd delta;
  /// The disk outlives the machine: raw, so that any engine can go on with it, and flushed when the guest asks for it.
  bool keeps_disk = false;
  /// Both are locked by this process, and stay open until the machine is destroyed (closing one would drop its lock); an
  /// engine that is another process locks them too. Held for as long as anything may write to the disk or the journal,
  base::Fd lock;
  /// and for as long as anything of the machine lives: the byte that the file is at.
  base::Fd slot;
  /// Files that the supervisor itself writes may become this large; 0: it writes none.
  std::uint64_t supervisor_file_bytes = 0;
  /// Engine software: QEMU's program. Engine kvm: an open /dev/kvm.
  base::Fd engine;
};

/// Why a machine ended by itself.
struct MachineEnd {
  enum class Kind {
    powered_off,  // the guest asked for it
    reset,        // the guest rebooted, or its CPU gave up (triple fault)
    panicked,     // the guest's kernel panicked
    engine_died,  // the engine's process ended for a reason of its own
  };
  Kind kind = Kind::engine_died;
  /// In words, for an error message.
  std::string detail;
};

/// A reset, or the panic that explains it: a kernel that panics resets the machine (panic=-1), as best it can.
/// `panic_reason` is the console's, which is the guest's word: no other end is explained by it. `detail` is for a reset
/// without one.
MachineEnd describe_reset(const std::string& panic_reason, std::string detail);

/// Whether a guest that does not answer can still be expected to.
enum class Liveness {
  /// It computes, or waits for an interrupt: slow, or starved by the host.
  alive,
  /// All vCPUs are halted with interrupts disabled: it never will.
  halted_forever,
};

class Machine {
 public:
  using EndHandler = std::function<void(MachineEnd)>;

  Machine() = default;
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  /// Ends the VM at once and frees everything of it.
  virtual ~Machine() = default;

  /// Starts the guest. `on_end` is called at most once, never from within this call.
  virtual base::Status start(EndHandler on_end) = 0;
  /// Locks this process down to what running the started machine takes (jail/confine.hpp, jail/seccomp.hpp).
  /// For good; called once, after start(), when the process holds every descriptor that it will ever need.
  virtual base::Status confine() = 0;
  /// Our end of the agent's console port: a stream socket. Given once, after start().
  virtual base::Fd take_agent_socket() = 0;
  /// The last lines that the guest wrote on its serial console; made printable.
  [[nodiscard]] virtual std::string console_tail() const = 0;
  /// CPU time that the guest has used so far; -1 if that cannot be told.
  [[nodiscard]] virtual std::int64_t cpu_time_ms() const = 0;
  /// How often and why the guest was left so far, in words; empty if that cannot be told.
  [[nodiscard]] virtual std::string exit_statistics() const { return {}; }
  /// Looks into the vCPUs; `answer` is called at most once.
  virtual void check_liveness(std::function<void(Liveness)> answer) = 0;
};

/// A machine of the kvm engine: room vmm, in this process.
std::unique_ptr<Machine> make_kvm_machine(boost::asio::io_context& io, MachineConfig config);
/// A machine of the software engine (QEMU, TCG).
std::unique_ptr<Machine> make_qemu_machine(boost::asio::io_context& io, MachineConfig config);
/// Whichever `config` asks for.
std::unique_ptr<Machine> make_machine(boost::asio::io_context& io, MachineConfig config);

}  // namespace pyro::machine
