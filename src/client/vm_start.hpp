// Everything up to the start of a supervisor: engine, environment, scratch disk. All of it is repeated from the top after
// pyro-image made what was missing, so that there is one way through. Used by every operation that starts a VM.
// Thread rule: as Op.
#pragma once

#include "client/context.hpp"
#include "client/engine.hpp"
#include "client/environment_store.hpp"
#include "client/event.hpp"
#include "client/image_child.hpp"
#include "client/kvm_probe.hpp"
#include "client/poller.hpp"
#include "client/run_request.hpp"
#include "client/vm_cgroup.hpp"
#include "client/vm_link.hpp"
#include "client/vm_slots.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace pyro::client {

/// What a VM that outlives its client has beside the files of its environment.
struct KeptVmFiles {
  /// The whole scratch disk.
  base::Fd disk;
  base::Fd listener;
  base::Fd commands;
  base::Fd output;
  base::Fd lock;
};

class VmStart {
 public:
  struct Hooks {
    std::function<void(Event)> emit;
    std::function<void(jail::Process)> retire;
    /// Only for a VM that outlives its client: called when all else is there, with the environment's digest, the engine
    /// and the pristine scratch image.
    std::function<base::Result<KeptVmFiles>(const std::string& digest, pyro_engine engine, const base::Fd& scratch)>
        keep = {};
  };

  /// `poller` outlives this.
  VmStart(ContextPtr context, Poller& poller, VmSpec spec, std::string vm_id, Hooks hooks)
      : context_(std::move(context)),
        poller_(poller),
        spec_(std::move(spec)),
        vm_id_(std::move(vm_id)),
        hooks_(std::move(hooks)) {}

  /// Goes as far as it can. The supervisor, configured, once it is started; nothing before: call again when the poller
  /// wakes.
  base::Result<std::unique_ptr<VmLink>> poll();
  /// Ends what was started, without waiting.
  void stop() noexcept;

  /// The one that was chosen; AUTO before.
  [[nodiscard]] pyro_engine engine() const noexcept { return engine_; }
  /// When the supervisor was started.
  [[nodiscard]] std::int64_t launched_ms() const noexcept { return launched_ms_; }

 private:
  base::Result<bool> know_kvm();
  base::Status ask_image(ImageRequest request, std::string_view why);
  base::Result<std::unique_ptr<VmLink>> launch(EnvironmentFiles files, base::Fd scratch);

  ContextPtr context_;
  Poller& poller_;
  VmSpec spec_;
  std::string vm_id_;
  Hooks hooks_;
  pyro_engine engine_ = PYRO_ENGINE_AUTO;
  std::int64_t launched_ms_ = 0;
  std::optional<ProbeRun> probe_;
  std::optional<KvmProbe> kvm_;
  std::unique_ptr<ImageChild> image_;
  /// Among the VMs of the home folder.
  FileLock slot_;
  VmCgroup cgroup_;
  /// What pyro-image was asked for so far.
  std::vector<std::string> asked_;
};

/// 60 random bits in letters and digits that a model or a person copies without mistakes.
std::string make_vm_id();

}  // namespace pyro::client
