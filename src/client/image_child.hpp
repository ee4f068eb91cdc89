// A conversation with pyro-image: one request on its stdin, JSON lines on its stdout, and stdin kept
// open as the sign that we are still there. All heavy and hostile parsing happens in that process.
// Thread rule: belongs to one thread at a time.
#pragma once

#include "client/context.hpp"
#include "client/event.hpp"
#include "client/poller.hpp"
#include "jail/spawn.hpp"

#include <functional>
#include <optional>
#include <string>

#include <boost/json/value.hpp>

namespace pyro::client {

struct ImageRequest {
  /// "list", "build", "inspect", "import", "export", "prune", "verify", "scratch".
  std::string op;
  std::string name;
  std::string path;
  bool verify = false;
  bool force = false;
  bool all = false;
  std::uint32_t mib = 0;

  /// The line that pyro-image reads, without the newline.
  [[nodiscard]] std::string encode(const std::string& home) const;
};

/// The last line of pyro-image when it succeeded: an object.
using ImageAnswer = boost::json::value;

class ImageChild {
 public:
  ImageChild(const ImageChild&) = delete;
  ImageChild& operator=(const ImageChild&) = delete;
  ~ImageChild();
  /// Starts pyro-image; call poll() whenever `poller` wakes. Errors: UNSUPPORTED (not installed), INVALID
  /// (the home folder), LIMIT, INTERNAL.
  static base::Result<std::unique_ptr<ImageChild>> start(const ContextPtr& context, Poller& poller,
                                                         const ImageRequest& request);

  using OnProgress = std::function<void(Event)>;
  /// Takes what it said since; nothing while it works. Its error, or its death, is the error of this.
  base::Result<std::optional<ImageAnswer>> poll(const OnProgress& on_progress);
  /// Tells it to stop, without waiting; the destructor waits.
  void stop() noexcept;
  /// Tells it to stop and gives the process away, so that nobody waits for it here. The last call.
  jail::Process release() noexcept;

 private:
  ImageChild(jail::Process process, Poller& poller) noexcept : process_(std::move(process)), poller_(poller) {}
  base::Result<std::optional<ImageAnswer>> take_line(std::string_view line, const OnProgress& on_progress);
  void read_stderr();
  base::Result<std::optional<ImageAnswer>> await_end();
  base::Error died(bool ended);

  jail::Process process_;
  Poller& poller_;
  base::Fd stdin_;
  base::Fd stdout_;
  base::Fd stderr_;
  Watch stdout_watch_;
  Watch stderr_watch_;
  Watch process_watch_;
  /// When to give up on the exit status of one that has closed its output; 0: it has not.
  std::int64_t give_up_ms_ = 0;
  std::string lines_;
  std::string stderr_tail_;
};

/// The list that an answer holds. Errors: INTERNAL.
base::Result<std::unique_ptr<OwnedEnvironments>> decode_environments(const ImageAnswer& answer);

}  // namespace pyro::client
