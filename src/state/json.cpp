#include "state/json.hpp"

#include <algorithm>

#include <boost/json.hpp>
#include <boost/json/src.hpp>

namespace pyro::state {

namespace json = boost::json;

namespace {

json::string_view key_view(std::string_view key) {
  return {key.data(), key.size()};
}

bool has_control_character(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

}  // namespace

base::Result<json::value> parse_json(std::string_view text, std::size_t max_bytes, const std::string& what,
                                     pyro_status malformed) {
  if (text.size() > max_bytes) {
    return base::make_error(PYRO_ERROR_LIMIT, "{} has {} bytes, more than the {} it may have", what, text.size(),
                            max_bytes);
  }
  json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  json::error_code failure;
  json::value value = json::parse(key_view(text), failure, {}, options);
  if (failure) {
    return base::make_error(malformed, "{} is not valid JSON: {}", what, failure.message());
  }
  return value;
}

JsonObjectReader::JsonObjectReader(const json::value& value, std::string what, pyro_status malformed)
    : object_(value.if_object()), what_(std::move(what)), malformed_(malformed) {
  if (object_ == nullptr) {
    failure_ = "it is not an object";
  }
}

void JsonObjectReader::refuse(std::string_view key, std::string_view why) {
  if (failure_.empty()) {
    failure_ = fmt::format("\"{}\" {}", key, why);
  }
}

const json::value* JsonObjectReader::find(std::string_view key) {
  if (object_ == nullptr || !failure_.empty()) {
    return nullptr;
  }
  read_.push_back(key);
  return object_->if_contains(key_view(key));
}

const json::value* JsonObjectReader::member(std::string_view key) {
  const json::value* value = find(key);
  if (value == nullptr) {
    refuse(key, "is missing");
  }
  return value;
}

std::string JsonObjectReader::text(std::string_view key, std::size_t max_bytes) {
  const json::value* value = member(key);
  if (value == nullptr) {
    return {};
  }
  const json::string* text = value->if_string();
  if (text == nullptr) {
    refuse(key, "is not text");
    return {};
  }
  const std::string_view view(text->data(), text->size());
  if (view.size() > max_bytes) {
    refuse(key, "is too long");
    return {};
  }
  if (has_control_character(view)) {
    refuse(key, "has control characters");
    return {};
  }
  return std::string(view);
}

std::int64_t JsonObjectReader::number(std::string_view key, std::int64_t min, std::int64_t max) {
  const json::value* value = member(key);
  if (value == nullptr) {
    return 0;
  }
  const std::int64_t* number = value->if_int64();
  if (number == nullptr || *number < min || *number > max) {
    refuse(key, fmt::format("is not a whole number from {} to {}", min, max));
    return 0;
  }
  return *number;
}

std::string JsonObjectReader::text_or(std::string_view key, std::size_t max_bytes, std::string_view fallback) {
  return find(key) == nullptr ? std::string(fallback) : text(key, max_bytes);
}

std::int64_t JsonObjectReader::number_or(std::string_view key, std::int64_t min, std::int64_t max,
                                         std::int64_t fallback) {
  return find(key) == nullptr ? fallback : number(key, min, max);
}

bool JsonObjectReader::flag_or(std::string_view key, bool fallback) {
  const json::value* value = find(key);
  if (value == nullptr) {
    return fallback;
  }
  if (!value->is_bool()) {
    refuse(key, "is neither true nor false");
    return fallback;
  }
  return value->get_bool();
}

base::Status JsonObjectReader::finish() const {
  if (!failure_.empty()) {
    return base::make_error(malformed_, "{}: {}", what_, failure_);
  }
  for (const auto& member : *object_) {
    const std::string_view key(member.key().data(), member.key().size());
    if (std::find(read_.begin(), read_.end(), key) == read_.end()) {
      return base::make_error(malformed_, "{}: unknown member \"{}\"", what_, key.substr(0, 64));
    }
  }
  return base::success();
}

}  // namespace pyro::state
