#include "registry/schema.hpp"

#include <array>

namespace pyro::registry {

namespace {

// Each entry leads from the version of its index to the next. What was released is never edited: tests open old files.
constexpr std::array<const char*, kSchemaVersion> kSteps{
    // 0: an empty file
    R"sql(
CREATE TABLE folders(  -- one row: the state of the folder vms/ for which the rows below are complete
  one INTEGER PRIMARY KEY CHECK(one = 1), device INTEGER NOT NULL, inode INTEGER NOT NULL, changed_ns INTEGER NOT NULL);
CREATE TABLE vms(
  id TEXT PRIMARY KEY,
  kind INTEGER NOT NULL,
  settled INTEGER NOT NULL,    -- 0: only its folder tells what is the case now
  changed_ns INTEGER NOT NULL, -- of its folder, for which the rest holds
  state INTEGER NOT NULL,
  due_at INTEGER NOT NULL,     -- seconds since 1970 when it is to be deleted; 0: never
  created_ns INTEGER NOT NULL,
  started_ns INTEGER NOT NULL,
  last_use_ns INTEGER NOT NULL,
  retention_ms INTEGER NOT NULL,
  engine INTEGER NOT NULL,
  vcpu_count INTEGER NOT NULL,
  mem_mib INTEGER NOT NULL,
  disk_mib INTEGER NOT NULL,
  command_count INTEGER NOT NULL,
  disk_used_bytes INTEGER NOT NULL,
  environment TEXT NOT NULL,
  reason TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX vms_by_state ON vms(kind, state);
CREATE INDEX vms_unsettled ON vms(id) WHERE settled = 0;
CREATE INDEX vms_due ON vms(due_at) WHERE due_at > 0;
CREATE TABLE labels(
  vm TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(vm, name)) WITHOUT ROWID;
CREATE INDEX labels_by_value ON labels(name, value);
)sql",
    // 1
    R"sql(
CREATE TABLE journals(         -- how far each journal was read, and what it said until there
  vm TEXT PRIMARY KEY, tag INTEGER NOT NULL, end_bytes INTEGER NOT NULL, last_number INTEGER NOT NULL,
  last_use_ns INTEGER NOT NULL, started BLOB NOT NULL, ended BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE commands(         -- where the record of every so-manyth command is
  vm TEXT NOT NULL, number INTEGER NOT NULL, offset_bytes INTEGER NOT NULL, PRIMARY KEY(vm, number)) WITHOUT ROWID;
)sql",
};

base::Result<std::int64_t> version_of(const Database& database) {
  return database.number("PRAGMA user_version");
}

}  // namespace

base::Status check_not_newer(const Database& database) {
  PYRO_TRY_ASSIGN(const std::int64_t application, database.number("PRAGMA application_id"));
  PYRO_TRY_ASSIGN(const std::int64_t version, version_of(database));
  if (application == kApplicationId && version > kSchemaVersion) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "the registry {} has version {}, this build knows up to {}: use a newer libpyro",
                            database.path(), version, kSchemaVersion);
  }
  return base::success();
}

base::Status prepare_schema(const Database& database) {
  PYRO_TRY(check_not_newer(database));
  // Where the file system has no shared memory, SQLite says so and stays with a rollback journal.
  if (const auto wal = database.run("PRAGMA journal_mode = WAL"); !wal.ok()) {
    if (wal.error().code != PYRO_ERROR_INTERNAL) {
      return wal;
    }
    PYRO_TRY(database.run("PRAGMA journal_mode = DELETE"));
  }
  // With a write-ahead log this loses the last changes at a power cut, but breaks nothing.
  PYRO_TRY(database.run("PRAGMA synchronous = NORMAL; PRAGMA temp_store = MEMORY"));
  PYRO_TRY_ASSIGN(const std::int64_t seen, version_of(database));
  if (seen == kSchemaVersion) {
    return base::success();
  }
  PYRO_TRY_ASSIGN(auto change, Transaction::begin(database));
  // Another process may have been faster.
  PYRO_TRY_ASSIGN(const std::int64_t version, version_of(database));
  PYRO_TRY_ASSIGN(const std::int64_t tables, database.number("SELECT count(*) FROM sqlite_master"));
  PYRO_TRY_ASSIGN(const std::int64_t application, database.number("PRAGMA application_id"));
  if (version < 0 || version > kSchemaVersion || (version == 0) != (tables == 0) ||
      (version != 0 && application != kApplicationId)) {
    return base::make_error(PYRO_ERROR_STATE,
                            "the registry {} is damaged (it has not the tables of a registry): run pyro registry "
                            "rebuild; tasks and VMs themselves are not affected",
                            database.path());
  }
  for (auto step = static_cast<std::size_t>(version); step < kSteps.size(); ++step) {
    PYRO_TRY(database.run(kSteps[step]));
  }
  PYRO_TRY(database.run(
      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplicationId, kSchemaVersion).c_str()));
  return change.commit();
}

}  // namespace pyro::registry
