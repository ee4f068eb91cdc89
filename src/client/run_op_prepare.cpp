// RunOp up to the start of the supervisor: everything that needs no VM.
#include "base/build_id.hpp"
#include "base/clock.hpp"
#include "base/io.hpp"
#include "client/home.hpp"
#include "client/programs.hpp"
#include "client/run_op.hpp"

#include <algorithm>

#include <fcntl.h>
#include <unistd.h>

namespace pyro::client {

namespace {

/// How often pyro-image is asked for the same thing. Once does it, unless a prune comes between its answer and our
/// opening of the files; twice in a row that is no coincidence.
constexpr std::ptrdiff_t kMaxAsks = 2;

}  // namespace

base::Status RunOp::prepare() {
  const Settings& settings = context().settings;
  PYRO_TRY(ensure_home(settings.home));
  if (needs_probe(request_.engine) && !kvm_.has_value()) {
    if (!probe_.has_value()) {
      kvm_ = known_probe(context());
      if (!kvm_.has_value()) {
        probe_.emplace(context_ptr(), poller());
      }
    }
    if (probe_.has_value()) {
      kvm_ = probe_->poll();
      if (!kvm_.has_value()) {
        return base::success();
      }
      if (auto process = probe_->release()) {
        retire(std::move(*process));
      }
      probe_.reset();
    }
  }
  PYRO_TRY_ASSIGN(const EngineChoice choice, choose_engine(request_.engine, kvm_.value_or(KvmProbe{})));
  engine_ = choice.engine;

  auto lookup = look_up_environment(settings.home, request_.environment);
  if (lookup.need != EnvironmentNeed::nothing) {
    ImageRequest ask;
    ask.op = lookup.need == EnvironmentNeed::build ? "build" : "verify";
    ask.name = request_.environment;
    return ask_image(std::move(ask), lookup.why);
  }
  auto scratch = open_scratch_image(settings.home, request_.disk_mib);
  if (!scratch.has_value()) {
    ImageRequest ask;
    ask.op = "scratch";
    ask.mib = request_.disk_mib;
    return ask_image(std::move(ask), "the scratch image is not there");
  }
  context().log.add(PYRO_LOG_INFO, "vm {}: engine {} ({}), environment {} ({}, kernel {})", vm_id_,
                    engine_name(engine_), choice.why, request_.environment, lookup.files.digest,
                    lookup.files.kernel_version);
  return launch(std::move(lookup.files), std::move(*scratch));
}

base::Status RunOp::ask_image(ImageRequest request, std::string_view why) {
  if (std::count(asked_.begin(), asked_.end(), request.op) == kMaxAsks) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT,
                            "environment {} cannot be used although pyro-image found nothing wrong: {}; run pyro env "
                            "build --force {}",
                            request_.environment, why, request_.environment);
  }
  asked_.push_back(request.op);
  context().log.add(PYRO_LOG_INFO, "vm {}: pyro-image {} {}: {}", vm_id_, request.op, request_.environment, why);
  PYRO_TRY_ASSIGN(image_, ImageChild::start(context_ptr(), poller(), request));
  return drive_image();
}

base::Status RunOp::drive_image() {
  PYRO_TRY_ASSIGN(const auto answer, image_->poll([this](Event event) { emit(std::move(event)); }));
  if (!answer.has_value()) {
    return base::success();
  }
  retire(image_->release());
  image_.reset();
  return prepare();
}

base::Status RunOp::launch(EnvironmentFiles files, base::Fd scratch) {
  const Settings& settings = context().settings;
  PYRO_TRY_ASSIGN(const std::string supervisor, find_helper(settings, "pyro-vm"));
  PYRO_TRY_ASSIGN(const std::string agent_path, find_helper(settings, "pyro-agent"));
  PYRO_TRY_ASSIGN(const base::Fd engine, open_engine(settings, engine_));
  // Started first: its exec goes on while the rest is opened here.
  PYRO_TRY_ASSIGN(vm_, VmLink::start(supervisor, poller()));
  launched_ms_ = base::monotonic_ms();
  PYRO_TRY_ASSIGN(const base::Fd client, jail::open_pidfd(::getpid()));
  PYRO_TRY_ASSIGN(const base::Fd agent, base::open_file(agent_path, O_RDONLY));
  PYRO_TRY_ASSIGN(const base::Fd delta, make_unnamed_file(settings.home));

  wire::Configure configure;
  configure.engine = engine_ == PYRO_ENGINE_KVM ? wire::EngineKind::kvm : wire::EngineKind::software;
  configure.vcpu_count = request_.vcpu_count;
  configure.mem_mib = request_.mem_mib;
  configure.disk_mib = request_.disk_mib;
  configure.boot_timeout_ms = request_.boot_timeout_ms;
  configure.max_lifetime_ms = request_.max_lifetime_ms;
  configure.vm_id = vm_id_;
  configure.build_id = base::build_id();
  // In the order of wire::ConfigureFd.
  const std::array<int, static_cast<std::size_t>(wire::ConfigureFd::count)> fds{
      client.get(),     files.kernel.get(), files.initramfs.get(), agent.get(),
      files.root.get(), scratch.get(),      delta.get(),           engine.get()};
  PYRO_TRY(vm_->send_first(wire::message_frame(wire::FrameType::configure, 0, configure), fds));
  PYRO_TRY(allow_until(launched_ms_ + static_cast<std::int64_t>(request_.boot_timeout_ms) + kSupervisorGraceMs));
  return drive_vm();
}

}  // namespace pyro::client
