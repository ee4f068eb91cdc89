#include "guest/devices.hpp"

#include "base/clock.hpp"
#include "base/io.hpp"
#include "guest/console.hpp"
#include "guest/files.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace pyro::guest {

namespace {

constexpr std::int64_t kPauseNs = 500'000;
constexpr std::int64_t kMaxPauseNs = 100'000'000;
constexpr std::int64_t kSayAfterNs = 10'000'000'000;

// Repeats a look for something that a driver makes a moment after its module has loaded. The agent runs before every
// thread of the kernel that it waits for, and looking takes long where many guests share a processor: so it pauses for
// several times as long as the look took. There is no deadline but the host's for the whole boot, whose message quotes
// the console.
class Waiting {
 public:
  explicit Waiting(std::string what) : what_(std::move(what)) {}

  void pause() {
    const std::int64_t now_ns = base::monotonic_ns();
    if (!said_ && now_ns - begin_ns_ >= kSayAfterNs) {
      said_ = true;
      console_line(fmt::format("still waiting for {}", what_));
    }
    ::usleep(static_cast<useconds_t>(std::clamp(4 * (now_ns - look_ns_), kPauseNs, kMaxPauseNs) / 1000));
    look_ns_ = base::monotonic_ns();
  }

 private:
  std::string what_;
  std::int64_t begin_ns_ = base::monotonic_ns();
  std::int64_t look_ns_ = begin_ns_;
  bool said_ = false;
};

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

std::string wait_for_device(const std::string& directory, const std::string& attribute, const std::string& value) {
  Waiting waiting(fmt::format("a device whose {}/*/{} is \"{}\"", directory, attribute, value));
  while (true) {
    if (const auto found = find_entry(directory, attribute, value)) {
      return "/dev/" + *found;
    }
    waiting.pause();
  }
}

// A disk's attributes and its node are there a moment before it can be opened. "bdi" is the last thing that comes
// before; an attempt that is too early costs a search for a driver.
base::Result<std::string> wait_for_disk(const std::string& attribute, const std::string& value) {
  std::string path = wait_for_device("/sys/block", attribute, value);
  const std::string ready = "/sys/block/" + path.substr(path.rfind('/') + 1) + "/bdi";
  Waiting waiting(path);
  while (true) {
    if (::access(ready.c_str(), F_OK) == 0) {
      auto opened = base::open_file(path, O_RDONLY);
      if (opened.ok()) {
        return path;
      }
      if (opened.error().sys_errno != ENXIO && opened.error().sys_errno != ENOENT) {
        return std::move(opened).error();
      }
    }
    waiting.pause();
  }
}

}  // namespace

base::Result<std::string> find_disk(const std::string& serial) {
  return wait_for_disk("serial", serial);
}

bool has_virtio_device(unsigned id) {
  return find_entry("/sys/bus/virtio/devices", "device", fmt::format("0x{:04x}", id)).has_value();
}

base::Result<std::string> find_persistent_memory() {
  // Under its own name: a raw image has no label to be known by, and a machine of ours has only one.
  return wait_for_disk("queue/dax", "1");
}

base::Result<base::Fd> open_port(const std::string& name) {
  const std::string path = wait_for_device("/sys/class/virtio-ports", "name", name);
  PYRO_TRY_ASSIGN(base::Fd port, base::open_file(path, O_RDWR | O_NONBLOCK));
  Waiting waiting("the host at " + path);
  while (!host_is_connected(port.get())) {
    waiting.pause();
  }
  return port;
}

bool host_is_connected(int port) noexcept {
  pollfd query{port, POLLOUT, 0};
  return ::poll(&query, 1, 0) >= 0 && (query.revents & POLLHUP) == 0;
}

}  // namespace pyro::guest
