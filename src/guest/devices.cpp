#include "guest/devices.hpp"

#include "base/clock.hpp"
#include "base/io.hpp"
#include "guest/files.hpp"

#include <cerrno>
#include <optional>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace pyro::guest {

namespace {

// Devices are there when their driver's module has loaded, or a moment later; one that is not there after
// this was not given to the machine.
constexpr std::int64_t kDeviceDeadlineMs = 5000;
constexpr useconds_t kPollUs = 500;

// The name of the entry of `directory` whose file `attribute` says `value`.
std::optional<std::string> find_entry(const std::string& directory, const std::string& attribute,
                                      const std::string& value) {
  DIR* entries = ::opendir(directory.c_str());
  if (entries == nullptr) {
    return std::nullopt;
  }
  std::optional<std::string> found;
  while (const dirent* entry = ::readdir(entries)) {
    if (entry->d_name[0] == '.') {
      continue;
    }
    std::string text = read_file_at(::dirfd(entries), fmt::format("{}/{}", entry->d_name, attribute));
    while (!text.empty() && (text.back() == '\n' || text.back() == '\0')) {
      text.pop_back();
    }
    if (text == value) {
      found = entry->d_name;
      break;
    }
  }
  ::closedir(entries);
  return found;
}

base::Result<std::string> wait_for_device(const std::string& directory, const std::string& attribute,
                                          const std::string& value) {
  const std::int64_t deadline_ms = base::monotonic_ms() + kDeviceDeadlineMs;
  while (true) {
    if (const auto found = find_entry(directory, attribute, value)) {
      return "/dev/" + *found;
    }
    if (base::monotonic_ms() > deadline_ms) {
      return base::make_error(PYRO_ERROR_BOOT, "the machine has no device whose {}/*/{} is \"{}\"", directory,
                              attribute, value);
    }
    ::usleep(kPollUs);
  }
}

}  // namespace

base::Result<std::string> find_disk(const std::string& serial) {
  return wait_for_device("/sys/block", "serial", serial);
}

base::Result<base::Fd> open_port(const std::string& name) {
  PYRO_TRY_ASSIGN(const std::string path, wait_for_device("/sys/class/virtio-ports", "name", name));
  PYRO_TRY_ASSIGN(base::Fd port, base::open_file(path, O_RDWR | O_NONBLOCK));
  // No deadline: a guest that was started ahead may wait for its supervisor for long.
  while (!host_is_connected(port.get())) {
    ::usleep(kPollUs);
  }
  return port;
}

bool host_is_connected(int port) noexcept {
  pollfd query{port, POLLOUT, 0};
  return ::poll(&query, 1, 0) >= 0 && (query.revents & POLLHUP) == 0;
}

}  // namespace pyro::guest
