#include "client/vm_start.hpp"

#include "base/build_id.hpp"
#include "base/clock.hpp"
#include "base/io.hpp"
#include "client/home.hpp"
#include "client/programs.hpp"

#include <algorithm>
#include <random>

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

namespace pyro::client {

namespace {

/// How often pyro-image is asked for the same thing. Once does it, unless a prune comes between its answer and our
/// opening of the files; twice in a row that is no coincidence.
constexpr std::ptrdiff_t kMaxAsks = 2;

constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";

}  // namespace

std::string make_vm_id() {
  std::array<unsigned char, 12> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    std::random_device device;
    std::generate(random.begin(), random.end(), [&device] { return static_cast<unsigned char>(device()); });
  }
  std::string id;
  for (const unsigned char byte : random) {
    id.push_back(kAlphabet[byte % kAlphabet.size()]);
  }
  return id;
}

base::Result<std::unique_ptr<VmLink>> VmStart::poll() {
  if (image_) {
    PYRO_TRY_ASSIGN(const auto answer, image_->poll(hooks_.emit));
    if (!answer.has_value()) {
      return std::unique_ptr<VmLink>();
    }
    hooks_.retire(image_->release());
    image_.reset();
  }
  const Settings& settings = context_->settings;
  PYRO_TRY(ensure_home(settings.home));
  PYRO_TRY_ASSIGN(const bool known, know_kvm());
  if (!known) {
    return std::unique_ptr<VmLink>();
  }
  PYRO_TRY_ASSIGN(const EngineChoice choice, choose_engine(spec_.engine, kvm_.value_or(KvmProbe{})));
  engine_ = choice.engine;
  if (!slot_.valid()) {
    // Before an environment is built for a VM that may not run.
    PYRO_TRY_ASSIGN(slot_, take_slot(settings, {engine_, spec_.mem_mib}));
  }

  EnvironmentLookup lookup;
  auto kept = spec_.digest.empty() ? std::nullopt : look_up_digest(settings.home, spec_.digest);
  if (kept) {
    lookup.files = std::move(*kept);
  } else {
    lookup = look_up_environment(settings.home, spec_.environment);
  }
  if (lookup.need != EnvironmentNeed::nothing) {
    ImageRequest ask;
    ask.op = lookup.need == EnvironmentNeed::build ? "build" : "verify";
    ask.name = spec_.environment;
    PYRO_TRY(ask_image(std::move(ask), lookup.why));
    return poll();
  }
  auto scratch = open_scratch_image(settings.home, spec_.disk_mib);
  if (!scratch.has_value()) {
    ImageRequest ask;
    ask.op = "scratch";
    ask.mib = spec_.disk_mib;
    PYRO_TRY(ask_image(std::move(ask), "the scratch image is not there"));
    return poll();
  }
  context_->log.add(PYRO_LOG_INFO, "vm {}: engine {} ({}), environment {} ({}, kernel {})", vm_id_,
                    engine_name(engine_), choice.why, spec_.environment, lookup.files.digest,
                    lookup.files.kernel_version);
  return launch(std::move(lookup.files), std::move(*scratch));
}

// Whether all is known about KVM that has to be.
base::Result<bool> VmStart::know_kvm() {
  if (!needs_probe(spec_.engine) || kvm_.has_value()) {
    return true;
  }
  if (!probe_.has_value()) {
    kvm_ = known_probe(*context_);
    if (kvm_.has_value()) {
      return true;
    }
    probe_.emplace(context_, poller_);
  }
  kvm_ = probe_->poll();
  if (!kvm_.has_value()) {
    return false;
  }
  if (auto process = probe_->release()) {
    hooks_.retire(std::move(*process));
  }
  probe_.reset();
  return true;
}

base::Status VmStart::ask_image(ImageRequest request, std::string_view why) {
  if (std::count(asked_.begin(), asked_.end(), request.op) == kMaxAsks) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT,
                            "environment {} cannot be used although pyro-image found nothing wrong: {}; run pyro env "
                            "build --force {}",
                            spec_.environment, why, spec_.environment);
  }
  asked_.push_back(request.op);
  context_->log.add(PYRO_LOG_INFO, "vm {}: pyro-image {} {}: {}", vm_id_, request.op, spec_.environment, why);
  PYRO_TRY_ASSIGN(image_, ImageChild::start(context_, poller_, request));
  return base::success();
}

base::Result<std::unique_ptr<VmLink>> VmStart::launch(EnvironmentFiles files, base::Fd scratch) {
  const Settings& settings = context_->settings;
  const bool kept = static_cast<bool>(hooks_.keep);
  PYRO_TRY_ASSIGN(const std::string supervisor, find_helper(settings, "pyro-vm"));
  PYRO_TRY_ASSIGN(const std::string agent_path, find_helper(settings, "pyro-agent"));
  PYRO_TRY_ASSIGN(const base::Fd engine, open_engine(settings, engine_));
  PYRO_TRY_ASSIGN(cgroup_, VmCgroup::make(settings.cgroup, vm_id_));
  // Started first: its exec goes on while the rest is opened here.
  PYRO_TRY_ASSIGN(auto vm, VmLink::start(supervisor, poller_, kept ? VmLink::Bond::none : VmLink::Bond::child));
  launched_ms_ = base::monotonic_ms();
  PYRO_TRY_ASSIGN(const base::Fd client, jail::open_pidfd(::getpid()));
  PYRO_TRY_ASSIGN(const base::Fd agent, base::open_file(agent_path, O_RDONLY));
  KeptVmFiles own;
  if (kept) {
    PYRO_TRY_ASSIGN(own, hooks_.keep(files.digest, engine_, scratch));
  } else {
    PYRO_TRY_ASSIGN(own.disk, make_unnamed_file(settings.home));
  }

  wire::Configure configure;
  configure.engine = engine_ == PYRO_ENGINE_KVM ? wire::EngineKind::kvm : wire::EngineKind::software;
  configure.vcpu_count = spec_.vcpu_count;
  configure.mem_mib = spec_.mem_mib;
  configure.disk_mib = spec_.disk_mib;
  configure.boot_timeout_ms = spec_.boot_timeout_ms;
  configure.max_lifetime_ms = spec_.max_lifetime_ms;
  configure.ttl_ms = spec_.ttl_ms;
  configure.vm_id = vm_id_;
  configure.build_id = base::build_id();
  configure.outlives_client = kept;
  // In the order of wire::ConfigureFd.
  std::vector<int> fds{client.get(),  files.kernel.get(), files.initramfs.get(), agent.get(), files.root.get(),
                       scratch.get(), own.disk.get(),     engine.get(),          slot_.fd(),  cgroup_.procs()};
  if (kept) {
    fds.insert(fds.end(), {own.listener.get(), own.commands.get(), own.output.get(), own.lock.get()});
  }
  PYRO_TRY(vm->send_first(wire::message_frame(wire::FrameType::configure, 0, configure), fds));
  return vm;
}

void VmStart::stop() noexcept {
  if (probe_.has_value()) {
    probe_->stop();
  }
  if (image_) {
    image_->stop();
  }
  slot_.release();
  cgroup_ = VmCgroup();
}

}  // namespace pyro::client
