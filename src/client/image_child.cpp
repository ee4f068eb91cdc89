#include "client/image_child.hpp"

#include "base/build_id.hpp"
#include "base/clock.hpp"
#include "base/io.hpp"
#include "client/home.hpp"
#include "client/programs.hpp"
#include "state/json.hpp"
#include "state/status_name.hpp"

#include <array>
#include <cerrno>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <boost/json.hpp>

namespace pyro::client {

namespace {

namespace json = boost::json;

/// The longest line is an inspect's, with a manifest of at most 4 MiB in it.
constexpr std::size_t kMaxLineBytes = 8u << 20;
/// Enough of pyro-image's stderr to see why it died.
constexpr std::size_t kStderrTailBytes = 4096;
/// Between the end of a program's output and its exit lie microseconds; more on a machine that swaps.
constexpr std::int64_t kExitMs = 2000;

std::string text_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  if (value == nullptr || !value->is_string()) {
    return "";
  }
  return {value->get_string().data(), value->get_string().size()};
}

std::uint64_t number_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  if (value == nullptr || !value->is_number()) {
    return 0;
  }
  json::error_code ignored;
  return value->to_number<std::uint64_t>(ignored);
}

bool flag_of(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains({key.data(), key.size()});
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::string last_line(std::string_view text) {
  const auto last = text.find_last_not_of(" \n");
  if (last == std::string_view::npos) {
    return "";
  }
  text = text.substr(0, last + 1);
  const auto line_break = text.find_last_of('\n');
  return std::string(line_break == std::string_view::npos ? text : text.substr(line_break + 1));
}

}  // namespace

std::string ImageRequest::encode(const std::string& home) const {
  json::object out{{"build_id", base::build_id()}, {"op", op}, {"home", home}};
  if (!name.empty()) {
    out["name"] = name;
  }
  if (!path.empty()) {
    out["path"] = path;
  }
  if (verify) {
    out["verify"] = true;
  }
  if (force) {
    out["force"] = true;
  }
  if (all) {
    out["all"] = true;
  }
  if (mib != 0) {
    out["mib"] = mib;
  }
  return json::serialize(out);
}

base::Result<std::unique_ptr<ImageChild>> ImageChild::start(const ContextPtr& context, Poller& poller,
                                                            const ImageRequest& request) {
  const Settings& settings = context->settings;
  PYRO_TRY(ensure_home(settings.home));
  jail::SpawnOptions options;
  PYRO_TRY_ASSIGN(options.program, find_helper(settings, "pyro-image"));
  options.argv = {"pyro-image"};
  options.env = settings.image_env;
  // A socket, because a forked child of the host may hold a copy of our end: shutdown() ends it for all.
  PYRO_TRY_ASSIGN(base::FdPair input, base::make_socket_pair());
  PYRO_TRY_ASSIGN(base::FdPair output, base::make_pipe());
  PYRO_TRY_ASSIGN(base::FdPair errors, base::make_pipe());
  PYRO_TRY(base::set_nonblocking(output.first.get()));
  PYRO_TRY(base::set_nonblocking(errors.first.get()));
  options.stdio = {input.second.get(), output.second.get(), errors.second.get()};
  // Far smaller than a socket's buffer: never waits.
  PYRO_TRY(base::write_all(input.first.get(), base::as_bytes(request.encode(settings.home) + "\n"), "to pyro-image"));
  context->log.add(PYRO_LOG_DEBUG, "starting pyro-image: {} {}", request.op, request.name);
  PYRO_TRY_ASSIGN(auto process, jail::spawn_process(options));
  std::unique_ptr<ImageChild> child(new ImageChild(std::move(process), poller));
  child->stdin_ = std::move(input.first);
  child->stdout_ = std::move(output.first);
  child->stderr_ = std::move(errors.first);
  PYRO_TRY_ASSIGN(child->stdout_watch_, poller.watch(child->stdout_.get(), EPOLLIN));
  PYRO_TRY_ASSIGN(child->stderr_watch_, poller.watch(child->stderr_.get(), EPOLLIN));
  // The end of its output alone would not do: a child that the host forked meanwhile may hold the pipes.
  if (child->process_.pidfd() >= 0) {
    PYRO_TRY_ASSIGN(child->process_watch_, poller.watch(child->process_.pidfd(), EPOLLIN));
  }
  return child;
}

base::Result<std::optional<ImageAnswer>> ImageChild::poll(const OnProgress& on_progress) {
  // Asked first: what it wrote before its end is in the pipe then.
  const bool ended = process_.wait(0);
  read_stderr();
  std::array<char, 16384> buffer;
  while (true) {
    const ssize_t got = ::read(stdout_.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0 && ended) {
      return died(true);
    }
    if (got < 0 && errno == EAGAIN) {
      return std::optional<ImageAnswer>();
    }
    if (got <= 0) {
      return await_end();
    }
    lines_.append(buffer.data(), static_cast<std::size_t>(got));
    std::size_t start = 0;
    for (auto end = lines_.find('\n'); end != std::string::npos; end = lines_.find('\n', start)) {
      PYRO_TRY_ASSIGN(auto answer, take_line(std::string_view(lines_).substr(start, end - start), on_progress));
      if (answer.has_value()) {
        return answer;
      }
      start = end + 1;
    }
    lines_.erase(0, start);
    if (lines_.size() > kMaxLineBytes) {
      return base::make_error(PYRO_ERROR_INTERNAL, "pyro-image wrote a line of more than {} bytes", kMaxLineBytes);
    }
  }
}

