// Machine backend of the software engine: one QEMU process, started with descriptors only.
#include "base/io.hpp"
#include "jail/child.hpp"
#include "jail/confine.hpp"
#include "jail/seccomp.hpp"
#include "machine/console_log.hpp"
#include "machine/initrd.hpp"
#include "machine/machine.hpp"
#include "machine/qemu/drain.hpp"
#include "machine/qemu/qcow2.hpp"
#include "machine/qemu/qemu_command.hpp"
#include "machine/qemu/qmp.hpp"
#include "machine/qemu/registers.hpp"
#include "machine/qemu/tsc.hpp"

#include <filesystem>
#include <optional>
#include <system_error>

#include <unistd.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/json.hpp>

namespace pyro::machine {

namespace {

namespace asio = boost::asio;

// QEMU's own needs beside guest memory and translated code: libraries, thread stacks (reserved, not
// used), block caches. Address space, not memory.
constexpr std::uint64_t kQemuAddressSpaceMib = 3 * 1024;
// A delta holds at most every cluster once, plus qcow2's own tables (under 1 %).
constexpr std::uint64_t kDeltaOverheadMib = 64;
constexpr std::uint64_t kQemuOpenFiles = 256;
// pyro-vm itself, once QEMU runs: its program, and 256 commands with a window of 256 KiB for each of three
// channels, four times over.
constexpr std::uint64_t kSupervisorAddressSpaceMib = 1024;
// More than a socket's buffer holds; an engine that goes on writing is not waited for.
constexpr int kMaxLastReads = 64;

class QemuMachine final : public Machine {
 public:
  QemuMachine(asio::io_context& io, MachineConfig config) : io_(io), config_(std::move(config)) {}
  ~QemuMachine() override = default;

  base::Status start(EndHandler on_end) override;
  base::Status confine() override;
  base::Fd take_agent_socket() override { return std::move(agent_); }
  [[nodiscard]] std::string console_tail() const override { return console_.tail(kConsoleTailLines); }
  [[nodiscard]] std::int64_t cpu_time_ms() const override { return child_ ? child_->cpu_time_ms() : -1; }
  void check_liveness(std::function<void(Liveness)> answer) override;

 private:
  base::Result<jail::Child> start_qemu(int console, int agent, int monitor);
  void read_console();
  ReadOutcome take_console();
  void wait_for_end();
  void report_end();
  [[nodiscard]] MachineEnd describe_end();

