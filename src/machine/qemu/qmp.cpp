#include "machine/qemu/qmp.hpp"

#include "base/io.hpp"
#include "state/json.hpp"

#include <string>
#include <utility>

#include <unistd.h>
#include <boost/json.hpp>

namespace pyro::machine {

namespace json = boost::json;

QmpConnection::QmpConnection(boost::asio::io_context& io, base::Fd socket, EventHandler on_event)
    : socket_(io, socket.release()), on_event_(std::move(on_event)) {
  socket_.non_blocking(true);
}

void QmpConnection::start() {
  replies_.push_back([](const std::string&) {});
  send(R"({"execute":"qmp_capabilities"})");
  wait();
}

void QmpConnection::query_text(const std::string& command_line, ReplyHandler on_reply) {
  const json::value command = {{"execute", "human-monitor-command"}, {"arguments", {{"command-line", command_line}}}};
  replies_.push_back(std::move(on_reply));
  send(json::serialize(command));
}

void QmpConnection::send(const std::string& text) {
  // A few short commands fit any socket buffer; a QEMU that does not read is noticed by its silence.
  const auto written = ::write(socket_.native_handle(), (text + "\n").data(), text.size() + 1);
  static_cast<void>(written);
}

void QmpConnection::wait() {
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const boost::system::error_code& error) {
    // A QEMU that sends endless lines is not listened to any more.
    if (!error && read_some() != ReadOutcome::ended && buffer_.size() <= kMaxLineBytes) {
      wait();
    }
  });
}

void QmpConnection::drain() {
  while (buffer_.size() <= kMaxLineBytes && read_some() == ReadOutcome::data) {
  }
}

ReadOutcome QmpConnection::read_some() {
  const auto outcome =
      read_once(socket_.native_handle(), [this](base::ByteView bytes) { buffer_ += base::as_text(bytes); });
  for (auto end = buffer_.find('\n'); end != std::string::npos; end = buffer_.find('\n')) {
    const std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    handle_line(line);
  }
  return outcome;
}

void QmpConnection::handle_line(const std::string& line) {
  const auto parsed = state::parse_json(line, kMaxLineBytes, "QMP message");
  if (!parsed.ok() || !parsed->is_object()) {
    return;
  }
  const json::object& object = parsed->as_object();
  if (const auto* name = object.if_contains("event"); name != nullptr && name->is_string()) {
    const auto* data = object.if_contains("data");
    on_event_(std::string_view(name->as_string()),
              data != nullptr && data->is_object() ? data->as_object() : json::object());
    return;
  }
  const auto* returned = object.if_contains("return");
  if ((returned == nullptr && !object.contains("error")) || replies_.empty()) {
    return;  // the greeting
  }
  const auto handler = std::move(replies_.front());
  replies_.pop_front();
  handler(returned != nullptr && returned->is_string() ? std::string(returned->as_string()) : std::string());
}

}  // namespace pyro::machine
