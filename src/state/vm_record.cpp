#include "state/vm_record.hpp"

#include "base/text.hpp"
#include "state/json.hpp"

#include <algorithm>
#include <limits>

#include <boost/json.hpp>

namespace pyro::state {

namespace json = boost::json;

namespace {

constexpr std::size_t kIdBytes = 12;
constexpr std::int64_t kMaxEngine = 2;
// Far from an overflow, and longer than any time that can be asked for.
constexpr std::int64_t kMaxTimeMs = std::int64_t{100} * 366 * 24 * 3600 * 1000;

const char* kind_name(VmKind kind) noexcept {
  return kind == VmKind::task ? "task" : "vm";
}

bool is_label_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxLabelNameBytes && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '/' || c == '-';
  });
}

// UTF-8 without control characters.
bool is_text(std::string_view text) {
  return base::to_utf8(text) == text && std::none_of(text.begin(), text.end(), [](char c) {
           return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
         });
}

json::array label_array(const Labels& labels) {
  json::array out;
  for (const auto& [name, value] : labels) {
    out.push_back(json::value{{"name", name}, {"value", value}});
  }
  return out;
}

base::Result<Labels> read_labels(const json::value& value) {
  const json::array* array = value.if_array();
  if (array == nullptr || array->size() > kMaxLabels) {
    return base::make_error(PYRO_ERROR_INTERNAL, "record of a VM: \"labels\" is not a list of at most {}", kMaxLabels);
  }
  Labels labels;
  for (const json::value& item : *array) {
    JsonObjectReader reader(item, "record of a VM, label", PYRO_ERROR_INTERNAL);
    std::string name = reader.text("name", kMaxLabelNameBytes);
    std::string text = reader.text("value", kMaxLabelValueBytes);
    PYRO_TRY(reader.finish());
    labels.emplace_back(std::move(name), std::move(text));
  }
  return labels;
}

// The format comes first: another one may have any other members.
base::Status check_format(const json::value& value, const char* what) {
  const json::object* object = value.if_object();
  const json::value* format = object == nullptr ? nullptr : object->if_contains("format");
  if (format != nullptr && format->is_int64() && format->as_int64() > kVmRecordFormat) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED, "{} has format {}, this build knows up to {}: use a newer libpyro",
                            what, format->as_int64(), kVmRecordFormat);
  }
  return base::success();
}

}  // namespace

std::string VmRecord::encode() const {
  json::object out;
  out["format"] = kVmRecordFormat;
  out["id"] = id;
  out["kind"] = kind_name(kind);
  out["environment"] = environment;
  out["digest"] = digest;
  out["engine"] = engine;
  out["vcpu_count"] = vcpu_count;
  out["mem_mib"] = mem_mib;
  out["disk_mib"] = disk_mib;
  out["boot_timeout_ms"] = static_cast<std::int64_t>(boot_timeout_ms);
  out["max_lifetime_ms"] = static_cast<std::int64_t>(max_lifetime_ms);
  out["ttl_ms"] = static_cast<std::int64_t>(ttl_ms);
  out["retention_ms"] = static_cast<std::int64_t>(retention_ms);
  out["created_ns"] = created_ns;
  out["labels"] = label_array(labels);
  return json::serialize(out) + "\n";
}

