#include "client/vm_info.hpp"

#include "base/clock.hpp"
#include "base/text.hpp"
#include "client/engine.hpp"
#include "client/process_identity.hpp"
#include "client/process_usage.hpp"

#include <algorithm>
#include <array>

#include <fcntl.h>

#include <boost/json.hpp>

namespace pyro::client {

namespace json = boost::json;

namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
constexpr std::int64_t kMsNs = 1'000'000;
constexpr std::size_t kMaxReasonBytes = 1024;
// Of a VM.
constexpr std::size_t kJsonFields = 20;
constexpr std::size_t kJsonBytes = 8 * 1024;
// How a supervisor begins the reason when a TTL or lifetime was over.
constexpr std::string_view kExpired = "expired";

// The journal's records say how the VM ended; their absence, that nobody could write any.
void conclude(VmInfo& info) {
  if (!info.journal.started) {
    info.state = info.run ? PYRO_VM_FAILED : PYRO_VM_CREATED;
    info.reason = info.run ? "its VM was not started: the process that was starting it went away" : "";
    return;
  }
  if (info.journal.ended) {
    info.state = info.journal.ended->status == PYRO_OK ? PYRO_VM_STOPPED : PYRO_VM_FAILED;
    info.reason = base::printable(info.journal.ended->reason, kMaxReasonBytes);
    info.last_use_ns = std::max(info.last_use_ns, info.journal.ended->time_ns);
    return;
  }
  // When it ended is not known: not before it was last seen to do anything.
  info.last_use_ns = std::max(info.last_use_ns, info.run ? info.run->found_ended_ns : 0);
  const std::string boot_id = current_boot_id();
  if (info.run && !boot_id.empty() && info.run->boot_id != boot_id) {
    info.state = PYRO_VM_STOPPED;
    info.reason = "the host was rebooted";
  } else {
    info.state = PYRO_VM_FAILED;
    info.reason = "its supervisor pyro-vm was killed, or crashed";
  }
}

json::object to_json(const pyro_vm_info& row, const json::storage_ptr& memory) {
  json::object labels(memory);
  for (std::size_t i = 0; i < row.label_count; ++i) {
    const std::string_view label = row.labels[i];
    const auto equals = label.find('=');
    labels[json::string_view(label.data(), equals)] = json::string(label.substr(equals + 1));
  }
  json::object out(memory);
  out.reserve(kJsonFields);
  out["id"] = row.id;
  out["state"] = vm_state_name(static_cast<pyro_vm_state>(row.state));
  out["reason"] = row.reason;
  out["environment"] = row.environment;
  out["engine"] = engine_name(static_cast<pyro_engine>(row.engine));
  out["labels"] = std::move(labels);
  out["vcpu_count"] = row.vcpu_count;
  out["mem_mib"] = row.mem_mib;
  out["disk_mib"] = row.disk_mib;
  out["running_commands"] = row.running_commands;
  out["command_count"] = row.command_count;
  out["created_at"] = row.created_at;
  out["started_at"] = row.started_at;
  out["expires_at"] = row.expires_at;
  out["uptime_ms"] = row.uptime_ms;
  out["cpu_time_ms"] = row.cpu_time_ms;
  out["disk_used_bytes"] = row.disk_used_bytes;
  out["host_memory_bytes"] = row.host_memory_bytes;
  out["host_cpu_time_ms"] = row.host_cpu_time_ms;
  return out;
}

// When a running VM is stopped if nobody uses it.
std::int64_t stop_at(const wire::Status& live) {
  std::uint64_t left_ms = 0;
  if (live.idle_left_ms != 0 && live.running_commands == 0) {
    left_ms = live.idle_left_ms;
  }
  if (live.lifetime_left_ms != 0) {
    left_ms = left_ms == 0 ? live.lifetime_left_ms : std::min(left_ms, live.lifetime_left_ms);
  }
  return left_ms == 0 ? 0 : (base::realtime_ns() + static_cast<std::int64_t>(left_ms) * kMsNs) / kSecondNs;
}

pyro_vm_info& add_row(OwnedVms& list, const VmInfo& info) {
  pyro_vm_info row{};
  row.struct_size = sizeof row;
  row.state = static_cast<std::uint32_t>(info.state);
  row.id = list.keep(info.record.id);
  row.environment = list.keep(info.record.environment);
  row.reason = list.keep(info.reason);
  auto& labels = list.lists.emplace_back();
  for (const auto& [name, value] : info.record.labels) {
    labels.push_back(list.keep(name + "=" + value));
  }
  row.labels = labels.data();
  row.label_count = labels.size();
  row.engine = info.run ? info.run->engine : 0;
  row.vcpu_count = info.record.vcpu_count;
  row.mem_mib = info.record.mem_mib;
  row.disk_mib = info.record.disk_mib;
  row.command_count = info.journal.last_number;
  row.created_at = info.record.created_ns / kSecondNs;
  row.started_at = info.run ? info.run->started_ns / kSecondNs : 0;
  row.disk_used_bytes = info.disk_used_bytes;
  row.expires_at = delete_at(info);
  if (info.run && (info.state == PYRO_VM_RUNNING || info.state == PYRO_VM_STARTING) &&
      info.run->boot_id == current_boot_id()) {
    const ProcessUsage usage = usage_of(info.run->pid, info.run->pid_start);
    row.host_memory_bytes = usage.memory_bytes;
    row.host_cpu_time_ms = usage.cpu_time_ms;
  }
  if (info.live) {
    row.running_commands = info.live->running_commands;
    row.uptime_ms = info.live->uptime_ms;
    row.cpu_time_ms = info.live->cpu_time_ms;
    row.expires_at = stop_at(*info.live);
  }
  return list.rows.emplace_back(row);
}

// `locked`: by somebody else.
base::Result<VmInfo> look_at(const VmFolder& folder, bool locked, const ReadJournal& read_journal) {
  VmInfo info;
  PYRO_TRY_ASSIGN(info.record, folder.record());
  PYRO_TRY_ASSIGN(info.run, folder.run());
  info.disk_used_bytes = folder.disk_used_bytes();
  info.last_use_ns = info.record.created_ns;
  auto commands = folder.open_file(state::kVmCommandsFile, O_RDONLY);
  if (commands.ok()) {
    // A journal that is damaged from its first byte on tells nothing; the VM is there all the same.
    if (auto journal = JournalFile::open(std::move(commands).value()); journal.ok()) {
      PYRO_TRY_ASSIGN(info.journal, read_journal(*journal));
      info.last_use_ns = std::max(info.last_use_ns, info.journal.last_use_ns);
      if (info.journal.started) {
        info.last_use_ns = std::max(info.last_use_ns, info.journal.started->time_ns);
      }
    }
  }
  if (locked) {
    // Its last word counts more than a process that is still on its way out.
    if (info.run && info.run->ready && info.journal.ended) {
      conclude(info);
    } else {
      info.state = info.run && info.run->ready ? PYRO_VM_RUNNING : PYRO_VM_STARTING;
    }
  } else {
    conclude(info);
  }
  // A hostile journal may say anything.
  info.last_use_ns = std::clamp(info.last_use_ns, std::int64_t{0}, base::realtime_ns());
  return info;
}

}  // namespace

