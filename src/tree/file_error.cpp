#include "tree/file_error.hpp"

#include "base/text.hpp"

#include <cerrno>

namespace pyro::tree {

namespace {

constexpr std::size_t kMaxShownBytes = 300;

pyro_status status_of(int sys_errno) noexcept {
  switch (sys_errno) {
    case ENOENT:
      return PYRO_ERROR_NOT_FOUND;
    case EEXIST:
      return PYRO_ERROR_EXISTS;
    case ENOTDIR:
    case EISDIR:
    case ENOTEMPTY:
    case ELOOP:
    case EBUSY:
    case ETXTBSY:
    case ENXIO:
      return PYRO_ERROR_STATE;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case EMLINK:
      return PYRO_ERROR_LIMIT;
    case ENAMETOOLONG:
    case EINVAL:
    case EACCES:
    case EPERM:
    case EROFS:
    case EXDEV:
      return PYRO_ERROR_INVALID;
    default:
      return base::status_of_errno(sys_errno);
  }
}

}  // namespace

base::Error file_error(int sys_errno, std::string_view what, std::string_view path) {
  base::Error error =
      base::make_error(status_of(sys_errno), "{} {}: {}", what, shown(path), base::errno_text(sys_errno));
  error.sys_errno = sys_errno;
  return error;
}

std::string shown(std::string_view path) {
  return "\"" + base::printable(path, kMaxShownBytes) + "\"";
}

}  // namespace pyro::tree
