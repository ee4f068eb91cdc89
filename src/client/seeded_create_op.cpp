#include "client/seeded_create_op.hpp"

#include "base/clock.hpp"
#include "client/file_op.hpp"
#include "client/start_vm_op.hpp"
#include "client/vm_ops.hpp"
#include "tree/file_error.hpp"

#include <cerrno>

#include <sys/epoll.h>
#include <sys/stat.h>

namespace pyro::client {

namespace {

/// What destroying an operation may take.
constexpr std::int64_t kRemoveMs = 2'000;

}  // namespace

base::Result<std::unique_ptr<SeededCreateOp>> SeededCreateOp::make(ContextPtr context, Poller poller,
                                                                   state::VmRecord record, std::string seed) {
  struct stat info {};
  if (::stat(seed.c_str(), &info) != 0) {
    return tree::file_error(errno, "cannot read the seed", seed);
  }
  if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
    return base::make_error(PYRO_ERROR_INVALID, "the seed {} is neither a directory nor a tar file", tree::shown(seed));
  }
  PYRO_TRY_ASSIGN(Poller inner_poller, Poller::make());
  auto create = StartVmOp::create(context, std::move(inner_poller), std::move(record));
  std::unique_ptr<SeededCreateOp> op(
      new SeededCreateOp(std::move(context), std::move(poller), std::move(seed), S_ISREG(info.st_mode)));
  PYRO_TRY(op->run(std::move(create)));
  return op;
}

// Destroyed or cancelled on the way: a task without its seed is of no use to anybody.
SeededCreateOp::~SeededCreateOp() {
  inner_watch_ = Watch();
  inner_.reset();
  if (task_id_.empty() || !is_ours()) {
    return;
  }
  const std::int64_t deadline_ms = base::monotonic_ms() + kRemoveMs;
  auto removal = make_removal();
  while (removal.ok() && base::monotonic_ms() < deadline_ms) {
    if ((*removal)->next(deadline_ms - base::monotonic_ms()) == PYRO_OK && (*removal)->current().is_last()) {
      break;
    }
  }
}

base::Result<std::unique_ptr<Op>> SeededCreateOp::make_removal() {
  PYRO_TRY_ASSIGN(Poller inner_poller, Poller::make());
  return std::unique_ptr<Op>(
      std::make_unique<DeleteVmOp>(context_ptr(), std::move(inner_poller), task_id_, state::VmKind::task));
}

base::Status SeededCreateOp::run(std::unique_ptr<Op> inner) {
  inner_watch_ = Watch();
  inner_ = std::move(inner);
  PYRO_TRY_ASSIGN(inner_watch_, poller().watch(inner_->fd(), EPOLLIN));
  return base::success();
}

base::Status SeededCreateOp::step() {
  while (inner_->next(0) == PYRO_OK) {
    Event event = std::move(inner_->current());
    if (event.is_last()) {
      return finish_stage(std::move(event));
    }
    if (event.kind == PYRO_EVENT_PROGRESS) {
      emit(std::move(event));
      return base::success();
    }
  }
  return base::success();
}

base::Status SeededCreateOp::finish_stage(Event last) {
  switch (stage_) {
    case Stage::creating: {
      if (last.error) {
        emit(std::move(last));
        return base::success();
      }
      task_id_ = last.vms->rows.front().id;
      created_ = std::move(last);
      stage_ = Stage::seeding;
      PYRO_TRY_ASSIGN(Poller inner_poller, Poller::make());
      auto upload = FileOp::make(context_ptr(), std::move(inner_poller), make_seed_job(task_id_, seed_, is_tar_));
      if (!upload.ok()) {
        return finish_stage(Event::failure(upload.error()));
      }
      PYRO_TRY(run(std::move(upload).value()));
      return step();
    }
    case Stage::seeding: {
      if (!last.error) {
        task_id_.clear();
        emit(std::move(created_));
        return base::success();
      }
      failure_ = std::move(last);
      failure_.error->message = "the task was not made, since its seed could not be copied: " + failure_.error->message;
      stage_ = Stage::removing;
      PYRO_TRY_ASSIGN(auto removal, make_removal());
      PYRO_TRY(run(std::move(removal)));
      return step();
    }
    case Stage::removing:
      // Else the destructor tries once more.
      if (!last.error) {
        task_id_.clear();
      }
      emit(std::move(failure_));
      return base::success();
  }
  return base::success();
}

}  // namespace pyro::client
