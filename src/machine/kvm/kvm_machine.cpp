// Machine backend of the kvm engine: room vmm's Monitor in this very process.
#include "devices/file_disk.hpp"
#include "devices/overlay_disk.hpp"
#include "jail/confine.hpp"
#include "jail/seccomp.hpp"
#include "machine/console_log.hpp"
#include "machine/guest_command_line.hpp"
#include "machine/initrd.hpp"
#include "machine/kvm/agent_port.hpp"
#include "machine/machine.hpp"
#include "vmm/monitor.hpp"

#include <algorithm>
#include <mutex>
#include <optional>

#include <boost/asio/posix/stream_descriptor.hpp>

namespace pyro::machine {

namespace {

namespace asio = boost::asio;

// The serial console's text, written by vCPUs and read by the main loop.
class SharedConsoleLog {
 public:
  void append(base::ByteView bytes) {
    const std::lock_guard lock(mutex_);
    log_.append(bytes);
  }
  [[nodiscard]] std::string tail() const {
    const std::lock_guard lock(mutex_);
    return log_.tail(kConsoleTailLines);
  }
  [[nodiscard]] std::string panic_reason() const {
    const std::lock_guard lock(mutex_);
    return log_.panic_reason();
  }

 private:
  mutable std::mutex mutex_;
  ConsoleLog log_;
};

class KvmMachine final : public Machine {
 public:
  KvmMachine(asio::io_context& io, MachineConfig config) : io_(io), config_(std::move(config)) {}

  base::Status start(EndHandler on_end) override;
  base::Status confine() override { return jail::install_filter(jail::ThreadKind::main); }
  base::Fd take_agent_socket() override { return std::move(agent_); }
  [[nodiscard]] std::string console_tail() const override { return console_.tail(); }
  [[nodiscard]] std::int64_t cpu_time_ms() const override { return monitor_ ? monitor_->cpu_time_ms() : -1; }
  [[nodiscard]] std::string exit_statistics() const override;
  void check_liveness(std::function<void(Liveness)> answer) override;

 private:
  base::Result<vmm::MonitorConfig> monitor_config();
  base::Result<std::unique_ptr<devices::BlockBackend>> scratch_disk();
  void wait_for_events();
  [[nodiscard]] MachineEnd describe_end(const vmm::RunEnd& end) const;

  asio::io_context& io_;
  MachineConfig config_;
  EndHandler on_end_;
  base::Fd agent_;
  SharedConsoleLog console_;
  std::optional<AgentPort> agent_port_;
  std::unique_ptr<vmm::Monitor> monitor_;
  std::optional<asio::posix::stream_descriptor> events_;
};

base::Status KvmMachine::start(EndHandler on_end) {
  on_end_ = std::move(on_end);
  PYRO_TRY_ASSIGN(base::FdPair agent, base::make_socket_pair());
  agent_ = std::move(agent.first);
  agent_port_.emplace(io_, std::move(agent.second));
  PYRO_TRY_ASSIGN(vmm::MonitorConfig config, monitor_config());
  PYRO_TRY_ASSIGN(monitor_, vmm::Monitor::create(std::move(config)));
  agent_port_->attach(monitor_->agent_console());
  // The descriptor stays the monitor's.
  PYRO_TRY_ASSIGN(base::Fd events, base::duplicate_fd(monitor_->fd()));
  events_.emplace(io_, events.release());
  wait_for_events();
  // Before the other threads exist, each of which then puts itself under its own filter.
  jail::ConfineOptions options;
  options.limits.file_size_bytes = std::max(config_.disk_mib * kMib, config_.supervisor_file_bytes);
  PYRO_TRY(jail::confine_process(options));
  return monitor_->start();
}

base::Result<vmm::MonitorConfig> KvmMachine::monitor_config() {
  vmm::MonitorConfig config;
  config.kvm = std::move(config_.engine);
  config.vcpu_count = config_.vcpu_count;
  config.mem_mib = config_.mem_mib;
  config.kernel = std::move(config_.kernel);
  PYRO_TRY_ASSIGN(config.initrd, initrd_parts(std::move(config_.initramfs), std::move(config_.agent)));
  config.command_line = kvm_command_line();
  config.root = std::move(config_.root);
  PYRO_TRY_ASSIGN(config.scratch, scratch_disk());
  config.on_serial = [this](base::ByteView bytes) { console_.append(bytes); };
  config.agent.output = [this](base::ByteView bytes) { return agent_port_->take(bytes); };
  config.agent.writable = [this] { agent_port_->resume(); };
  config.enter_thread = [](vmm::ThreadKind kind) {
    return jail::install_filter(kind == vmm::ThreadKind::vcpu ? jail::ThreadKind::vcpu : jail::ThreadKind::block);
  };
  config.on_device_fault = [this](std::string_view why) {
    console_.append(base::as_bytes(fmt::format("\n[pyro-vm] the guest broke a device: {}\n", why)));
  };
  return config;
}

base::Result<std::unique_ptr<devices::BlockBackend>> KvmMachine::scratch_disk() {
  std::unique_ptr<devices::BlockBackend> disk;
  if (config_.keeps_disk) {
    PYRO_TRY_ASSIGN(disk, devices::FileDisk::open(std::move(config_.delta), devices::FileDisk::Access::read_write));
  } else {
    PYRO_TRY_ASSIGN(disk, devices::OverlayDisk::create(std::move(config_.scratch), std::move(config_.delta),
                                                       devices::OverlayDisk::Durability::none));
  }
  return disk;
}

void KvmMachine::wait_for_events() {
  events_->async_wait(asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) {
      return;
    }
    monitor_->service();
    if (const auto end = monitor_->ended()) {
      // What the guest said before it went may have rung after the first look.
      monitor_->service();
      return on_end_(describe_end(*end));
    }
    wait_for_events();
  });
}

MachineEnd KvmMachine::describe_end(const vmm::RunEnd& end) const {
  switch (end.kind) {
    case vmm::RunEnd::Kind::powered_off:
      return {MachineEnd::Kind::powered_off, end.detail};
    case vmm::RunEnd::Kind::reset:
    case vmm::RunEnd::Kind::triple_fault:
      return describe_reset(console_.panic_reason(), end.detail);
    case vmm::RunEnd::Kind::not_emulated:
      return {MachineEnd::Kind::reset, end.detail};
    case vmm::RunEnd::Kind::failed:
      break;
  }
  return {MachineEnd::Kind::engine_died, end.detail};
}

std::string KvmMachine::exit_statistics() const {
  const vmm::ExitCounts exits = monitor_->exits();
  std::string text = fmt::format("the guest was left {} times", exits.total);
  for (const devices::AccessCount& count : exits.devices) {
    if (count.reads + count.writes > 0) {
      text += fmt::format(", {} {}r {}w", count.name, count.reads, count.writes);
    }
  }
  return text;
}

void KvmMachine::check_liveness(std::function<void(Liveness)> answer) {
  const auto halted = monitor_->is_halted_forever();
  answer(halted.ok() && *halted ? Liveness::halted_forever : Liveness::alive);
}

}  // namespace

std::unique_ptr<Machine> make_kvm_machine(asio::io_context& io, MachineConfig config) {
  return std::make_unique<KvmMachine>(io, std::move(config));
}

}  // namespace pyro::machine