base::Result<std::optional<ImageAnswer>> ImageChild::take_line(std::string_view line, const OnProgress& on_progress) {
  PYRO_TRY_ASSIGN(ImageAnswer value,
                  state::parse_json(line, kMaxLineBytes, "what pyro-image wrote", PYRO_ERROR_INTERNAL));
  if (!value.is_object()) {
    return base::make_error(PYRO_ERROR_INTERNAL, "pyro-image wrote a line that is no JSON object");
  }
  const json::object& object = value.get_object();
  const std::string event = text_of(object, "event");
  if (event == "progress") {
    on_progress(Event::progress(text_of(object, "stage"), text_of(object, "message"), number_of(object, "done"),
                                number_of(object, "total")));
    return std::optional<ImageAnswer>();
  }
  if (event == "error") {
    return base::Error{state::status_from_name(text_of(object, "code")), text_of(object, "message"), 0};
  }
  if (event != "done") {
    return base::make_error(PYRO_ERROR_INTERNAL, "pyro-image wrote an unknown event \"{}\"", event);
  }
  return std::optional<ImageAnswer>(std::move(value));
}

void ImageChild::read_stderr() {
  std::array<char, 4096> buffer;
  ssize_t got = 0;
  while ((got = ::read(stderr_.get(), buffer.data(), buffer.size())) > 0) {
    stderr_tail_.append(buffer.data(), static_cast<std::size_t>(got));
    if (stderr_tail_.size() > kStderrTailBytes) {
      stderr_tail_.erase(0, stderr_tail_.size() - kStderrTailBytes);
    }
  }
  if (got == 0) {
    // End of file would wake for ever.
    stderr_watch_ = Watch();
  }
}

// It has closed its output without an answer: how it ends is still to be told.
base::Result<std::optional<ImageAnswer>> ImageChild::await_end() {
  stdout_watch_ = Watch();  // End of file would wake for ever.
  const std::int64_t now_ms = base::monotonic_ms();
  if (give_up_ms_ == 0) {
    give_up_ms_ = now_ms + kExitMs;
    PYRO_TRY(poller_.set_deadline(give_up_ms_));
  }
  if (now_ms >= give_up_ms_) {
    return died(false);
  }
  return std::optional<ImageAnswer>();
}

base::Error ImageChild::died(bool ended) {
  base::Error error = base::make_error(PYRO_ERROR_INTERNAL, "pyro-image {} without an answer",
                                       ended ? process_.describe_end() : "closed its output");
  if (const std::string line = last_line(stderr_tail_); !line.empty()) {
    error.message += ": " + line;
  }
  return error;
}

ImageChild::~ImageChild() {
  // In a forked child of the host, stopping would end the parent's.
  if (process_.is_ours()) {
    stop();
  }
}

void ImageChild::stop() noexcept {
  if (stdin_.valid()) {
    ::shutdown(stdin_.get(), SHUT_RDWR);
  }
}

jail::Process ImageChild::release() noexcept {
  stop();
  process_watch_ = Watch();
  return std::move(process_);
}

base::Result<std::unique_ptr<OwnedEnvironments>> decode_environments(const ImageAnswer& answer) {
  auto list = std::make_unique<OwnedEnvironments>();
  json::object shown = answer.get_object();
  shown.erase("event");
  if (const auto* rows = shown.if_contains("environments")) {
    if (!rows->is_array()) {
      return base::make_error(PYRO_ERROR_INTERNAL, "pyro-image wrote environments that are no array");
    }
    for (const auto& row : rows->get_array()) {
      if (!row.is_object()) {
        return base::make_error(PYRO_ERROR_INTERNAL, "pyro-image wrote an environment that is no object");
      }
      const json::object& object = row.get_object();
      pyro_environment& out = list->rows.emplace_back();
      out.struct_size = sizeof out;
      out.available = flag_of(object, "available") ? 1 : 0;
      out.name = list->keep(text_of(object, "name"));
      out.description = list->keep(text_of(object, "description"));
      out.digest = list->keep(text_of(object, "digest"));
      out.kernel_version = list->keep(text_of(object, "kernel_version"));
      out.size_bytes = number_of(object, "size_bytes");
      out.created_at = static_cast<std::int64_t>(number_of(object, "created_at"));
    }
  } else {
    shown["environments"] = json::array();
  }
  list->json_text = json::serialize(shown);
  list->seal();
  return list;
}

}  // namespace pyro::client
