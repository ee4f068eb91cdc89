// Measures /dev/kvm by running `pyro-vm --probe`, once per boot: opening it proves nothing, since a
// /dev/kvm that emulates the guest's kernel opens as well. The outcome is kept in $PYRO_HOME/probe.json
// together with everything that could change it.
// Thread rule: a ProbeRun belongs to one thread at a time.
#pragma once

#include "client/context.hpp"
#include "client/engine.hpp"
#include "client/poller.hpp"
#include "jail/spawn.hpp"

#include <optional>

namespace pyro::client {

/// What is known without measuring: there is no /dev/kvm, or it was measured before.
std::optional<KvmProbe> known_probe(const Context& context);

class ProbeRun {
 public:
  /// The probe needs a few milliseconds, and ends by itself within a second; starting it may take long on a busy host.
  /// One that hangs is killed after this.
  static constexpr std::int64_t kDeadlineMs = 5000;

  /// Starts measuring; call poll() now and whenever `poller` wakes. Never fails: what goes wrong
  /// becomes the outcome.
  ProbeRun(ContextPtr context, Poller& poller);
  ProbeRun(const ProbeRun&) = delete;
  ProbeRun& operator=(const ProbeRun&) = delete;
  ~ProbeRun();
  /// The outcome, once it is there. What could be measured is remembered for the next time.
  std::optional<KvmProbe> poll();
  /// Kills the process, without waiting; the destructor waits.
  void stop() noexcept;
  /// Kills the process and gives it away, so that nobody waits for it here. The last call.
  std::optional<jail::Process> release() noexcept;

 private:
  base::Status start();
  KvmProbe conclude();

  ContextPtr context_;
  Poller& poller_;
  std::int64_t deadline_ms_ = 0;
  std::string failure_;
  std::string output_;
  std::optional<jail::Process> process_;
  base::Fd stdout_;
  Watch stdout_watch_;
  Watch process_watch_;
};

}  // namespace pyro::client
