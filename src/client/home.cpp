#include "client/home.hpp"

#include "base/io.hpp"

#include <cerrno>
#include <cstdlib>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::client {

namespace {

base::Error advised(base::Error error) {
  switch (error.sys_errno) {
    case ENOSPC:
    case EDQUOT:
      error.message += "; free some space, or set PYRO_HOME to a folder on another disk";
      break;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
      error.message += "; set PYRO_HOME to a folder that you can write to";
      break;
    default:
      break;
  }
  return error;
}

}  // namespace

base::Status ensure_home(const std::string& home) {
  if (home.empty()) {
    return base::make_error(PYRO_ERROR_INVALID, "there is no home folder: set PYRO_HOME (or HOME) to an absolute path");
  }
  struct stat info {};
  if (::stat(home.c_str(), &info) != 0) {
    if (errno != ENOENT) {
      return advised(base::errno_error(errno, "cannot use the home folder " + home));
    }
    if (auto made = base::make_directories(home, 0700); !made.ok()) {
      return advised(std::move(made).error());
    }
    if (::stat(home.c_str(), &info) != 0) {
      return advised(base::errno_error(errno, "cannot use the home folder " + home));
    }
  }
  if (!S_ISDIR(info.st_mode)) {
    return base::make_error(PYRO_ERROR_INVALID, "the home folder {} is not a folder: set PYRO_HOME to one", home);
  }
  if (info.st_uid != ::geteuid()) {
    return base::make_error(PYRO_ERROR_INVALID,
                            "the home folder {} belongs to user {}, not to you (user {}): set PYRO_HOME to your own",
                            home, info.st_uid, ::geteuid());
  }
  if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return base::make_error(PYRO_ERROR_INVALID,
                            "the home folder {} can be written to by other users (mode {:o}): run chmod 700 {}", home,
                            info.st_mode & 07777U, home);
  }
  return base::success();
}

base::Result<base::Fd> make_unnamed_file(const std::string& home) {
  auto unnamed = base::open_file(home, O_TMPFILE | O_RDWR, 0600);
  if (unnamed.ok()) {
    return unnamed;
  }
  const int reason = unnamed.error().sys_errno;
  // Filesystems without O_TMPFILE say EOPNOTSUPP, kernels without it EISDIR.
  if (reason != EOPNOTSUPP && reason != EISDIR) {
    return advised(base::errno_error(reason, "cannot create a file in " + home));
  }
  std::string name = home + "/delta.XXXXXX";
  base::Fd fd(::mkostemp(name.data(), O_CLOEXEC));
  if (!fd.valid()) {
    return advised(base::errno_error(errno, "cannot create a file in " + home));
  }
  ::unlink(name.c_str());
  return fd;
}

}  // namespace pyro::client
