#include "client/start_vm_op.hpp"

#include "base/clock.hpp"
#include "client/command_op.hpp"
#include "client/file_op.hpp"
#include "client/process_identity.hpp"
#include "client/vm_control.hpp"
#include "client/vm_index.hpp"
#include "tree/file_error.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::client {

namespace {

using wire::FrameType;

// A folder without a record that is younger than this may be one that is being made.
constexpr std::int64_t kLeftoverAgeS = 60;
constexpr std::size_t kCopyBytes = 256 * 1024;
// Looking at very many VMs takes a while, and retentions are long.
constexpr std::int64_t kReapPeriodS = 60;

// The data of `from`, holes left out, in a file that is made as long.
base::Status copy_sparse(int from, int to) {
  struct stat info {};
  struct rlimit limit {};
  if (::fstat(from, &info) == 0 && ::getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
      static_cast<rlim_t>(info.st_size) > limit.rlim_cur) {
    // Trying would end the host program (SIGXFSZ).
    return base::make_error(
        PYRO_ERROR_LIMIT,
        "a disk of {} MiB is larger than the files that this process may write (RLIMIT_FSIZE): raise "
        "that, or ask for a smaller disk_mib",
        info.st_size >> 20);
  }
  if (::ftruncate(to, info.st_size) != 0) {
    return base::errno_error(errno, "cannot make the VM's disk");
  }
  std::vector<std::byte> buffer;
  off_t offset = 0;
  while (true) {
    const off_t data = ::lseek(from, offset, SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
      return base::success();
    }
    const off_t hole = data < 0 ? -1 : ::lseek(from, data, SEEK_HOLE);
    if (hole < 0) {
      return base::errno_error(errno, "cannot read the scratch image");
    }
    for (offset = data; offset < hole;) {
      buffer.resize(kCopyBytes);
      const auto want = std::min<std::size_t>(kCopyBytes, static_cast<std::size_t>(hole - offset));
      const ssize_t got = ::pread(from, buffer.data(), want, offset);
      if (got <= 0) {
        return base::errno_error(got == 0 ? EIO : errno, "cannot read the scratch image");
      }
      for (ssize_t put = 0; put < got;) {
        const ssize_t step = ::pwrite(to, buffer.data() + put, static_cast<std::size_t>(got - put), offset + put);
        if (step <= 0) {
          return base::errno_error(step == 0 ? EIO : errno, "cannot write the VM's disk");
        }
        put += step;
      }
      offset += got;
    }
  }
}

}  // namespace

std::unique_ptr<StartVmOp> StartVmOp::create(ContextPtr context, Poller poller, state::VmRecord record) {
  std::unique_ptr<StartVmOp> op(new StartVmOp(std::move(context), std::move(poller), make_vm_id(), true));
  op->record_ = std::move(record);
  op->record_.id = op->id_;
  op->record_.created_ns = base::realtime_ns();
  return op;
}

base::Result<std::unique_ptr<StartVmOp>> StartVmOp::create_seeded(ContextPtr context, Poller poller,
                                                                  state::VmRecord record, std::string seed) {
  struct stat info {};
  if (::stat(seed.c_str(), &info) != 0) {
    return tree::file_error(errno, "cannot read the seed", seed);
  }
  if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
    return base::make_error(PYRO_ERROR_INVALID, "the seed {} is neither a directory nor a tar file", tree::shown(seed));
  }
  auto op = create(std::move(context), std::move(poller), std::move(record));
  op->seed_ = std::move(seed);
  op->is_seed_tar_ = S_ISREG(info.st_mode);
  return op;
}

std::unique_ptr<StartVmOp> StartVmOp::start(ContextPtr context, Poller poller, std::string id, state::VmKind kind) {
  std::unique_ptr<StartVmOp> op(new StartVmOp(std::move(context), std::move(poller), std::move(id), false));
  op->kind_ = kind;
  return op;
}

