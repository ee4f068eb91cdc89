#include "image/report.hpp"

#include "base/clock.hpp"
#include "base/io.hpp"
#include "base/text.hpp"
#include "state/status_name.hpp"

#include <boost/json.hpp>

namespace pyro::image {

namespace json = boost::json;

namespace {

/// Ten lines a second are a live display; more is work for nobody.
constexpr std::int64_t kMinIntervalMs = 100;
/// File names, which may be any bytes, get into messages.
constexpr std::size_t kMaxTextBytes = 64 * 1024;

json::string text_of(std::string_view text) {
  const std::string clean = base::printable(text, kMaxTextBytes);
  return json::string(clean.data(), clean.size());
}

json::object environment_object(const EnvironmentInfo& info) {
  json::object out;
  out["name"] = text_of(info.name);
  out["description"] = text_of(info.description);
  out["available"] = info.available;
  out["digest"] = text_of(info.digest);
  out["kernel_version"] = text_of(info.kernel_version);
  out["size_bytes"] = info.size_bytes;
  out["created_at"] = info.created_at;
  if (info.manifest) {
    out["manifest"] = json::parse(info.manifest->encode());
  }
  return out;
}

}  // namespace

void Report::write_line(std::string line) {
  line += '\n';
  // A client that closed its end shows as end of file on stdin, which main.cpp watches.
  (void)base::write_all(fd_, base::as_bytes(line), "the answer").ok();
}

void Report::progress(std::string_view stage, std::string_view message, std::uint64_t done, std::uint64_t total) {
  const std::int64_t now_ms = base::monotonic_ms();
  const bool boundary = stage != stage_ || (total != 0 && done == total);
  if (!boundary && now_ms - last_line_ms_ < kMinIntervalMs) {
    return;
  }
  stage_ = stage;
  last_line_ms_ = now_ms;
  json::object out;
  out["event"] = "progress";
  out["stage"] = text_of(stage);
  out["message"] = text_of(message);
  out["done"] = done;
  out["total"] = total;
  write_line(json::serialize(out));
}

void Report::done(const Outcome& outcome) {
  json::object out;
  out["event"] = "done";
  json::array environments;
  for (const EnvironmentInfo& info : outcome.environments) {
    environments.push_back(environment_object(info));
  }
  out["environments"] = std::move(environments);
  if (outcome.freed_bytes) {
    out["freed_bytes"] = *outcome.freed_bytes;
  }
  if (!outcome.path.empty()) {
    out["path"] = json::string(outcome.path.data(), outcome.path.size());
  }
  write_line(json::serialize(out));
}

void Report::error(const base::Error& error) {
  json::object out;
  out["event"] = "error";
  out["code"] = state::status_name(error.code);
  out["message"] = text_of(error.message);
  write_line(json::serialize(out));
}

}  // namespace pyro::image
