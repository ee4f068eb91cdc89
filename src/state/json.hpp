// Strict reading of small JSON documents: a cap on size and depth, exact key sets, ranges checked.
// json.cpp holds the only compilation of Boost.JSON; whoever handles values includes <boost/json.hpp> himself.
// Thread rule: free functions without shared state.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/fwd.hpp>

namespace pyro::state {

/// Deepest nesting of a document that parse_json() accepts: ours need 4, QMP's stay under 10.
inline constexpr std::size_t kMaxJsonDepth = 16;
/// A name, a digest, a version: the `max_bytes` of text that is one word.
inline constexpr std::size_t kMaxJsonWordBytes = 256;
/// The `max` of a number that has no bound of its own.
inline constexpr std::int64_t kMaxJsonInt = std::numeric_limits<std::int64_t>::max();

/// Parses one JSON document of at most `max_bytes`. `what` names it in messages, such as "manifest".
/// A larger one is PYRO_ERROR_LIMIT; anything that is not JSON, `malformed` (by default PYRO_ERROR_INVALID).
base::Result<boost::json::value> parse_json(std::string_view text, std::size_t max_bytes, const std::string& what,
                                            pyro_status malformed = PYRO_ERROR_INVALID);

/// Reads the members of one object, each exactly once, and refuses an object that has others.
/// After the first failure every read gives "" or 0; finish() tells.
class JsonObjectReader {
 public:
  /// `value` is borrowed and outlives the reader. `malformed` is the status of what finish() reports.
  JsonObjectReader(const boost::json::value& value, std::string what, pyro_status malformed);

  /// A member that is text of at most `max_bytes` without control characters. Required.
  std::string text(std::string_view key, std::size_t max_bytes);
  /// A member that is a whole number in [min, max]. Required.
  std::int64_t number(std::string_view key, std::int64_t min, std::int64_t max);
  /// A member that may be absent: then `fallback`.
  std::string text_or(std::string_view key, std::size_t max_bytes, std::string_view fallback);
  std::int64_t number_or(std::string_view key, std::int64_t min, std::int64_t max, std::int64_t fallback);
  bool flag_or(std::string_view key, bool fallback);
  /// Any member: the value, borrowed, or nullptr (and failed). Required.
  const boost::json::value* member(std::string_view key);
  /// Records a failure that the caller found in what it read.
  void refuse(std::string_view key, std::string_view why);

  /// Success if every read was fine and no member was left unread.
  [[nodiscard]] base::Status finish() const;

 private:
  const boost::json::value* find(std::string_view key);

  const boost::json::object* object_ = nullptr;
  std::string what_;
  pyro_status malformed_;
  std::string failure_;
  std::vector<std::string_view> read_;
};

}  // namespace pyro::state