StartVmOp::~StartVmOp() {
  // In a forked child the folder is the parent's matter. A supervisor ends when it sees the connection closed.
  if (vm_ && is_ours()) {
    vm_->shut_down();
  }
  if (is_new_ && !done_ && folder_ && is_ours()) {
    [[maybe_unused]] const auto removed = context().index->remove_folder(*folder_);
  }
}

void StartVmOp::stop() noexcept {
  upload_watch_ = Watch();
  upload_.reset();
  if (start_) {
    start_->stop();
  }
  if (vm_) {
    // A VM that was not told to go on ends with this.
    vm_->shut_down();
  }
  lock_.release();
  [[maybe_unused]] const auto disarmed = poller().set_deadline(0);
}

base::Error StartVmOp::lost(const std::string& what) const {
  return base::make_error(PYRO_ERROR_NOT_STARTED, "vm {}: {} before the VM was ready: it is safe to start it again",
                          id_, what);
}

base::Status StartVmOp::step() {
  if (!start_) {
    PYRO_TRY(prepare());
    if (has_ended()) {
      return base::success();
    }
  }
  if (!vm_) {
    PYRO_TRY_ASSIGN(vm_, start_->poll());
    if (!vm_) {
      return base::success();
    }
    deadline_ms_ = start_->launched_ms() + static_cast<std::int64_t>(record_.boot_timeout_ms) + kSupervisorGraceMs;
    PYRO_TRY(poller().set_deadline(deadline_ms_));
  }
  PYRO_TRY(drive_vm());
  return upload_ && !has_ended() ? drive_upload() : base::success();
}

base::Status StartVmOp::prepare() {
  if (is_new_) {
    reap_expired_vms_now_and_then(context());
  } else {
    PYRO_TRY_ASSIGN(folder_, VmFolder::open(context().settings.home, id_));
    PYRO_TRY_ASSIGN(const VmInfo info, look_at_vm(*folder_));
    PYRO_TRY(check_kind(info.record, kind_));
    record_ = info.record;
    if (info.state == PYRO_VM_RUNNING) {
      done_ = true;
      return tell();
    }
  }
  VmSpec spec;
  PYRO_TRY_ASSIGN(spec.engine, wanted_engine(record_.engine, context().settings.engine_variable));
  spec.environment = record_.environment;
  spec.digest = record_.digest;
  spec.vcpu_count = record_.vcpu_count;
  spec.mem_mib = record_.mem_mib;
  spec.disk_mib = record_.disk_mib;
  spec.boot_timeout_ms = record_.boot_timeout_ms;
  spec.max_lifetime_ms = record_.max_lifetime_ms;
  spec.ttl_ms = record_.ttl_ms;
  start_.emplace(context_ptr(), poller(), std::move(spec), id_,
                 VmStart::Hooks{[this](Event event) { emit(std::move(event)); },
                                [this](jail::Process process) { retire(std::move(process)); },
                                [this](const std::string& digest, pyro_engine engine, const base::Fd& scratch) {
                                  return keep(digest, engine, scratch);
                                }});
  return base::success();
}

base::Result<KeptVmFiles> StartVmOp::keep(const std::string& digest, pyro_engine engine, const base::Fd& scratch) {
  if (is_new_) {
    PYRO_TRY_ASSIGN(folder_, context().index->make_folder(id_));
  }
  PYRO_TRY_ASSIGN(auto lock, folder_->try_lock());
  if (!lock) {
    return base::make_error(PYRO_ERROR_STATE, "{} is being started or stopped by another process: try again", id_);
  }
  if (!is_new_) {
    // As it is now: it may have changed while the environment was built.
    PYRO_TRY_ASSIGN(record_, folder_->record());
  }
  if (!record_.digest.empty() && record_.digest != digest) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT,
                            "environment {} is not any more what it was when {} was created, and the old one has been "
                            "removed: the disk does not belong to the new root; create a new one",
                            record_.environment, id_);
  }
  is_record_new_ = record_.digest != digest;
  record_.digest = digest;
  KeptVmFiles files;
  const bool is_noted = context().index->note_start(*folder_);
  lock_ = std::move(*lock);
  PYRO_TRY_ASSIGN(files.lock, base::duplicate_fd(lock_.fd()));
  PYRO_TRY_ASSIGN(files.disk, open_disk(scratch));
  PYRO_TRY_ASSIGN(files.commands, folder_->open_file(state::kVmCommandsFile, O_RDWR | O_CREAT, 0600));
  PYRO_TRY_ASSIGN(files.output, folder_->open_file(state::kVmOutputFile, O_RDWR | O_CREAT, 0600));
  PYRO_TRY_ASSIGN(files.listener, folder_->listen());
  run_.boot_id = current_boot_id();
  run_.engine = static_cast<std::uint32_t>(engine);
  run_.started_ns = base::realtime_ns();
  PYRO_TRY(folder_->write_run(run_));
  if (!is_noted) {
    // A list may have looked since then, and seen nothing new.
    context().index->note_start(*folder_);
  }
  return files;
}