const char* vm_state_name(pyro_vm_state state) noexcept {
  switch (state) {
    case PYRO_VM_CREATED:
      return "created";
    case PYRO_VM_STARTING:
      return "starting";
    case PYRO_VM_RUNNING:
      return "running";
    case PYRO_VM_PAUSED:
      return "paused";
    case PYRO_VM_STOPPED:
      return "stopped";
    default:
      return "failed";
  }
}

base::Result<VmInfo> look_at_vm(const VmFolder& folder, const ReadJournal& read_journal) {
  // Before the files: a supervisor that ends meanwhile has written all it is going to.
  PYRO_TRY_ASSIGN(const bool locked, folder.is_locked());
  return look_at(folder, locked, read_journal);
}

base::Result<VmInfo> look_at_locked_vm(const VmFolder& folder) {
  return look_at(folder, false, summarise_journal);
}

bool has_ended_unseen(const VmInfo& info) noexcept {
  return info.state != PYRO_VM_RUNNING && info.state != PYRO_VM_STARTING && info.run && info.run->found_ended_ns == 0 &&
         info.journal.started && !info.journal.ended;
}

std::int64_t delete_at(const VmInfo& info) noexcept {
  if (info.state == PYRO_VM_RUNNING || info.state == PYRO_VM_STARTING) {
    return 0;
  }
  if (info.record.kind == state::VmKind::vm && info.state == PYRO_VM_STOPPED && info.reason.starts_with(kExpired)) {
    return info.last_use_ns / kSecondNs;
  }
  if (info.record.retention_ms == 0) {
    return 0;
  }
  return (info.last_use_ns + static_cast<std::int64_t>(info.record.retention_ms) * kMsNs) / kSecondNs;
}

std::unique_ptr<OwnedVms> make_vm_list(const std::vector<VmInfo>& infos, state::VmKind kind) {
  const char* key = kind == state::VmKind::task ? "tasks" : "vms";
  auto list = std::make_unique<OwnedVms>();
  // Row by row, each in the same memory: there may be very many.
  std::string& text = list->json_text;
  text = fmt::format("{{\"{}\":[", key);
  std::array<unsigned char, kJsonBytes> buffer;
  for (const VmInfo& info : infos) {
    json::monotonic_resource memory(buffer.data(), buffer.size());
    text += text.back() == '[' ? "" : ",";
    text += json::serialize(to_json(add_row(*list, info), &memory));
  }
  text += "]}";
  list->seal();
  return list;
}

Event vms_event(const std::vector<VmInfo>& infos, state::VmKind kind) {
  Event event;
  event.kind = PYRO_EVENT_DONE;
  event.vms = make_vm_list(infos, kind);
  return event;
}

base::Error not_running(const VmInfo& info) {
  return base::make_error(PYRO_ERROR_STATE, "{} {} is {}{}{}: start it first",
                          info.record.kind == state::VmKind::task ? "task" : "VM", info.record.id,
                          vm_state_name(info.state), info.reason.empty() ? "" : ": ", info.reason);
}

}  // namespace pyro::client
