#include "image/tree.hpp"

#include "base/bytes.hpp"
#include "base/io.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <sstream>
#include <vector>

#include <fcntl.h>
#include <ftw.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::image {

namespace {

namespace fs = std::filesystem;

/// Descriptors that nftw() may hold: deeper trees cost it time, not failure.
constexpr int kWalkFds = 64;
/// /proc/self/mountinfo of a host with thousands of containers.
constexpr std::size_t kMaxMountinfoBytes = 16u << 20;

/// Decodes the \ooo of /proc/self/mountinfo (proc(5)).
std::string unescape_mount_point(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

void unmount_below(const std::string& path) {
  const auto mounts = base::read_file("/proc/self/mountinfo", kMaxMountinfoBytes);
  if (!mounts.ok()) {
    return;
  }
  std::vector<std::string> points;
  std::istringstream in(mounts.value());
  for (std::string line; std::getline(in, line);) {
    std::istringstream fields(line);
    std::string point;
    for (int i = 0; i < 5; ++i) {
      fields >> point;
    }
    point = unescape_mount_point(point);
    if (point.starts_with(path + "/")) {
      points.push_back(point);
    }
  }
  // Latest first: mounts may lie upon each other.
  std::reverse(points.begin(), points.end());
  for (const std::string& point : points) {
    ::umount2(point.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
  }
}

int remove_entry(const char* path, const struct stat*, int kind, struct FTW*) {
  const int failed = kind == FTW_DP ? ::rmdir(path) : ::unlink(path);
  return failed == 0 || errno == ENOENT ? 0 : errno;
}

thread_local std::uint64_t walked_bytes;
int add_size(const char*, const struct stat* info, int, struct FTW*) {
  walked_bytes += static_cast<std::uint64_t>(info->st_blocks) * 512;
  return 0;
}

/// Byte-compiled Python says which source time it was made from. All sources get kSourceDateEpoch in the image, so
/// the compiled files must say the same, or every run would compile them again.
base::Status stamp_python_bytecode(const std::string& path) {
  // PEP 552: magic, flags, source time, source size; flags 0 means "compare time and size".
  constexpr off_t flags_offset = 4;
  constexpr off_t time_offset = 8;
  PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(path, O_RDWR | O_NOFOLLOW));
  std::array<std::byte, 4> flags{};
  if (::pread(fd.get(), flags.data(), flags.size(), flags_offset) != static_cast<ssize_t>(flags.size()) ||
      base::ByteReader(flags).u32() != 0) {
    return base::success();
  }
  base::ByteWriter time;
  time.u32(static_cast<std::uint32_t>(kSourceDateEpoch));
  if (::pwrite(fd.get(), time.view().data(), time.view().size(), time_offset) !=
      static_cast<ssize_t>(time.view().size())) {
    return base::errno_error(errno, "cannot write " + path);
  }
  return base::success();
}

base::Status empty_directory(const std::string& path) {
  std::error_code failure;
  std::vector<std::string> children;
  for (const auto& entry : fs::directory_iterator(path, failure)) {
    children.push_back(entry.path().string());
  }
  for (const std::string& child : children) {
    struct stat info {};
    if (::lstat(child.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) {
      PYRO_TRY(remove_tree(child));
    } else if (::unlink(child.c_str()) != 0) {
      return base::errno_error(errno, "cannot remove " + child);
    }
  }
  return base::success();
}

base::Status remove_files_below(const std::string& path) {
  std::error_code failure;
  std::vector<std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(path, failure)) {
    if (!fs::is_directory(entry.symlink_status())) {
      files.push_back(entry.path().string());
    }
  }
  for (const std::string& file : files) {
    if (::unlink(file.c_str()) != 0) {
      return base::errno_error(errno, "cannot remove " + file);
    }
  }
  return base::success();
}

base::Status put_file(const std::string& path, std::string_view content) {
  ::unlink(path.c_str());
  PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
  return base::write_all(fd.get(), base::as_bytes(content), path);
}

/// A real directory at `path`, made if absent.
base::Status ensure_directory(const std::string& path, mode_t mode) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) {
    // chmod: the umask is not part of an image.
    if (::mkdir(path.c_str(), mode) != 0 || ::chmod(path.c_str(), mode) != 0) {
      return base::errno_error(errno, "cannot create directory " + path);
    }
    return base::success();
  }
  return S_ISDIR(info.st_mode)
             ? base::success()
             : base::make_error(PYRO_ERROR_INVALID, "the root file system has a {} that is not a directory",
                                path.substr(path.find_last_of('/')));
}

