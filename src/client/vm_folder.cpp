#include "client/vm_folder.hpp"

#include "base/io.hpp"
#include "client/home.hpp"

#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>

#include <dirent.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace pyro::client {

namespace {

constexpr int kBacklog = 128;
// Of folders that are being removed. They lie in the home folder, so that the time of vms/ tells of VMs only. Where vms/
// is a file system of its own, in a folder of it, so that whoever sweeps need not look at the names of all VMs.
constexpr const char* kRemovedPrefix = ".removed-";
constexpr const char* kRemovedFolder = "/.removed";
constexpr std::uint64_t kStatBlockBytes = 512;  // of st_blocks, stat(2)

std::string removed_path(const std::string& home, const std::string& id) {
  return home + "/" + kRemovedPrefix + id;
}

std::string removed_path_in_vms(const std::string& home, const std::string& id) {
  return vms_path(home) + kRemovedFolder + "/" + id;
}

// For F_OFD_SETLK and F_OFD_GETLK (fcntl(2)).
struct flock whole_file() noexcept {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

// Through the folder's descriptor: sun_path has 108 bytes, and a home folder's path may be longer.
base::Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the path of a control socket is too long");
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

// What is in a folder; nothing if it is not there.
base::Result<std::vector<std::string>> names_in(const std::string& path) {
  std::vector<std::string> names;
  DIR* folder = ::opendir(path.c_str());
  if (folder == nullptr) {
    if (errno == ENOENT) {
      return names;
    }
    return base::errno_error(errno, "cannot list " + path);
  }
  while (const dirent* entry = ::readdir(folder)) {
    names.emplace_back(entry->d_name);
  }
  ::closedir(folder);
  return names;
}

// All that is in a folder that nobody finds any more.
base::Status remove_folder(const std::string& path) {
  std::error_code failure;
  std::filesystem::remove_all(path, failure);
  if (failure) {
    return base::errno_error(failure.value(), "cannot remove " + path);
  }
  return base::success();
}

}  // namespace

std::string vms_path(const std::string& home) {
  return home + "/" + std::string(state::kVmsDir);
}

base::Error no_such_vm(const std::string& id) {
  return base::make_error(PYRO_ERROR_NOT_FOUND,
                          "there is no task or VM {}: pyro task list and pyro vm list show those that are", id);
}

base::Status check_kind(const state::VmRecord& record, state::VmKind kind) {
  if (record.kind == kind) {
    return base::success();
  }
  return base::make_error(PYRO_ERROR_NOT_FOUND, "{} is a {}, not a {}: use the calls for those", record.id,
                          kind == state::VmKind::task ? "VM" : "task", kind == state::VmKind::task ? "task" : "VM");
}

base::Result<VmFolder> VmFolder::open(const std::string& home, const std::string& id) {
  PYRO_TRY(state::check_vm_id(id));
  auto fd = base::open_file(vms_path(home) + "/" + id, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (!fd.ok()) {
    return fd.error().sys_errno == ENOENT ? no_such_vm(id) : std::move(fd).error();
  }
  return VmFolder(home, id, std::move(fd).value());
}

base::Result<VmFolder> VmFolder::create(const std::string& home, const std::string& id) {
  PYRO_TRY(ensure_home(home));
  PYRO_TRY(base::make_directories(vms_path(home), 0700));
  const std::string path = vms_path(home) + "/" + id;
  if (::mkdir(path.c_str(), 0700) != 0) {
    return errno == EEXIST ? base::make_error(PYRO_ERROR_EXISTS, "there is a VM {} already", id)
                           : base::errno_error(errno, "cannot create the folder " + path);
  }
  PYRO_TRY_ASSIGN(auto folder, open(home, id));
  PYRO_TRY(folder.open_file(state::kVmLockFile, O_RDWR | O_CREAT | O_EXCL, 0600));
  return folder;
}

std::string VmFolder::path(const char* name) const {
  return fmt::format("/proc/self/fd/{}/{}", fd_.get(), name);
}

base::Result<base::Fd> VmFolder::open_file(const char* name, int flags, unsigned mode) const {
  base::Fd file(::openat(fd_.get(), name, flags | O_CLOEXEC | O_NOFOLLOW, mode));
  if (!file.valid()) {
    return base::errno_error(errno, fmt::format("cannot open {} of VM {}", name, id_));
  }
  return file;
}

base::Result<state::VmRecord> VmFolder::record() const {
  auto file = open_file(state::kVmRecordFile, O_RDONLY);
  if (!file.ok()) {
    return file.error().sys_errno == ENOENT ? no_such_vm(id_) : std::move(file).error();
  }
  PYRO_TRY_ASSIGN(const std::string text, base::read_all(file->get(), state::kMaxVmRecordBytes, "a VM's record"));
  PYRO_TRY_ASSIGN(auto record, state::VmRecord::decode(text));
  if (record.id != id_) {
    return base::make_error(PYRO_ERROR_INTERNAL, "the record of VM {} is of another one, {}", id_, record.id);
  }
  return record;
}

base::Status VmFolder::write_record(const state::VmRecord& record) const {
  PYRO_TRY(base::write_file_atomically(path(state::kVmRecordFile), record.encode(), 0600));
  // Who was told of a VM finds it again after a loss of power.
  PYRO_TRY(base::sync_directory(path(".")));
  return base::sync_directory(vms_path(home_));
}

base::Result<std::optional<state::VmRun>> VmFolder::run() const {
  auto file = open_file(state::kVmRunFile, O_RDONLY);
  if (!file.ok() && file.error().sys_errno == ENOENT) {
    return std::optional<state::VmRun>();
  }
  if (!file.ok()) {
    return std::move(file).error();
  }
  PYRO_TRY_ASSIGN(const std::string text, base::read_all(file->get(), state::kMaxVmRecordBytes, "a VM's start"));
  PYRO_TRY_ASSIGN(auto run, state::VmRun::decode(text));
  return std::optional(std::move(run));
}

base::Status VmFolder::write_run(const state::VmRun& run) const {
  return base::write_file_atomically(path(state::kVmRunFile), run.encode(), 0600);
}

base::Result<std::optional<FileLock>> VmFolder::try_lock() const {
  auto opened = open_file(state::kVmLockFile, O_RDWR);
  if (!opened.ok()) {
    return opened.error().sys_errno == ENOENT ? no_such_vm(id_) : std::move(opened).error();
  }
  base::Fd file = std::move(opened).value();
  struct flock whole = whole_file();
  if (::fcntl(file.get(), F_OFD_SETLK, &whole) == 0) {
    FileLock lock(std::move(file));
    if (!is_current()) {
      return no_such_vm(id_);
    }
    return std::optional(std::move(lock));
  }
  if (errno == EAGAIN || errno == EACCES) {
    return std::optional<FileLock>();
  }
  return base::errno_error(errno, "cannot lock VM " + id_);
}

base::Result<bool> VmFolder::is_locked() const {
  // For reading: also where nobody can write.
  auto file = open_file(state::kVmLockFile, O_RDONLY);
  if (!file.ok() && file.error().sys_errno == ENOENT) {
    return false;
  }
  if (!file.ok()) {
    return std::move(file).error();
  }
  struct flock whole = whole_file();
  if (::fcntl(file->get(), F_OFD_GETLK, &whole) != 0) {
    return base::errno_error(errno, "cannot look at the lock of VM " + id_);
  }
  return whole.l_type != F_UNLCK;
}

base::Result<base::Fd> VmFolder::listen() const {
  PYRO_TRY_ASSIGN(const sockaddr_un address, socket_address(path(state::kVmSocketFile)));
  base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) {
    return base::errno_error(errno, "cannot make a control socket");
  }
  ::unlinkat(fd_.get(), state::kVmSocketFile, 0);
  // Its file gets this mode, whatever umask is. The folder is its owner's alone as well.
  if (::fchmod(socket.get(), 0600) != 0 ||
      ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), kBacklog) != 0) {
    return base::errno_error(errno, "cannot make the control socket of VM " + id_);
  }
  return socket;
}

