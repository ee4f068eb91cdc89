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

struct OwnedResult final : pyro_result {
  OwnedResult() noexcept : pyro_result{} {}

  std::string stdout_bytes;
  std::string stderr_bytes;
  std::string vm_id_text;
  std::string task_id_text;

  /// Points the C fields at what is owned here; `with_output`: at the collected output, too.
  void seal(bool with_output) noexcept;
};

struct OwnedEnvironments final : pyro_environment_list {
  OwnedEnvironments() noexcept : pyro_environment_list{} {}

  /// Deques, because they do not move their elements.
  std::deque<pyro_environment> rows;
  std::deque<std::string> texts;
  std::vector<const pyro_environment*> row_pointers;
  std::string json_text;

  const char* keep(std::string text) { return texts.emplace_back(std::move(text)).c_str(); }
  /// Points the C fields at what is owned here. The same below.
  void seal();
};

struct OwnedReport final : pyro_doctor_report {
  OwnedReport() noexcept : pyro_doctor_report{} {}

  std::deque<pyro_check> rows;
  std::deque<std::string> texts;
  std::vector<const pyro_check*> row_pointers;
  std::string json_text;

  const char* keep(std::string text) { return texts.emplace_back(std::move(text)).c_str(); }
  void seal();
};

struct OwnedVms final : pyro_vm_list {
  OwnedVms() noexcept : pyro_vm_list{} {}

  std::deque<pyro_vm_info> rows;
  std::deque<std::string> texts;
  /// Those of each row.
  std::deque<std::vector<const char*>> labels;
  std::vector<const pyro_vm_info*> row_pointers;
  std::string json_text;

  const char* keep(std::string text) { return texts.emplace_back(std::move(text)).c_str(); }
  void seal();
};

struct OwnedCommands final : pyro_command_list {
  OwnedCommands() noexcept : pyro_command_list{} {}

  std::deque<pyro_command> rows;
  std::deque<std::string> texts;
  /// Lists of strings of the rows.
  std::deque<std::vector<const char*>> lists;
  std::vector<const pyro_command*> row_pointers;
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
  std::unique_ptr<OwnedResult> result;
  std::unique_ptr<pyro_error> error;
  std::unique_ptr<OwnedEnvironments> environments;
  std::unique_ptr<OwnedReport> doctor;
  std::unique_ptr<OwnedVms> vms;
  std::unique_ptr<OwnedCommands> commands;

  static Event progress(std::string stage, std::string message, std::uint64_t done = 0, std::uint64_t total = 0);
  static Event failure(const base::Error& error, std::string console = "");

  [[nodiscard]] bool is_last() const noexcept { return kind >= PYRO_EVENT_EXIT; }
  /// The C form; borrowed from this.
  [[nodiscard]] pyro_event view() const noexcept;
};

}  // namespace pyro::client