base::Result<base::Fd> StartVmOp::open_disk(const base::Fd& scratch) {
  auto there = folder_->open_file(state::kVmDiskFile, O_RDWR);
  if (there.ok() || there.error().sys_errno != ENOENT) {
    return there;
  }
  if (!is_record_new_) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the disk of {} is gone: create a new one", id_);
  }
  // Under another name until it is whole.
  constexpr const char* kUnfinished = "disk.tmp";
  PYRO_TRY_ASSIGN(base::Fd disk, folder_->open_file(kUnfinished, O_RDWR | O_CREAT | O_TRUNC, 0600));
  PYRO_TRY(copy_sparse(scratch.get(), disk.get()));
  // Before any record speaks of it.
  if (::fdatasync(disk.get()) != 0) {
    return base::errno_error(errno, "cannot write the VM's disk");
  }
  PYRO_TRY(folder_->rename(kUnfinished, state::kVmDiskFile));
  return disk;
}

base::Status StartVmOp::drive_vm() {
  PYRO_TRY(vm_->flush(queue_));
  frames_.clear();
  const auto received = vm_->receive(frames_);
  for (auto& frame : frames_) {
    PYRO_TRY(take(frame));
    if (has_ended()) {
      return base::success();
    }
  }
  if (!received.ok()) {
    return lost(received.error().message);
  }
  if (vm_->is_over()) {
    return lost("its supervisor pyro-vm ended");
  }
  if (!upload_ && frames_.empty() && base::monotonic_ms() >= deadline_ms_) {
    return lost("its supervisor pyro-vm does not answer");
  }
  return vm_->flush(queue_);
}

base::Status StartVmOp::take(wire::Frame& frame) {
  if (!greeted_ && frame.type != FrameType::failed) {
    greeted_ = true;
    return take_hello(frame);
  }
  PYRO_TRY_ASSIGN(const bool taken,
                  take_news(frame, id_, context().log, [this](Event event) { emit(std::move(event)); }));
  if (taken) {
    return base::success();
  }
  if (frame.type != FrameType::ready || upload_) {
    return lost("pyro-vm sent a frame that nobody expects now");
  }
  context().log.add(PYRO_LOG_INFO, "vm {}: the guest was ready after {} ms", id_,
                    base::monotonic_ms() - start_->launched_ms());
  return seed_.empty() ? finish() : begin_upload();
}

// Nobody else finds it yet, and it ends with us.
base::Status StartVmOp::begin_upload() {
  PYRO_TRY(poller().set_deadline(0));
  PYRO_TRY_ASSIGN(Poller inner, Poller::make());
  PYRO_TRY_ASSIGN(upload_, FileOp::make(context_ptr(), std::move(inner), make_seed_job(id_, seed_, is_seed_tar_)));
  PYRO_TRY_ASSIGN(upload_watch_, poller().watch(upload_->fd(), EPOLLIN));
  return base::success();
}

