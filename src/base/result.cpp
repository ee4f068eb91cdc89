#include "base/result.hpp"

#include <cerrno>
#include <system_error>

namespace pyro::base {

pyro_status status_of_errno(int sys_errno) noexcept {
  switch (sys_errno) {
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case EAGAIN:
    case EFBIG:
      return PYRO_ERROR_LIMIT;
    case ENOENT:
      return PYRO_ERROR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
      return PYRO_ERROR_INVALID;
    default:
      return PYRO_ERROR_INTERNAL;
  }
}

std::string errno_text(int sys_errno) {
  return std::generic_category().message(sys_errno);
}

Error errno_error(int sys_errno, std::string what) {
  return Error{status_of_errno(sys_errno), fmt::format("{}: {}", what, errno_text(sys_errno)), sys_errno};
}

}  // namespace pyro::base