base::Result<std::optional<base::Fd>> VmFolder::connect() const {
  PYRO_TRY_ASSIGN(const sockaddr_un address, socket_address(path(state::kVmSocketFile)));
  base::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) {
    return base::errno_error(errno, "cannot make a control socket");
  }
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return std::optional(std::move(socket));
  }
  switch (errno) {
    case EAGAIN:
    case EINTR:
      return std::optional<base::Fd>();
    case ENOENT:
    case ECONNREFUSED:
      return base::make_error(PYRO_ERROR_STATE, "VM {} does not run", id_);
    default:
      return base::errno_error(errno, "cannot connect to VM " + id_);
  }
}

bool VmFolder::is_current() const noexcept {
  struct stat ours {};
  struct stat there {};
  return ::fstat(fd_.get(), &ours) == 0 && ::lstat((vms_path(home_) + "/" + id_).c_str(), &there) == 0 &&
         ours.st_ino == there.st_ino && ours.st_dev == there.st_dev;
}

base::Result<bool> VmFolder::hide() const {
  if (!is_current()) {
    return false;
  }
  const std::string path = vms_path(home_) + "/" + id_;
  if (::rename(path.c_str(), removed_path(home_, id_).c_str()) == 0) {
    return true;
  }
  if (errno == EXDEV) {
    ::mkdir((vms_path(home_) + kRemovedFolder).c_str(), 0700);
    if (::rename(path.c_str(), removed_path_in_vms(home_, id_).c_str()) == 0) {
      return true;
    }
  }
  if (errno == ENOENT) {
    return false;
  }
  return base::errno_error(errno, "cannot remove the folder of VM " + id_);
}

