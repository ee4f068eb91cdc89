// The agent: serves one supervisor over the link until the guest ends.
// Thread rule: one thread.
#pragma once

#include "guest/boot.hpp"
#include "guest/command.hpp"
#include "guest/disk_sync.hpp"
#include "guest/event_loop.hpp"
#include "guest/inner_namespace.hpp"
#include "guest/link.hpp"
#include "guest/link_rules.hpp"

#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace pyro::guest {

class Agent {
 public:
  /// `machine`: booted; `link`: owns the port.
  Agent(Machine machine, Link& link, base::Fd epoll)
      : machine_(std::move(machine)), link_(link), loop_(std::move(epoll)) {}

  /// Says hello and serves. Comes back when the guest is to power off (success), or cannot go on.
  base::Status serve();
  /// Ends all commands and leaves the scratch disk clean.
  void shut_down();

 private:
  base::Status receive();
  base::Status handle_frames();
  base::Status on_frame(wire::Frame& frame);
  base::Status on_personalise(const wire::Frame& frame);
  base::Status on_exec(wire::Frame& frame);
  void prepare_cgroup();
  void load_idle_drivers_when_due();
  base::Result<CommandCgroup> take_cgroup();
  void refuse(std::uint32_t stream, const base::Error& error);
  base::Status make_inner_namespace();
  base::Status renew_inner_namespace();
  void drop_finished();
  void tidy_cgroups();

  Machine machine_;
  Link& link_;
  LinkRules rules_;
  EventLoop loop_;
  /// Of a disk that outlives the VM.
  std::unique_ptr<DiskSync> disk_sync_;
  std::unique_ptr<InnerNamespace> inner_;
  std::unique_ptr<Watch> inner_watch_;
  std::map<std::uint32_t, std::unique_ptr<Command>> commands_;
  /// Cgroups of commands that have ended, where something still runs.
  std::vector<std::string> leftover_cgroups_;
  std::uint64_t next_command_ = 1;
  std::optional<CommandCgroup> next_cgroup_;
  /// An exec that came while the namespace was ending. Until there is a new one no frame is handled.
  std::optional<wire::Frame> held_exec_;
  /// When load_idle_drivers() is due, on the monotonic clock; nothing before `ready`, and once it has been.
  std::optional<std::int64_t> idle_drivers_at_ms_;
  bool inner_ended_ = false;
  bool power_off_ = false;
};

}  // namespace pyro::guest