/// Any user of the guest may work there: a guest is one trust domain.
constexpr mode_t kWorkspaceMode = 0777;

}  // namespace

base::Status remove_tree(const std::string& path) {
  unmount_below(path);
  const int failure = ::nftw(path.c_str(), remove_entry, kWalkFds, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
  if (failure == 0 || (failure < 0 && errno == ENOENT)) {
    return base::success();
  }
  return base::errno_error(failure > 0 ? failure : errno, "cannot remove " + path);
}

std::uint64_t tree_size(const std::string& path) {
  walked_bytes = 0;
  ::nftw(path.c_str(), add_size, kWalkFds, FTW_PHYS | FTW_MOUNT);
  return walked_bytes;
}

base::Status tidy_built_tree(const std::string& root) {
  // As root mmdebstrap leaves device nodes, in a user namespace it cannot make them: the guest mounts its own /dev.
  for (const char* emptied : {"/dev", "/run", "/tmp", "/var/tmp", "/var/cache/apt", "/var/lib/apt/lists",
                              "/var/cache/ldconfig", "/var/cache/man", "/boot", "/etc/apt/sources.list.d"}) {
    PYRO_TRY(empty_directory(root + emptied));
  }
  // Only the files: apt wants its folder there.
  PYRO_TRY(remove_files_below(root + "/var/log"));
  for (const char* removed : {"/etc/apt/sources.list",
                              "/etc/apt/apt.conf.d/00mmdebstrap",
                              "/etc/apt/apt.conf.d/99mmdebstrap",
                              "/etc/apt/preferences.d/99pyro",
                              "/etc/dpkg/dpkg.cfg.d/99mmdebstrap",
                              "/etc/.pwd.lock",
                              "/etc/passwd-",
                              "/etc/group-",
                              "/etc/shadow-",
                              "/etc/gshadow-",
                              "/etc/subuid-",
                              "/etc/subgid-",
                              "/var/lib/dpkg/status-old",
                              "/var/lib/dpkg/diversions-old",
                              "/var/lib/dpkg/statoverride-old",
                              "/var/lib/dpkg/lock",
                              "/var/lib/dpkg/lock-frontend",
                              "/var/lib/apt/extended_states.old",
                              "/var/cache/debconf/config.dat-old",
                              "/var/cache/debconf/templates.dat-old",
                              "/var/lib/dbus/machine-id"}) {
    ::unlink((root + removed).c_str());
  }
  for (const char* empty : {"/etc/machine-id", "/etc/resolv.conf"}) {
    PYRO_TRY(put_file(root + empty, ""));
  }
  PYRO_TRY(put_file(root + "/etc/hostname", "localhost\n"));
  PYRO_TRY(put_file(root + "/etc/hosts", "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"));
  PYRO_TRY(ensure_directory(root + "/workspace", kWorkspaceMode));

  std::error_code failure;
  for (fs::recursive_directory_iterator entry(root + "/usr", failure), end; entry != end; entry.increment(failure)) {
    if (failure) {
      break;
    }
    if (entry->path().extension() == ".pyc" && entry->is_regular_file(failure) && !entry->is_symlink(failure)) {
      PYRO_TRY(stamp_python_bytecode(entry->path().string()));
    }
  }
  if (failure) {
    return base::errno_error(failure.value(), "cannot read " + root + "/usr");
  }
  return base::success();
}

base::Status prepare_imported_tree(const std::string& root) {
  struct stat info {};
  if (::lstat((root + "/bin").c_str(), &info) != 0 && ::lstat((root + "/usr").c_str(), &info) != 0) {
    return base::make_error(PYRO_ERROR_INVALID,
                            "this is not a root file system: it has neither /bin nor /usr at its top");
  }
  for (const char* mounted : {"/dev", "/proc", "/sys", "/run"}) {
    PYRO_TRY(ensure_directory(root + mounted, 0755));
  }
  PYRO_TRY(ensure_directory(root + "/tmp", 01777));
  return ensure_directory(root + "/workspace", kWorkspaceMode);
}

}  // namespace pyro::image