  asio::io_context& io_;
  MachineConfig config_;
  /// Beside QEMU's own: who is told that it ended may still have to write that down.
  base::Fd lock_;
  base::Fd slot_;
  std::uint64_t supervisor_file_bytes_ = 0;
  EndHandler on_end_;
  base::Fd agent_;
  ConsoleLog console_;
  std::string shutdown_reason_;
  bool stopped_ = false;
  bool end_reported_ = false;
  std::optional<asio::posix::stream_descriptor> console_socket_;
  std::optional<asio::posix::stream_descriptor> pidfd_;
  std::optional<QmpConnection> qmp_;
  std::optional<jail::Child> child_;
};

base::Status QemuMachine::start(EndHandler on_end) {
  on_end_ = std::move(on_end);
  if (!config_.keeps_disk) {
    PYRO_TRY(write_empty_qcow2(config_.delta.get(), config_.disk_mib * kMib));
  }
  PYRO_TRY_ASSIGN(base::FdPair console, base::make_socket_pair());
  PYRO_TRY_ASSIGN(base::FdPair agent, base::make_socket_pair());
  PYRO_TRY_ASSIGN(base::FdPair monitor, base::make_socket_pair());
  PYRO_TRY_ASSIGN(jail::Child child, start_qemu(console.second.get(), agent.second.get(), monitor.second.get()));
  child_.emplace(std::move(child));
  // The other files are QEMU's now.
  lock_ = std::move(config_.lock);
  slot_ = std::move(config_.slot);
  supervisor_file_bytes_ = config_.supervisor_file_bytes;
  config_ = MachineConfig{};
  agent_ = std::move(agent.first);

  console_socket_.emplace(io_, console.first.release());
  console_socket_->non_blocking(true);
  read_console();
  qmp_.emplace(io_, std::move(monitor.first), [this](std::string_view name, const boost::json::object& data) {
    const auto* reason = data.if_contains("reason");
    if (name == "STOP") {
      // Nobody is there to continue it.
      stopped_ = true;
      report_end();
    } else if (name == "SHUTDOWN" && reason != nullptr && reason->is_string()) {
      shutdown_reason_ = std::string(reason->as_string());
    }
  });
  qmp_->start();
  PYRO_TRY_ASSIGN(base::Fd pidfd, child_->duplicate_pidfd());
  pidfd_.emplace(io_, pidfd.release());
  wait_for_end();
  return base::success();
}

// What is left to do is moving frames, and ending QEMU.
base::Status QemuMachine::confine() {
  jail::ConfineOptions options;
  options.limits.address_space_bytes = kSupervisorAddressSpaceMib * kMib;
  options.limits.no_file_writes = supervisor_file_bytes_ == 0;
  options.limits.file_size_bytes = supervisor_file_bytes_;
  PYRO_TRY(jail::confine_process(options));
  return jail::install_filter(jail::ThreadKind::supervisor, {.engine_pidfd = child_->pidfd()});
}

base::Result<jail::Child> QemuMachine::start_qemu(int console, int agent, int monitor) {
  PYRO_TRY_ASSIGN(const base::Fd initrd, make_initrd(std::move(config_.initramfs), std::move(config_.agent)));
  jail::ChildOptions options;
  options.program = config_.engine.get();
  options.argv = qemu_command({config_.vcpu_count, config_.mem_mib, config_.keeps_disk}, measure_tsc_khz());
  options.fds = {{config_.kernel.get(), kQemuFdKernel},
                 {initrd.get(), kQemuFdInitrd},
                 {config_.root.get(), kQemuFdRoot},
                 {config_.scratch.get(), kQemuFdScratch},
                 {config_.delta.get(), kQemuFdDelta},
                 {console, kQemuFdConsole},
                 {agent, kQemuFdAgent},
                 {monitor, kQemuFdMonitor},
                 // What QEMU itself complains about belongs to the last words of the VM, too.
                 {console, STDERR_FILENO}};
  if (config_.lock.valid()) {
    options.fds.push_back({config_.lock.get(), kQemuFdLock});
    options.locked_fds.emplace_back(kQemuFdLock, kLockBytes);
  }
  if (config_.slot.valid()) {
    options.fds.push_back({config_.slot.get(), kQemuFdSlot});
    options.locked_fds.emplace_back(kQemuFdSlot, kSlotBytes);
  }
  options.limits.address_space_bytes = (config_.mem_mib + kTranslationBufferMib + kQemuAddressSpaceMib) * kMib;
  options.limits.file_size_bytes = (config_.disk_mib + config_.disk_mib / 64 + kDeltaOverheadMib) * kMib;
  options.limits.open_files = kQemuOpenFiles;
  std::error_code unknown;
  options.readable_paths = qemu_readable_paths(
      std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", config_.engine.get()), unknown).native());
  options.readable_fds = {kQemuFdKernel, kQemuFdInitrd};
  return jail::start_child(options);
}

void QemuMachine::read_console() {
  console_socket_->async_wait(asio::posix::stream_descriptor::wait_read,
                              [this](const boost::system::error_code& error) {
                                // One read per wake-up: a flood on the console does not starve everything else.
                                if (!error && take_console() != ReadOutcome::ended) {
                                  read_console();
                                }
                              });
}

ReadOutcome QemuMachine::take_console() {
  return read_once(console_socket_->native_handle(), [this](base::ByteView bytes) { console_.append(bytes); });
}

void QemuMachine::wait_for_end() {
  pidfd_->async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) {
      return;
    }
    qmp_->drain();
    report_end();
  });
}

void QemuMachine::report_end() {
  if (!std::exchange(end_reported_, true)) {
    for (int reads = 0; reads < kMaxLastReads && take_console() == ReadOutcome::data; ++reads) {
    }
    on_end_(describe_end());
  }
}

MachineEnd QemuMachine::describe_end() {
  if (shutdown_reason_ == "guest-shutdown") {
    return {MachineEnd::Kind::powered_off, "the guest powered itself off"};
  }
  if (shutdown_reason_ == "guest-reset") {
    return describe_reset(console_.panic_reason(), "the guest rebooted, or its CPU stopped with a triple fault");
  }
  return {MachineEnd::Kind::engine_died,
          fmt::format("the software engine (QEMU) {}", stopped_ ? "stopped the VM" : child_->describe_end())};
}

void QemuMachine::check_liveness(std::function<void(Liveness)> answer) {
  qmp_->query_text("info registers -a", [answer = std::move(answer)](const std::string& registers) {
    answer(all_halted_without_interrupts(registers) ? Liveness::halted_forever : Liveness::alive);
  });
}

}  // namespace

std::unique_ptr<Machine> make_qemu_machine(asio::io_context& io, MachineConfig config) {
  return std::make_unique<QemuMachine>(io, std::move(config));
}

}  // namespace pyro::machine