base::Status VmFolder::erase_hidden() const {
  PYRO_TRY(remove_folder(removed_path(home_, id_)));
  return remove_folder(removed_path_in_vms(home_, id_));
}

bool begin_periodic_reap(const std::string& home, std::int64_t period_s) noexcept {
  const base::Fd mark(::open((vms_path(home) + "/.reaped").c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat info {};
  timespec now{};
  if (!mark.valid() || ::fstat(mark.get(), &info) != 0 || ::clock_gettime(CLOCK_REALTIME, &now) != 0) {
    return errno != ENOENT;  // without any VM there is nothing to reap
  }
  // A file that is new has the time of now, which is no reason to wait; one of the future is wrong.
  const std::int64_t age_s = now.tv_sec - info.st_mtim.tv_sec;
  if (info.st_size != 0 && age_s >= 0 && age_s < period_s) {
    return false;
  }
  // If that cannot be written, the next one reaps as well.
  (void)!::pwrite(mark.get(), "1", 1, 0);
  return true;
}

void sweep_removed_folders(const std::string& home) {
  const auto names = names_in(home);
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    if (name.starts_with(kRemovedPrefix)) {
      [[maybe_unused]] const auto removed = remove_folder(home + "/" + name);
    }
  }
  [[maybe_unused]] const auto removed = remove_folder(vms_path(home) + kRemovedFolder);
}

base::Status VmFolder::rename(const char* from, const char* to) const {
  if (::renameat(fd_.get(), from, fd_.get(), to) != 0) {
    return base::errno_error(errno, fmt::format("cannot put {} of VM {} in place", to, id_));
  }
  return base::success();
}

std::int64_t VmFolder::changed_at() const noexcept {
  struct stat info {};
  return ::fstat(fd_.get(), &info) == 0 ? info.st_mtim.tv_sec : 0;
}

std::uint64_t VmFolder::disk_used_bytes() const noexcept {
  std::uint64_t total = 0;
  for (const char* name : {state::kVmDiskFile, state::kVmOutputFile, state::kVmCommandsFile}) {
    struct stat info {};
    if (::fstatat(fd_.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
      total += static_cast<std::uint64_t>(info.st_blocks) * kStatBlockBytes;
    }
  }
  return total;
}

base::Result<std::vector<std::string>> list_vm_ids(const std::string& home) {
  PYRO_TRY_ASSIGN(auto names, names_in(vms_path(home)));
  std::erase_if(names, [](const std::string& name) { return !state::check_vm_id(name).ok(); });
  return names;
}

}  // namespace pyro::client
