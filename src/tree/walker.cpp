#include "tree/walker.hpp"

#include "tree/file_error.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>

namespace pyro::tree {

using base::Fd;
using base::Result;
using base::Status;

namespace {

// One directory's names are sorted in memory.
constexpr std::size_t kMaxNames = 1'000'000;

}  // namespace

Result<Walker> Walker::make(Fd root, Options options, std::string shown_root) {
  Walker walker(options, std::move(shown_root));
  struct stat info {};
  if (::fstat(root.get(), &info) != 0) {
    return file_error(errno, "cannot look at", walker.shown_root_);
  }
  walker.device_ = info.st_dev;
  PYRO_TRY(walker.enter(std::move(root), 0));
  return walker;
}

Status Walker::enter(Fd directory, std::size_t path_size) {
  const auto cannot_read = [this](int why) {
    return file_error(why, "cannot read the directory", levels_.empty() ? shown_root_ : shown_item());
  };
  Level level;
  level.path_size = path_size;
  level.dir.reset(::fdopendir(directory.get()));
  if (!level.dir) {
    return cannot_read(errno);
  }
  (void)directory.release();
  while (true) {
    errno = 0;
    const dirent* entry = ::readdir(level.dir.get());
    if (entry == nullptr) {
      if (errno != 0) {
        return cannot_read(errno);
      }
      break;
    }
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) {
      continue;
    }
    if (level.names.size() == kMaxNames) {
      return base::make_error(PYRO_ERROR_LIMIT, "there are more than {} names in the directory {}", kMaxNames,
                              shown(levels_.empty() ? shown_root_ : shown_item()));
    }
    level.names.emplace_back(entry->d_name);
  }
  std::sort(level.names.begin(), level.names.end(), std::greater<>());
  // A directory that changes while it is read may give a name twice.
  level.names.erase(std::unique(level.names.begin(), level.names.end()), level.names.end());
  levels_.push_back(std::move(level));
  return base::success();
}

// What is no directory any more, or gone, is simply not entered.
Status Walker::enter_item() {
  Fd directory(::openat(item_.directory, item_.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid()) {
    if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) {
      return base::success();
    }
    return file_error(errno, "cannot read the directory", shown_item());
  }
  if (levels_.size() == kMaxDepth) {
    return base::make_error(PYRO_ERROR_LIMIT, "directories are nested more than {} deep at {}", kMaxDepth,
                            shown(shown_item()));
  }
  return enter(std::move(directory), item_.path.size());
}

Result<bool> Walker::next() {
  if (std::exchange(descend_, false)) {
    PYRO_TRY(enter_item());
  }
  while (!levels_.empty()) {
    Level& level = levels_.back();
    if (level.names.empty()) {
      levels_.pop_back();
      continue;
    }
    item_.path.resize(level.path_size);
    item_.name = std::move(level.names.back());
    level.names.pop_back();
    item_.path += (item_.path.empty() ? "" : "/") + item_.name;
    item_.directory = ::dirfd(level.dir.get());
    if (item_.path.size() > options_.max_path_bytes) {
      return base::make_error(PYRO_ERROR_LIMIT, "a path has {} bytes, {} are allowed: {}", item_.path.size(),
                              options_.max_path_bytes, shown(item_.path));
    }
    if (::fstatat(item_.directory, item_.name.c_str(), &item_.info, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) {
        continue;
      }
      return file_error(errno, "cannot look at", shown_item());
    }
    if (S_ISDIR(item_.info.st_mode)) {
      const bool is_mount = options_.one_file_system && item_.info.st_dev != device_;
      mounts_ += is_mount ? 1 : 0;
      descend_ = !is_mount && !options_.flat;
    }
    return true;
  }
  return false;
}

}  // namespace pyro::tree
