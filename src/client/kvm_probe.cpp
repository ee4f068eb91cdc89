#include "client/kvm_probe.hpp"

#include "base/build_id.hpp"
#include "base/clock.hpp"
#include "base/io.hpp"
#include "client/home.hpp"
#include "client/process_identity.hpp"
#include "client/programs.hpp"
#include "state/json.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <boost/json.hpp>

namespace pyro::client {

namespace {

namespace json = boost::json;

constexpr const char* kDevice = "/dev/kvm";
/// The probe prints one line of about a hundred bytes; the cache adds a key of about as many.
constexpr std::size_t kMaxProbeBytes = 16 * 1024;

std::string cache_path(const Context& context) {
  return context.settings.home + "/probe.json";
}

// Everything that could make the next measurement come out differently.
std::string cache_key(const struct stat& device) {
  std::string key = current_boot_id();
  key += fmt::format(" {}:{}:{:o}:{}:{} {}:{}", device.st_dev, device.st_ino, device.st_mode, device.st_uid,
                     device.st_gid, ::geteuid(), ::getegid());
  std::array<gid_t, 256> groups{};
  const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
  for (int i = 0; i < count; ++i) {
    key += fmt::format(",{}", groups[static_cast<std::size_t>(i)]);
  }
  return key + " " + base::build_id();
}

base::Result<KvmProbe> decode_probe(std::string_view text) {
  PYRO_TRY_ASSIGN(const auto value, state::parse_json(text, kMaxProbeBytes, "the answer of pyro-vm --probe"));
  state::JsonObjectReader reader(value, "the answer of pyro-vm --probe", PYRO_ERROR_INTERNAL);
  KvmProbe probe;
  probe.state = kvm_state_from_name(reader.text("kvm", 32));
  probe.detail = reader.text("detail", 4096);
  PYRO_TRY(reader.finish());
  return probe;
}

void remember(const Context& context, const KvmProbe& probe) {
  struct stat device {};
  if (::stat(kDevice, &device) != 0 || !ensure_home(context.settings.home).ok()) {
    return;
  }
  const json::object record{
      {"format", 1}, {"key", cache_key(device)}, {"kvm", kvm_state_name(probe.state)}, {"detail", probe.detail}};
  // Without a cache the next call measures again: slower, not wrong.
  [[maybe_unused]] const auto written =
      base::write_file_atomically(cache_path(context), json::serialize(record) + "\n", 0600);
}

}  // namespace

std::optional<KvmProbe> known_probe(const Context& context) {
  struct stat device {};
  if (::stat(kDevice, &device) != 0) {
    return KvmProbe{PYRO_KVM_ABSENT, "there is no /dev/kvm"};
  }
  const auto text = base::read_file(cache_path(context), kMaxProbeBytes);
  if (!text.ok()) {
    return std::nullopt;
  }
  const auto value = state::parse_json(text.value(), kMaxProbeBytes, "probe.json");
  if (!value.ok()) {
    return std::nullopt;
  }
  state::JsonObjectReader reader(value.value(), "probe.json", PYRO_ERROR_INVALID);
  KvmProbe probe;
  reader.number("format", 1, 1);
  const std::string key = reader.text("key", kMaxProbeBytes);
  probe.state = kvm_state_from_name(reader.text("kvm", 32));
  probe.detail = reader.text("detail", 4096);
  if (!reader.finish().ok() || key != cache_key(device)) {
    return std::nullopt;
  }
  return probe;
}

ProbeRun::ProbeRun(ContextPtr context, Poller& poller) : context_(std::move(context)), poller_(poller) {
  if (auto started = start(); !started.ok()) {
    failure_ = started.error().message;
  }
}

ProbeRun::~ProbeRun() {
  stop();
}

void ProbeRun::stop() noexcept {
  if (process_.has_value()) {
    process_->kill();
  }
}

std::optional<jail::Process> ProbeRun::release() noexcept {
  stop();
  process_watch_ = Watch();
  std::optional<jail::Process> given;
  if (process_.has_value()) {
    given.emplace(std::move(*process_));
    process_.reset();
  }
  return given;
}

base::Status ProbeRun::start() {
  PYRO_TRY_ASSIGN(const std::string program, find_helper(context_->settings, "pyro-vm"));
  PYRO_TRY_ASSIGN(base::FdPair pipe, base::make_pipe());
  PYRO_TRY(base::set_nonblocking(pipe.first.get()));
  jail::SpawnOptions options;
  options.program = program;
  options.argv = {"pyro-vm", "--probe"};
  options.stdio = {-1, pipe.second.get(), -1};
  PYRO_TRY_ASSIGN(auto process, jail::spawn_process(options));
  process_.emplace(std::move(process));
  stdout_ = std::move(pipe.first);
  PYRO_TRY_ASSIGN(stdout_watch_, poller_.watch(stdout_.get(), EPOLLIN));
  // The end of its output alone would not do: a child that the host forked meanwhile may hold the pipe.
  if (process_->pidfd() >= 0) {
    PYRO_TRY_ASSIGN(process_watch_, poller_.watch(process_->pidfd(), EPOLLIN));
  }
  deadline_ms_ = base::monotonic_ms() + kDeadlineMs;
  return poller_.set_deadline(deadline_ms_);
}

std::optional<KvmProbe> ProbeRun::poll() {
  if (failure_.empty()) {
    // Asked first: what it wrote before its end is in the pipe then.
    const bool ended = process_->wait(0);
    std::array<char, 4096> buffer;
    ssize_t got = 0;
    while ((got = ::read(stdout_.get(), buffer.data(), buffer.size())) > 0 && output_.size() <= kMaxProbeBytes) {
      output_.append(buffer.data(), static_cast<std::size_t>(got));
    }
    const bool is_open = got < 0 && (errno == EAGAIN || errno == EINTR);
    // With its output closed and no answer in it, how it ends is still to be told.
    const bool has_said_all = ended || got > 0 || (!is_open && decode_probe(output_).ok());
    if (!has_said_all && base::monotonic_ms() < deadline_ms_) {
      if (!is_open) {
        stdout_watch_ = Watch();  // End of file would wake for ever.
      }
      return std::nullopt;
    }
    if (!has_said_all) {
      failure_ = fmt::format("measuring took longer than {} ms", kDeadlineMs);
      process_->kill();
    }
  }
  [[maybe_unused]] const auto disarmed = poller_.set_deadline(0);
  return conclude();
}

KvmProbe ProbeRun::conclude() {
  if (failure_.empty()) {
    if (auto probe = decode_probe(output_); probe.ok()) {
      remember(*context_, probe.value());
      return std::move(probe).value();
    }
    failure_ = "pyro-vm --probe gave no answer";
    if (process_->wait(0)) {
      failure_ += " and " + process_->describe_end();
    }
  }
  return KvmProbe{PYRO_KVM_EMULATING, "/dev/kvm is there but could not be measured: " + failure_, false};
}

}  // namespace pyro::client
