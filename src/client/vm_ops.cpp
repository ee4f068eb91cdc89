#include "client/vm_ops.hpp"

#include "base/clock.hpp"
#include "client/start_vm_op.hpp"
#include "client/vm_cgroup.hpp"
#include "client/vm_index.hpp"

#include <algorithm>

namespace pyro::client {

using wire::FrameType;

namespace {

// Answers come at once; a machine that swaps is slow, not broken.
constexpr std::int64_t kAnswerMs = 10'000;
// The guest has 30 s to power off (supervisor.hpp, stop_ms), then it is cut.
constexpr std::int64_t kStopMs = 45'000;
constexpr std::int64_t kGoneRetryMs = 5;

}  // namespace

// ---- what they share

base::Status VmOp::open() {
  if (!folder_) {
    PYRO_TRY_ASSIGN(auto folder, VmFolder::open(settings().home, id_));
    PYRO_TRY_ASSIGN(const auto record, folder.record());
    PYRO_TRY(check_kind(record, kind_));
    folder_ = std::move(folder);
  }
  return base::success();
}

base::Status VmOp::tell(std::optional<wire::Status> live) {
  PYRO_TRY_ASSIGN(VmInfo info, context().index->look(*folder_));
  info.live = std::move(live);
  if (info.live && info.live->state == "running") {
    info.state = PYRO_VM_RUNNING;
  }
  emit(vms_event({std::move(info)}, kind_));
  return base::success();
}

base::Status VmOp::tell_answer() {
  auto outcome = control_->poll();
  if (!outcome.ok() && outcome.error().code == PYRO_ERROR_STATE) {
    // It has ended just now, or does not listen yet.
    return tell();
  }
  if (!outcome.ok()) {
    return std::move(outcome).error();
  }
  for (const wire::Frame& frame : outcome->frames) {
    if (frame.type == FrameType::status) {
      PYRO_TRY_ASSIGN(auto status, wire::Status::decode(frame.payload));
      return tell(std::move(status));
    }
  }
  return outcome->over ? tell() : base::success();
}

void VmOp::stop() noexcept {
  if (control_) {
    control_->stop();
  }
  [[maybe_unused]] const auto disarmed = poller().set_deadline(0);
}

// ---- status

base::Status StatusOp::step() {
  PYRO_TRY(open());
  if (!control_) {
    PYRO_TRY_ASSIGN(const VmInfo info, context().index->look(*folder_));
    if (info.state != PYRO_VM_RUNNING) {
      return tell();
    }
    control_.emplace(*folder_, poller(), wire::bare_frame(FrameType::status_request), kAnswerMs, false);
  }
  return tell_answer();
}

// ---- stop

base::Status StopVmOp::step() {
  PYRO_TRY(open());
  if (!control_) {
    PYRO_TRY_ASSIGN(const VmInfo info, context().index->look(*folder_));
    if (info.state == PYRO_VM_STARTING) {
      return base::make_error(PYRO_ERROR_STATE, "{} is being started: stop it when it runs, or delete it", id_);
    }
    if (info.state != PYRO_VM_RUNNING) {
      return tell();
    }
    control_.emplace(*folder_, poller(), wire::bare_frame(FrameType::stop), kStopMs);
  }
  if (!over_) {
    auto outcome = control_->poll();
    if (!outcome.ok() && outcome.error().code != PYRO_ERROR_STATE) {
      return std::move(outcome).error();
    }
    // It has ended just now.
    over_ = !outcome.ok() || outcome->over;
    if (!over_) {
      return base::success();
    }
    gone_deadline_ms_ = base::monotonic_ms() + kAnswerMs;
  }
  // The connection closes a moment before the machine is gone.
  PYRO_TRY_ASSIGN(const bool locked, folder_->is_locked());
  const std::int64_t now_ms = base::monotonic_ms();
  return locked && now_ms < gone_deadline_ms_ ? poller().set_deadline(now_ms + kGoneRetryMs) : tell();
}

// ---- a new TTL

base::Status SetTtlOp::step() {
  PYRO_TRY(open());
  if (!control_) {
    PYRO_TRY_ASSIGN(auto record, folder_->record());
    record.ttl_ms = ttl_ms_;
    PYRO_TRY(folder_->write_record(record));
    base::Bytes request = wire::message_frame(FrameType::set_ttl, 0, wire::SetTtl{ttl_ms_});
    const base::Bytes ask = wire::bare_frame(FrameType::status_request);
    request.insert(request.end(), ask.begin(), ask.end());
    control_.emplace(*folder_, poller(), std::move(request), kAnswerMs);
  }
  return tell_answer();
}

// ---- delete

base::Status DeleteVmOp::step() {
  if (!folder_) {
    auto folder = VmFolder::open(settings().home, id_);
    if (!folder.ok() && folder.error().code == PYRO_ERROR_NOT_FOUND) {
      return tell_deleted();
    }
    if (!folder.ok()) {
      return std::move(folder).error();
    }
    // A damaged one is deleted as well.
    if (auto info = look_at_vm(*folder); info.ok()) {
      PYRO_TRY(check_kind(info->record, kind_));
      info_ = std::move(*info);
    }
    folder_ = std::move(folder).value();
    removal_.emplace(context_ptr(), *folder_, poller());
  }
  PYRO_TRY_ASSIGN(const bool removed, removal_->poll());
  return removed ? tell_deleted() : base::success();
}

void DeleteVmOp::stop() noexcept {
  if (removal_) {
    removal_->stop();
  }
  VmOp::stop();
}

base::Status DeleteVmOp::tell_deleted() {
  sweep_cgroups(settings().cgroup);
  std::vector<VmInfo> deleted;
  if (info_) {
    deleted.push_back(std::move(*info_));
  }
  emit(vms_event(deleted, kind_));
  return base::success();
}

// ---- create, without a start

base::Status CreateVmOp::step() {
  reap_expired_vms_now_and_then(context());
  record_.id = make_vm_id();
  record_.created_ns = base::realtime_ns();
  PYRO_TRY_ASSIGN(const VmFolder folder, context().index->make_folder(record_.id));
  PYRO_TRY(folder.write_record(record_));
  PYRO_TRY_ASSIGN(VmInfo info, context().index->look(folder));
  emit(vms_event({std::move(info)}, record_.kind));
  return base::success();
}

// ---- list, reap

void sort_newest_first(std::vector<VmInfo>& infos) {
  std::sort(infos.begin(), infos.end(), [](const VmInfo& left, const VmInfo& right) {
    return std::pair(right.record.created_ns, right.record.id) < std::pair(left.record.created_ns, left.record.id);
  });
}

base::Status ListVmsOp::step() {
  reap_expired_vms_now_and_then(context());
  PYRO_TRY_ASSIGN(auto infos, context().index->list({.kind = kind_number(request_.kind),
                                                     .labels = request_.labels,
                                                     .state_mask = request_.state_mask}));
  sort_newest_first(infos);
  emit(vms_event(infos, request_.kind));
  return base::success();
}

base::Status ReapOp::step() {
  emit(vms_event(reap_expired_vms(context()), state::VmKind::task));
  return base::success();
}

}  // namespace pyro::client
