// A registry as version 1 wrote it. Never edited: it stands for the files that are out there.
#pragma once

inline constexpr const char* kVersion1 = R"sql(
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE folders(
  one INTEGER PRIMARY KEY CHECK(one = 1), device INTEGER NOT NULL, inode INTEGER NOT NULL, changed_ns INTEGER NOT NULL);
CREATE TABLE vms(
  id TEXT PRIMARY KEY, kind INTEGER NOT NULL, settled INTEGER NOT NULL, changed_ns INTEGER NOT NULL,
  state INTEGER NOT NULL, due_at INTEGER NOT NULL, created_ns INTEGER NOT NULL, started_ns INTEGER NOT NULL,
  last_use_ns INTEGER NOT NULL, retention_ms INTEGER NOT NULL, engine INTEGER NOT NULL, vcpu_count INTEGER NOT NULL,
  mem_mib INTEGER NOT NULL, disk_mib INTEGER NOT NULL, command_count INTEGER NOT NULL,
  disk_used_bytes INTEGER NOT NULL, environment TEXT NOT NULL, reason TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX vms_by_state ON vms(kind, state);
CREATE INDEX vms_unsettled ON vms(id) WHERE settled = 0;
CREATE INDEX vms_due ON vms(due_at) WHERE due_at > 0;
CREATE TABLE labels(
  vm TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(vm, name)) WITHOUT ROWID;
CREATE INDEX labels_by_value ON labels(name, value);
INSERT INTO folders VALUES(1, 65024, 1234, 1764183600123456789);
INSERT INTO vms VALUES('k7dq2mxw4zpa', 1, 1, 1764183600000000001, 4, 1764788400, 1764183500000000000,
  1764183501000000000, 1764183600000000000, 604800000, 2, 1, 1024, 2048, 12, 73728, 'debian:12',
  'a client stopped it');
INSERT INTO labels VALUES('k7dq2mxw4zpa', 'agent', 'seven');
PRAGMA application_id = 1887007343;
PRAGMA user_version = 1;
COMMIT;
)sql";
