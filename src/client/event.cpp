#include "client/event.hpp"

namespace pyro::client {

void OwnedResult::seal(bool with_output) noexcept {
  struct_size = sizeof(pyro_result);
  if (with_output) {
    stdout_data = stdout_bytes.c_str();
    stdout_size = stdout_bytes.size();
    stderr_data = stderr_bytes.c_str();
    stderr_size = stderr_bytes.size();
  }
  vm_id = vm_id_text.c_str();
  task_id = task_id_text.c_str();
}

void OwnedFiles::seal(bool with_data) {
  OwnedList::seal();
  if (with_data) {
    data = data_bytes.c_str();
    data_size = data_bytes.size();
  }
}

void OwnedReport::seal() {
  struct_size = sizeof(pyro_doctor_report);
  checks = point_at(rows, row_pointers);
  check_count = rows.size();
  json = json_text.c_str();
}

Event Event::progress(std::string stage, std::string message, std::uint64_t done, std::uint64_t total) {
  Event event;
  event.kind = PYRO_EVENT_PROGRESS;
  event.stage = std::move(stage);
  event.message = std::move(message);
  event.done = done;
  event.total = total;
  return event;
}

Event Event::failure(const base::Error& error, std::string console) {
  Event event;
  event.kind = PYRO_EVENT_ERROR;
  event.error = std::make_unique<pyro_error>(pyro_error{error.code, error.message, std::move(console)});
  return event;
}

pyro_event Event::view() const noexcept {
  pyro_event out{};
  out.struct_size = sizeof out;
  out.kind = kind;
  switch (kind) {
    case PYRO_EVENT_STDOUT:
    case PYRO_EVENT_STDERR:
      out.data = data.data();
      out.size = data.size();
      break;
    case PYRO_EVENT_PROGRESS:
      out.stage = stage.c_str();
      out.message = message.c_str();
      out.done = done;
      out.total = total;
      break;
    case PYRO_EVENT_STARTED:
      out.vm_id = vm_id.c_str();
      break;
    default:
      break;
  }
  out.result = result.get();
  out.error = error.get();
  out.environments = environments.get();
  out.doctor = doctor.get();
  out.vms = vms.get();
  out.commands = commands.get();
  out.files = files.get();
  out.command_number = command_number;
  out.pty = pty ? 1 : 0;
  out.stdin_open = stdin_open ? 1 : 0;
  return out;
}

}  // namespace pyro::client
