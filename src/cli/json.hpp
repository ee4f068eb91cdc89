// The little JSON that this program writes itself; reports of the library come as JSON already.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace pyro::cli {

/// Text of JSON strings: quoted, with U+FFFD for each maximal part of `bytes` that is not UTF-8.
std::string json_string(std::string_view bytes);

[[nodiscard]] bool is_utf8(std::string_view bytes);

/// RFC 4648, with padding.
std::string base64(std::string_view bytes);

/// Builds one JSON object, member by member.
class JsonObject {
 public:
  JsonObject& add(std::string_view name, std::string_view value);
  JsonObject& add(std::string_view name, const char* value) { return add(name, std::string_view(value)); }
  JsonObject& add(std::string_view name, bool value);
  JsonObject& add(std::string_view name, std::int64_t value);
  JsonObject& add(std::string_view name, std::uint64_t value);
  /// `json` is a JSON value already.
  JsonObject& add_raw(std::string_view name, std::string_view json);

  [[nodiscard]] std::string str() const { return text_ + '}'; }

 private:
  std::string text_ = "{";
};

}  // namespace pyro::cli
