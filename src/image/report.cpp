#include "image/report.hpp"

#include "base/clock.hpp"
#include "base/io.hpp"
#include "state/status_name.hpp"

#include <boost/json.hpp>

namespace pyro::image {

namespace json = boost::json;

namespace {

/// Ten lines a second are a live display; more is work for nobody.
constexpr std::int64_t kMinIntervalMs = 100;

/// Length of the UTF-8 sequence at the start of `text` (RFC 3629: shortest form, no surrogates), 0 if there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    return follows(1) ? 2 : 0;
  }
  if ((first & 0xf0) == 0xe0) {
    const bool overlong = first == 0xe0 && byte(1) < 0xa0;
    const bool surrogate = first == 0xed && byte(1) >= 0xa0;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    const bool overlong = first == 0xf0 && byte(1) < 0x90;
    const bool beyond = first == 0xf4 && byte(1) >= 0x90;
    return follows(1) && follows(2) && follows(3) && !overlong && !beyond ? 4 : 0;
  }
  return 0;
}

json::string text_of(std::string_view text) {
  const std::string clean = printable(text);
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

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (length == 0) {
      out += '?';
    } else if (first < 0x20 || first == 0x7f) {
      out += ' ';
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

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
