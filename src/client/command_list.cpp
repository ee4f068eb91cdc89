#include "client/command_list.hpp"

#include "base/text.hpp"
#include "state/status_name.hpp"

#include <algorithm>

#include <boost/json.hpp>

namespace pyro::client {

namespace json = boost::json;

namespace {

constexpr std::size_t kMaxEndMessageBytes = 1024;

json::array strings(const char* const* texts, std::size_t count) {
  json::array out;
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(json::string(base::to_utf8(texts[i])));
  }
  return out;
}

json::object to_json(const pyro_command& row, bool with_output) {
  json::object out;
  out["number"] = row.number;
  out["running"] = row.running != 0;
  out["argv"] = strings(row.argv, row.argc);
  out["argv_truncated"] = row.argv_truncated != 0;
  out["cwd"] = base::to_utf8(row.cwd);
  out["user"] = base::to_utf8(row.user);
  out["env_names"] = strings(row.env_names, row.env_count);
  out["pty"] = row.pty != 0;
  out["started_at_ns"] = row.started_at_ns;
  if (row.running == 0) {
    out["exit_code"] = row.exit_code;
    out["term_signal"] = row.term_signal;
    out["timed_out"] = row.timed_out != 0;
    out["oom_killed"] = row.oom_killed != 0;
    out["status"] = state::status_name(static_cast<pyro_status>(row.status));
    out["message"] = row.message;
    out["duration_ms"] = row.duration_ms;
    out["cpu_time_ms"] = row.cpu_time_ms;
    out["memory_peak_bytes"] = row.memory_peak_bytes;
  }
  out["stdout_total_bytes"] = row.stdout_total_bytes;
  out["stderr_total_bytes"] = row.stderr_total_bytes;
  if (with_output) {
    out["stdout"] = base::to_utf8(std::string_view(row.stdout_data, row.stdout_size));
    out["stderr"] = base::to_utf8(std::string_view(row.stderr_data, row.stderr_size));
    out["stdout_truncated"] = row.stdout_truncated != 0;
    out["stderr_truncated"] = row.stderr_truncated != 0;
  }
  return out;
}

const std::vector<const char*>& keep_all(OwnedCommands& list, const std::vector<std::string>& texts) {
  auto& pointers = list.lists.emplace_back();
  for (const std::string& text : texts) {
    pointers.push_back(list.keep(text));
  }
  return pointers;
}

pyro_command& add_row(OwnedCommands& list, const CommandEntry& entry, bool with_output) {
  const state::CommandStarted& started = entry.started;
  pyro_command row{};
  row.struct_size = sizeof row;
  row.running = entry.ended ? 0 : 1;
  row.number = started.number;
  const auto& argv = keep_all(list, started.argv);
  row.argv = argv.data();
  row.argc = argv.size();
  row.argv_truncated = started.argv_truncated ? 1 : 0;
  row.pty = started.pty ? 1 : 0;
  row.cwd = list.keep(started.cwd);
  row.user = list.keep(started.user);
  const auto& names = keep_all(list, started.env_names);
  row.env_names = names.data();
  row.env_count = names.size();
  row.started_at_ns = started.time_ns;
  row.message = "";
  std::array<std::uint64_t, 2> totals{entry.output[0].total_bytes, entry.output[1].total_bytes};
  if (entry.ended) {
    const state::CommandEnded& ended = *entry.ended;
    row.exit_code = ended.exit_code;
    row.term_signal = ended.term_signal;
    row.timed_out = ended.timed_out ? 1 : 0;
    row.oom_killed = ended.oom_killed ? 1 : 0;
    row.status = static_cast<std::uint32_t>(ended.status);
    row.message = list.keep(base::printable(ended.message, kMaxEndMessageBytes));
    row.duration_ms = ended.duration_ms;
    row.cpu_time_ms = ended.cpu_time_ms;
    row.memory_peak_bytes = ended.memory_peak_bytes;
    totals = {std::max(totals[0], ended.stdout_total_bytes), std::max(totals[1], ended.stderr_total_bytes)};
  }
  row.stdout_total_bytes = totals[0];
  row.stderr_total_bytes = totals[1];
  if (with_output) {
    row.stdout_size = entry.output[0].data.size();
    row.stdout_data = list.keep(entry.output[0].data);
    row.stderr_size = entry.output[1].data.size();
    row.stderr_data = list.keep(entry.output[1].data);
    row.stdout_truncated = row.stdout_size < totals[0] ? 1 : 0;
    row.stderr_truncated = row.stderr_size < totals[1] ? 1 : 0;
  }
  return list.rows.emplace_back(row);
}

}  // namespace

std::unique_ptr<OwnedCommands> make_command_list(const std::vector<CommandEntry>& entries, const std::string& task_id,
                                                 bool with_output) {
  auto list = std::make_unique<OwnedCommands>();
  json::array rows;
  for (const CommandEntry& entry : entries) {
    rows.push_back(to_json(add_row(*list, entry, with_output), with_output));
  }
  list->json_text = json::serialize(json::object{{"task_id", task_id}, {"commands", std::move(rows)}});
  list->seal();
  return list;
}

}  // namespace pyro::client
