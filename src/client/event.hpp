// What operations hand out: events, and the objects behind the C ABI's opaque and owned structs.
// Each owned object derives from the C struct that a caller sees; destroying one casts back.
// Thread rule: values; one owner at a time.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <deque>
#include <memory>
#include <string>
#include <vector>

/// The object behind the opaque struct of the C ABI.
struct pyro_error {
  pyro_status code = PYRO_ERROR_INTERNAL;
  std::string message;
  std::string console;
};

namespace pyro::client {

/// The structs may grow, so callers get at each by a pointer of its own.
template <typename Row>
const Row* const* point_at(const std::deque<Row>& rows, std::vector<const Row*>& pointers) {
  pointers.clear();
  pointers.reserve(rows.size());
  for (const Row& row : rows) {
    pointers.push_back(&row);
  }
  return pointers.data();
}

struct OwnedResult final : pyro_result {
  OwnedResult() noexcept : pyro_result{} {}

  std::string stdout_bytes;
  std::string stderr_bytes;
  std::string vm_id_text;
  std::string task_id_text;

  /// Points the C fields at what is owned here; `with_output`: at the collected output, too.
  void seal(bool with_output) noexcept;
};

/// The object behind a list of the C ABI, whose fields are items, count and json.
template <typename List, typename Row>
struct OwnedList : List {
  OwnedList() noexcept : List{} {}

  /// Deques, because they do not move their elements.
  std::deque<Row> rows;
  std::deque<std::string> texts;
  /// Lists of strings that rows point to.
  std::deque<std::vector<const char*>> lists;
  std::vector<const Row*> row_pointers;
  std::string json_text;

  const char* keep(std::string text) { return texts.emplace_back(std::move(text)).c_str(); }
  /// Points the C fields at what is owned here. The same below.
  void seal() {
    this->struct_size = sizeof(List);
    this->items = point_at(rows, row_pointers);
    this->count = rows.size();
    this->json = json_text.c_str();
  }
};

using OwnedEnvironments = OwnedList<pyro_environment_list, pyro_environment>;
using OwnedVms = OwnedList<pyro_vm_list, pyro_vm_info>;
using OwnedCommands = OwnedList<pyro_command_list, pyro_command>;

struct OwnedFiles final : OwnedList<pyro_file_result, pyro_file_info> {
  std::string data_bytes;

  /// `with_data`: at the data, too.
  void seal(bool with_data);
};

struct OwnedReport final : pyro_doctor_report {
  OwnedReport() noexcept : pyro_doctor_report{} {}

  /// Deques, because they do not move their elements.
  std::deque<pyro_check> rows;
  std::deque<std::string> texts;
  std::vector<const pyro_check*> row_pointers;
  std::string json_text;

  const char* keep(std::string text) { return texts.emplace_back(std::move(text)).c_str(); }
  void seal();
};

/// One event, with everything that its C form points to.
struct Event {
  pyro_event_kind kind = PYRO_EVENT_NONE;
  base::Bytes data;
  std::string stage;
  std::string message;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  std::string vm_id;
  std::uint64_t command_number = 0;
  bool pty = false;
  bool stdin_open = false;
  std::unique_ptr<OwnedResult> result;
  std::unique_ptr<pyro_error> error;
  std::unique_ptr<OwnedEnvironments> environments;
  std::unique_ptr<OwnedReport> doctor;
  std::unique_ptr<OwnedVms> vms;
  std::unique_ptr<OwnedCommands> commands;
  std::unique_ptr<OwnedFiles> files;

  static Event progress(std::string stage, std::string message, std::uint64_t done = 0, std::uint64_t total = 0);
  static Event failure(const base::Error& error, std::string console = "");

  [[nodiscard]] bool is_last() const noexcept { return kind >= PYRO_EVENT_EXIT; }
  /// The C form; borrowed from this.
  [[nodiscard]] pyro_event view() const noexcept;
};

}  // namespace pyro::client
