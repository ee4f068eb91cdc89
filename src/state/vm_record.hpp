// What is kept of a VM that outlives its client, in vms/<id>/ of the home folder: names, and the two JSON records that
// libpyro writes there. What happened in the VM is in its journal (state/journal.hpp), which pyro-vm writes.
// Pure code: no I/O. Thread rule: values only.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pyro::state {

/// Format of both records. A reader refuses a newer one: it cannot tell what it would break.
inline constexpr std::int64_t kVmRecordFormat = 1;
inline constexpr std::size_t kMaxVmRecordBytes = 64 * 1024;
inline constexpr std::size_t kMaxLabels = 64;
inline constexpr std::size_t kMaxLabelNameBytes = 63;
inline constexpr std::size_t kMaxLabelValueBytes = 255;

enum class VmKind { task, vm };

using Labels = std::vector<std::pair<std::string, std::string>>;

/// record.json: what the VM is, for all of its life. Its being there is what makes the VM exist.
struct VmRecord {
  std::string id;
  VmKind kind = VmKind::task;
  std::string environment;
  /// "sha256:..." of the manifest: the root that the disk belongs to. "" until it is first started.
  std::string digest;
  /// What was asked for: pyro_engine.
  std::uint32_t engine = 0;
  std::uint32_t vcpu_count = 1;
  std::uint32_t mem_mib = 0;
  std::uint32_t disk_mib = 0;
  std::uint64_t boot_timeout_ms = 0;
  /// 0: none. The same below.
  std::uint64_t max_lifetime_ms = 0;
  std::uint64_t ttl_ms = 0;
  /// How long a task is kept after its VM has ended; 0: for ever.
  std::uint64_t retention_ms = 0;
  /// Nanoseconds since 1970.
  std::int64_t created_ns = 0;
  /// By name.
  Labels labels;

  [[nodiscard]] std::string encode() const;
  /// Errors: INTERNAL, UNSUPPORTED (a newer format).
  static base::Result<VmRecord> decode(std::string_view text);
  friend bool operator==(const VmRecord&, const VmRecord&) = default;
};

/// run.json: the latest start.
struct VmRun {
  /// Of the host, /proc/sys/kernel/random/boot_id: a VM does not survive it.
  std::string boot_id;
  /// pyro_engine that runs it; not AUTO.
  std::uint32_t engine = 0;
  std::int64_t started_ns = 0;
  /// Of the supervisor, and when the kernel says that it started (proc(5), stat, field 22): together they are its own
  /// until the next boot. 0: not known.
  std::int64_t pid = 0;
  std::int64_t pid_start = 0;
  /// Its guest was ready: it takes commands until it ends.
  bool ready = false;
  /// When it was first found to have ended without a word; nanoseconds since 1970, 0: it was not.
  std::int64_t found_ended_ns = 0;

  [[nodiscard]] std::string encode() const;
  static base::Result<VmRun> decode(std::string_view text);
  friend bool operator==(const VmRun&, const VmRun&) = default;
};

/// Checks the grammar of ids: 12 of a-z and 2-7. Such an id is safe as a file name. Errors: INVALID.
base::Status check_vm_id(std::string_view id);
/// "NAME=VALUE": NAME of [a-z0-9A-Z._/-]{1,63}, VALUE UTF-8 text without control characters. Errors: INVALID.
base::Result<std::pair<std::string, std::string>> parse_label(std::string_view text);

/// Below $PYRO_HOME; each VM has a folder with its id there.
inline constexpr std::string_view kVmsDir = "vms";
/// In a VM's folder.
inline constexpr const char* kVmRecordFile = "record.json";
inline constexpr const char* kVmRunFile = "run.json";
inline constexpr const char* kVmLockFile = "lock";
inline constexpr const char* kVmSocketFile = "socket";
inline constexpr const char* kVmDiskFile = "disk";
inline constexpr const char* kVmCommandsFile = "commands";
inline constexpr const char* kVmOutputFile = "output";

}  // namespace pyro::state