base::Status StartVmOp::drive_upload() {
  while (upload_->next(0) == PYRO_OK) {
    Event event = std::move(upload_->current());
    if (event.error) {
      event.error->message = "the task was not made, since its seed could not be copied: " + event.error->message;
    }
    if (event.error || event.kind == PYRO_EVENT_PROGRESS) {
      emit(std::move(event));
      return base::success();
    }
    if (event.is_last()) {
      upload_watch_ = Watch();
      upload_.reset();
      return finish();
    }
  }
  return base::success();
}

// Its number is noted while it can be believed, so that it can be killed when it does not answer any more.
base::Status StartVmOp::take_hello(const wire::Frame& frame) {
  PYRO_TRY(check_hello(frame));
  PYRO_TRY_ASSIGN(const auto hello, wire::Hello::decode(frame.payload));
  run_.pid = hello.pid;
  run_.pid_start = process_start(hello.pid);
  return folder_->write_run(run_);
}

// Only when everything is on disk may the VM go on without us.
base::Status StartVmOp::finish() {
  run_.ready = true;
  PYRO_TRY(folder_->write_run(run_));
  if (is_record_new_) {
    PYRO_TRY(folder_->write_record(record_));
  }
  queue_.push_control(wire::bare_frame(FrameType::keep));
  PYRO_TRY(vm_->flush(queue_));
  if (!queue_.empty()) {
    return lost("its supervisor pyro-vm does not listen");
  }
  done_ = true;
  return tell();
}

base::Status StartVmOp::tell() {
  PYRO_TRY_ASSIGN(VmInfo info, context().index->look(*folder_));
  emit(vms_event({std::move(info)}, kind_));
  return base::success();
}

namespace {

bool is_due(Context& context, const VmFolder& folder, const base::Result<VmInfo>& info, std::int64_t now_s) {
  if (info.ok()) {
    const std::int64_t at_s = delete_at(*info);
    return at_s != 0 && at_s <= now_s;
  }
  if (info.error().code == PYRO_ERROR_NOT_FOUND) {
    return folder.changed_at() + kLeftoverAgeS <= now_s;
  }
  context.log.add(PYRO_LOG_WARNING, "vm {}: {}", folder.id(), info.error().message);
  return false;
}

}  // namespace

void reap_expired_vms_now_and_then(Context& context) {
  if (begin_periodic_reap(context.settings.home, kReapPeriodS)) {
    reap_expired_vms(context);
  }
}

std::vector<VmInfo> reap_expired_vms(Context& context) {
  std::vector<VmInfo> deleted;
  const auto ids = context.index->list_due(base::realtime_ns() / 1'000'000'000);
  if (!ids.ok()) {
    return deleted;
  }
  sweep_removed_folders(context.settings.home);
  sweep_cgroups(context.settings.cgroup);
  const std::int64_t now_ns = base::realtime_ns();
  const std::int64_t now_s = now_ns / 1'000'000'000;
  for (const std::string& id : *ids) {
    const auto folder = VmFolder::open(context.settings.home, id);
    if (!folder.ok() || !is_due(context, *folder, context.index->look(*folder), now_s)) {
      continue;
    }
    const auto lock = folder->try_lock();
    if (!lock.ok() || !*lock) {
      continue;
    }
    // What was seen before the lock was ours may be old.
    auto info = look_at_locked_vm(*folder);
    if (!is_due(context, *folder, info, now_s)) {
      continue;
    }
    if (info.ok() && has_ended_unseen(*info)) {
      // It may have run until a moment ago: its time counts from now.
      info->run->found_ended_ns = info->last_use_ns = now_ns;
      if (!folder->write_run(*info->run).ok() || delete_at(*info) > now_s) {
        continue;
      }
    }
    if (const auto removed = context.index->remove_folder(*folder); !removed.ok()) {
      context.log.add(PYRO_LOG_WARNING, "vm {}: {}", id, removed.error().message);
    } else if (info.ok()) {
      context.log.add(PYRO_LOG_INFO, "vm {}: deleted, its time is over", id);
      deleted.push_back(std::move(*info));
    }
  }
  return deleted;
}

}  // namespace pyro::client
