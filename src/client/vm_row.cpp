#include "client/vm_row.hpp"

#include <algorithm>

namespace pyro::client {

namespace {

// Few enough to keep, near enough together that reading from one to the next takes no time.
constexpr std::uint64_t kCommandsPerMark = 256;
// A supervisor that a guest owns may write whatever numbers it likes: so many marks are as much as a journal can make.
constexpr std::uint64_t kMinMarkBytes = 16 * 1024;
// Some hundred commands: read in well under a millisecond.
constexpr std::uint64_t kLongBytes = 64 * 1024;

std::string as_string(const base::Bytes& bytes) {
  return std::string(base::as_text(bytes));
}

base::ByteView as_bytes(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

JournalSummary summary_of(const registry::JournalPlace& place) {
  JournalSummary summary;
  summary.last_number = place.last_number;
  summary.last_use_ns = place.last_use_ns;
  if (auto started = state::MachineStarted::decode(as_bytes(place.started)); !place.started.empty() && started.ok()) {
    summary.started = std::move(*started);
  }
  if (auto ended = state::MachineEnded::decode(as_bytes(place.ended)); !place.ended.empty() && ended.ok()) {
    summary.ended = std::move(*ended);
  }
  return summary;
}

}  // namespace

std::uint32_t kind_number(state::VmKind kind) noexcept {
  // 0 is a row of which nothing is known yet.
  return kind == state::VmKind::task ? 1 : 2;
}

registry::Row make_row(const VmInfo& info, bool settled, std::int64_t changed_ns) {
  registry::Row row;
  row.id = info.record.id;
  row.kind = kind_number(info.record.kind);
  row.settled = settled;
  row.changed_ns = changed_ns;
  row.state = static_cast<std::uint32_t>(info.state);
  row.due_at = settled ? std::max<std::int64_t>(delete_at(info), 0) : 0;
  row.created_ns = info.record.created_ns;
  row.started_ns = info.run ? info.run->started_ns : 0;
  row.last_use_ns = info.last_use_ns;
  row.retention_ms = info.record.retention_ms;
  row.engine = info.run ? info.run->engine : 0;
  row.vcpu_count = info.record.vcpu_count;
  row.mem_mib = info.record.mem_mib;
  row.disk_mib = info.record.disk_mib;
  row.command_count = info.journal.last_number;
  row.disk_used_bytes = info.disk_used_bytes;
  row.environment = info.record.environment;
  row.reason = info.reason;
  row.labels = info.record.labels;
  std::sort(row.labels.begin(), row.labels.end());
  return row;
}

VmInfo info_of_row(const registry::Row& row) {
  VmInfo info;
  info.record.id = row.id;
  info.record.kind = row.kind == kind_number(state::VmKind::task) ? state::VmKind::task : state::VmKind::vm;
  info.record.environment = row.environment;
  info.record.vcpu_count = row.vcpu_count;
  info.record.mem_mib = row.mem_mib;
  info.record.disk_mib = row.disk_mib;
  info.record.retention_ms = row.retention_ms;
  info.record.created_ns = row.created_ns;
  info.record.labels = row.labels;
  if (row.engine != 0 || row.started_ns != 0) {
    info.run.emplace();
    info.run->engine = row.engine;
    info.run->started_ns = row.started_ns;
  }
  info.journal.last_number = row.command_count;
  info.state = static_cast<pyro_vm_state>(row.state);
  info.reason = row.reason;
  info.last_use_ns = row.last_use_ns;
  info.disk_used_bytes = row.disk_used_bytes;
  return info;
}

bool matches(const VmInfo& info, const registry::Filter& filter) {
  const auto has = [&info](const auto& label) {
    return std::find(info.record.labels.begin(), info.record.labels.end(), label) != info.record.labels.end();
  };
  return (filter.kind == 0 || kind_number(info.record.kind) == filter.kind) &&
         (filter.state_mask == 0 || (filter.state_mask >> info.state & 1U) != 0) &&
         std::all_of(filter.labels.begin(), filter.labels.end(), has);
}

base::Result<JournalSummary> read_on(JournalFile& commands, const std::optional<registry::JournalPlace>& from,
                                     JournalReading& reading) {
  JournalSummary summary;
  PYRO_TRY_ASSIGN(const std::uint64_t size, commands.size());
  // A file in its place, or one that was cut off, is read anew.
  if (from && from->tag == commands.tag() && from->end_bytes <= size && from->end_bytes >= commands.position()) {
    summary = summary_of(*from);
    commands.go_to(from->end_bytes);
  }
  const std::uint64_t begin = commands.position();
  PYRO_TRY(commands.read([&](const state::JournalReader::Frame& frame) {
    const std::uint64_t before = summary.last_number;
    add_to_summary(summary, frame);
    const bool is_far = reading.marks.empty() || frame.offset - reading.marks.back().offset_bytes >= kMinMarkBytes;
    if (is_far && summary.last_number / kCommandsPerMark != before / kCommandsPerMark) {
      reading.marks.push_back({summary.last_number, frame.offset});
    }
    return true;
  }));
  reading.is_long = commands.position() - begin >= kLongBytes;
  reading.place = {commands.tag(),
                   commands.position(),
                   summary.last_number,
                   summary.last_use_ns,
                   summary.started ? as_string(summary.started->encode()) : std::string(),
                   summary.ended ? as_string(summary.ended->encode()) : std::string()};
  return summary;
}

}  // namespace pyro::client