base::Result<VmRecord> VmRecord::decode(std::string_view text) {
  constexpr const char* kWhat = "record of a VM";
  PYRO_TRY_ASSIGN(const json::value value, parse_json(text, kMaxVmRecordBytes, kWhat, PYRO_ERROR_INTERNAL));
  PYRO_TRY(check_format(value, kWhat));
  JsonObjectReader reader(value, kWhat, PYRO_ERROR_INTERNAL);
  VmRecord record;
  reader.number("format", kVmRecordFormat, kVmRecordFormat);
  record.id = reader.text("id", kIdBytes);
  if (!check_vm_id(record.id).ok()) {
    reader.refuse("id", "is none");
  }
  const std::string kind = reader.text("kind", kMaxJsonWordBytes);
  record.kind = kind == kind_name(VmKind::vm) ? VmKind::vm : VmKind::task;
  if (kind != kind_name(record.kind)) {
    reader.refuse("kind", "is unknown");
  }
  const auto number = [&reader](const char* key, std::int64_t max) {
    return static_cast<std::uint64_t>(reader.number(key, 0, max));
  };
  record.environment = reader.text("environment", kMaxJsonWordBytes);
  record.digest = reader.text("digest", kMaxJsonWordBytes);
  record.engine = static_cast<std::uint32_t>(number("engine", kMaxEngine));
  record.vcpu_count = static_cast<std::uint32_t>(number("vcpu_count", UINT32_MAX));
  record.mem_mib = static_cast<std::uint32_t>(number("mem_mib", UINT32_MAX));
  record.disk_mib = static_cast<std::uint32_t>(number("disk_mib", UINT32_MAX));
  record.boot_timeout_ms = number("boot_timeout_ms", kMaxTimeMs);
  record.max_lifetime_ms = number("max_lifetime_ms", kMaxTimeMs);
  record.ttl_ms = number("ttl_ms", kMaxTimeMs);
  record.retention_ms = number("retention_ms", kMaxTimeMs);
  record.created_ns = reader.number("created_ns", 0, kMaxJsonInt);
  if (const json::value* labels = reader.member("labels")) {
    PYRO_TRY_ASSIGN(record.labels, read_labels(*labels));
  }
  PYRO_TRY(reader.finish());
  return record;
}

std::string VmRun::encode() const {
  json::object out;
  out["format"] = kVmRecordFormat;
  out["boot_id"] = boot_id;
  out["engine"] = engine;
  out["started_ns"] = started_ns;
  out["pid"] = pid;
  out["pid_start"] = pid_start;
  out["ready"] = ready;
  out["found_ended_ns"] = found_ended_ns;
  return json::serialize(out) + "\n";
}

base::Result<VmRun> VmRun::decode(std::string_view text) {
  constexpr const char* kWhat = "record of a VM's start";
  PYRO_TRY_ASSIGN(const json::value value, parse_json(text, kMaxVmRecordBytes, kWhat, PYRO_ERROR_INTERNAL));
  PYRO_TRY(check_format(value, kWhat));
  JsonObjectReader reader(value, kWhat, PYRO_ERROR_INTERNAL);
  VmRun run;
  reader.number("format", kVmRecordFormat, kVmRecordFormat);
  run.boot_id = reader.text("boot_id", kMaxJsonWordBytes);
  run.engine = static_cast<std::uint32_t>(reader.number("engine", 1, kMaxEngine));
  run.started_ns = reader.number("started_ns", 0, kMaxJsonInt);
  run.pid = reader.number("pid", 0, kMaxJsonInt);
  run.pid_start = reader.number("pid_start", 0, kMaxJsonInt);
  run.ready = reader.flag_or("ready", false);
  run.found_ended_ns = reader.number("found_ended_ns", 0, kMaxJsonInt);
  PYRO_TRY(reader.finish());
  return run;
}

base::Status check_vm_id(std::string_view id) {
  const bool good = id.size() == kIdBytes && std::all_of(id.begin(), id.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7');
                    });
  if (!good) {
    return base::make_error(PYRO_ERROR_INVALID,
                            "\"{}\" is no id: an id has {} letters and digits, such as k7dq2mxw4zpa",
                            base::printable(id, 40), kIdBytes);
  }
  return base::success();
}

base::Result<std::pair<std::string, std::string>> parse_label(std::string_view text) {
  const auto equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  const std::string_view value = equals == std::string_view::npos ? "" : text.substr(equals + 1);
  if (equals == std::string_view::npos || !is_label_name(name) || value.size() > kMaxLabelValueBytes ||
      !is_text(value)) {
    return base::make_error(
        PYRO_ERROR_INVALID,
        "\"{}\" is no label: it must be NAME=VALUE, NAME of up to {} letters, digits and ._/-, VALUE "
        "text of up to {} bytes",
        base::printable(text, 80), kMaxLabelNameBytes, kMaxLabelValueBytes);
  }
  return std::pair<std::string, std::string>(name, value);
}

}  // namespace pyro::state
