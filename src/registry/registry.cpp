#include "registry/registry.hpp"

#include "base/clock.hpp"
#include "base/io.hpp"
#include "registry/schema.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::registry {

namespace {

// Two processes that make the same new file wait for each other longer than SQLite does by itself.
constexpr std::int64_t kOpenMs = 500;
constexpr int kRetryMs = 10;
constexpr char kLabelEnd = '\n';  // labels have no control characters

constexpr const char* kColumns =
    "id, kind, settled, changed_ns, state, due_at, created_ns, started_ns, last_use_ns, retention_ms, engine, "
    "vcpu_count, mem_mib, disk_mib, command_count, disk_used_bytes, environment, reason, "
    "(SELECT group_concat(name || '=' || value, char(10)) FROM labels WHERE vm = id)";

std::vector<std::pair<std::string, std::string>> split_labels(const std::string& text) {
  std::vector<std::pair<std::string, std::string>> labels;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(kLabelEnd, begin), text.size());
    const std::size_t equals = std::min(text.find('=', begin), end);
    labels.emplace_back(text.substr(begin, equals - begin),
                        equals < end ? text.substr(equals + 1, end - equals - 1) : std::string());
    begin = end + 1;
  }
  std::sort(labels.begin(), labels.end());
  return labels;
}

Row read_row(const Statement& statement) {
  Row row;
  int column = 0;
  row.id = statement.text(column++);
  row.kind = statement.word(column++);
  row.settled = statement.integer(column++) != 0;
  row.changed_ns = statement.integer(column++);
  row.state = statement.word(column++);
  row.due_at = statement.integer(column++);
  row.created_ns = statement.integer(column++);
  row.started_ns = statement.integer(column++);
  row.last_use_ns = statement.integer(column++);
  row.retention_ms = statement.unsigned_integer(column++);
  row.engine = statement.word(column++);
  row.vcpu_count = statement.word(column++);
  row.mem_mib = statement.word(column++);
  row.disk_mib = statement.word(column++);
  row.command_count = statement.unsigned_integer(column++);
  row.disk_used_bytes = statement.unsigned_integer(column++);
  row.environment = statement.text(column++);
  row.reason = statement.text(column++);
  row.labels = split_labels(statement.text(column));
  return row;
}

base::Status take_all(Statement& statement, std::vector<Row>& rows) {
  while (true) {
    PYRO_TRY_ASSIGN(const bool found, statement.step());
    if (!found) {
      return base::success();
    }
    rows.push_back(read_row(statement));
  }
}

// Nobody may open the file before it has its mode, and no descriptor of it may be closed while SQLite has locks on it
// (they are the process's): it is made under another name.
base::Status make_file(const std::string& path, bool replaces = false) {
  struct stat info {};
  if (!replaces && ::stat(path.c_str(), &info) == 0) {
    return base::success();
  }
  std::string name = path + ".XXXXXX";
  base::Fd file(::mkostemp(name.data(), O_CLOEXEC));  // with mode 0600
  if (!file.valid()) {
    return base::errno_error(errno, "cannot make the registry " + path);
  }
  file.reset();
  const bool linked = !replaces && (::link(name.c_str(), path.c_str()) == 0 || errno == EEXIST);
  // Without hard links a faster process's empty file is replaced by an empty file.
  const bool there = linked || ::rename(name.c_str(), path.c_str()) == 0;
  const int reason = errno;
  ::unlink(name.c_str());
  return there ? base::success() : base::Status(base::errno_error(reason, "cannot make the registry " + path));
}

base::Result<struct stat> look_at(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    return base::errno_error(errno, "cannot look at the registry " + path);
  }
  return info;
}

}  // namespace

bool is_usable_in_this_process() noexcept {
  // Of the whole process, as what it guards is.
  static std::atomic<pid_t> user{0};
  const pid_t self = ::getpid();
  pid_t found = 0;
  return user.compare_exchange_strong(found, self) || found == self;
}

base::Result<std::unique_ptr<Registry>> Registry::open(const std::string& path) {
  const std::int64_t deadline_ms = base::monotonic_ms() + kOpenMs;
  while (true) {
    PYRO_TRY(make_file(path));
    PYRO_TRY_ASSIGN(const struct stat before, look_at(path));
    PYRO_TRY_ASSIGN(Database database, Database::open(path, kBusyMs));
    const auto prepared = prepare_schema(database);
    PYRO_TRY_ASSIGN(const struct stat after, look_at(path));
    const bool same = before.st_ino == after.st_ino && before.st_dev == after.st_dev;
    if (prepared.ok() && same) {
      return std::unique_ptr<Registry>(new Registry(std::move(database), after.st_dev, after.st_ino));
    }
    if (!prepared.ok() && prepared.error().code != PYRO_ERROR_TIMEOUT) {
      return prepared.error();
    }
    if (base::monotonic_ms() >= deadline_ms) {
      return base::make_error(PYRO_ERROR_TIMEOUT, "the registry {} is busy", path);
    }
    ::poll(nullptr, 0, kRetryMs);
  }
}

base::Status Registry::reset(const std::string& path) {
  auto emptied = empty_file(path);
  // A file that is only busy, or cannot be written, is as good as it was.
  if (emptied.ok() || emptied.error().code != PYRO_ERROR_STATE) {
    return emptied;
  }
  // Who has a damaged file open may not be able to let go of it: they keep it and its companions, which the new one
  // must not share, and notice that it has been replaced.
  for (const char* companion : {"-wal", "-shm"}) {
    ::unlink((path + companion).c_str());
  }
  return make_file(path, true);
}

base::Status Registry::empty_file(const std::string& path) {
  PYRO_TRY(make_file(path));
  PYRO_TRY_ASSIGN(const Database database, Database::open(path, kBusyMs));
  if (const auto known = check_not_newer(database); !known.ok() && known.error().code == PYRO_ERROR_UNSUPPORTED) {
    return known;
  }
  // SQLite has to know how the file was written, if it can tell, to write it in the same way.
  const auto tables = database.number("SELECT count(*) FROM sqlite_master");
  PYRO_TRY(database.allow_reset(true));
  const auto emptied = database.run("VACUUM");
  PYRO_TRY(database.allow_reset(false));
  // Damaged is what counts, also where others keep it busy.
  return !emptied.ok() && !tables.ok() && tables.error().code == PYRO_ERROR_STATE ? base::Status(tables.error())
                                                                                  : emptied;
}

bool Registry::is_current() const noexcept {
  struct stat info {};
  return ::stat(database_.path().c_str(), &info) == 0 && info.st_ino == inode_ && info.st_dev == device_;
}

// ---- vms/

base::Result<std::optional<FolderStamp>> Registry::stamp() const {
  PYRO_TRY_ASSIGN(auto statement, database_.prepare("SELECT device, inode, changed_ns FROM folders"));
  PYRO_TRY_ASSIGN(const bool found, statement.step());
  if (!found) {
    return std::optional<FolderStamp>();
  }
  return std::optional(FolderStamp{statement.unsigned_integer(0), statement.unsigned_integer(1), statement.integer(2)});
}

base::Status Registry::set_stamp(const FolderStamp& stamp) {
  PYRO_TRY_ASSIGN(auto statement, database_.prepare("INSERT OR REPLACE INTO folders VALUES(1, ?1, ?2, ?3)"));
  return statement.bind(1, static_cast<std::int64_t>(stamp.device))
      .bind(2, static_cast<std::int64_t>(stamp.inode))
      .bind(3, stamp.changed_ns)
      .run();
}

// ---- rows

base::Result<std::optional<Row>> Registry::row(const std::string& id) const {
  PYRO_TRY_ASSIGN(auto statement, database_.prepare(fmt::format("SELECT {} FROM vms WHERE id = ?1", kColumns)));
  PYRO_TRY_ASSIGN(const bool found, statement.bind(1, id).step());
  return found ? std::optional(read_row(statement)) : std::nullopt;
}

base::Result<std::vector<Row>> Registry::find(const Filter& filter) const {
  std::vector<Row> rows;
  // A label leads to few rows, so nothing else is looked up: the pluses say so to SQLite, which keeps no statistics.
  const char* plus = filter.labels.empty() ? "" : "+";
  std::string sql = fmt::format("SELECT {} FROM vms WHERE +settled = 1", kColumns);
  if (filter.kind != 0) {
    sql += fmt::format(" AND {}kind = ?1", plus);
  }
  if (filter.state_mask != 0) {
    sql += fmt::format(" AND {}state IN (-1", plus);
    for (unsigned state = 0; state < 32; ++state) {
      sql += (filter.state_mask >> state & 1U) != 0 ? fmt::format(", {}", state) : "";
    }
    sql += ")";
  }
  int parameter = 1;
  for (std::size_t i = 0; i < filter.labels.size(); ++i, parameter += 2) {
    sql += fmt::format(" AND id IN (SELECT vm FROM labels WHERE name = ?{} AND value = ?{})", parameter + 1,
                       parameter + 2);
  }
  PYRO_TRY_ASSIGN(auto matching, database_.prepare(sql));
  if (filter.kind != 0) {
    matching.bind(1, std::int64_t{filter.kind});
  }
  parameter = 1;
  for (const auto& [name, value] : filter.labels) {
    matching.bind(++parameter, name);
    matching.bind(++parameter, value);
  }
  PYRO_TRY(take_all(matching, rows));
  PYRO_TRY_ASSIGN(auto unsettled, database_.prepare(fmt::format("SELECT {} FROM vms WHERE settled = 0", kColumns)));
  PYRO_TRY(take_all(unsettled, rows));
  return rows;
}

base::Result<std::vector<std::string>> Registry::due(std::int64_t now) const {
  PYRO_TRY_ASSIGN(auto statement, database_.prepare("SELECT id FROM vms WHERE due_at > 0 AND due_at <= ?1 "
                                                    "UNION SELECT id FROM vms WHERE settled = 0"));
  statement.bind(1, now);
  std::vector<std::string> ids;
  while (true) {
    PYRO_TRY_ASSIGN(const bool found, statement.step());
    if (!found) {
      return ids;
    }
    ids.push_back(statement.text(0));
  }
}

base::Status Registry::each_row(
    const std::function<void(std::string id, bool settled, std::int64_t changed_ns)>& each) const {
  PYRO_TRY_ASSIGN(auto statement, database_.prepare("SELECT id, settled, changed_ns FROM vms"));
  while (true) {
    PYRO_TRY_ASSIGN(const bool found, statement.step());
    if (!found) {
      return base::success();
    }
    each(statement.text(0), statement.integer(1) != 0, statement.integer(2));
  }
}

base::Status Registry::put(const Row& row) {
  PYRO_TRY_ASSIGN(auto statement, database_.prepare("INSERT OR REPLACE INTO vms VALUES("
                                                    "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, "
                                                    "?16, ?17, ?18)"));
  statement.bind(1, row.id).bind(2, std::int64_t{row.kind}).bind(3, std::int64_t{row.settled ? 1 : 0});
  statement.bind(4, row.changed_ns).bind(5, std::int64_t{row.state}).bind(6, row.due_at);
  statement.bind(7, row.created_ns).bind(8, row.started_ns).bind(9, row.last_use_ns);
  statement.bind(10, static_cast<std::int64_t>(row.retention_ms)).bind(11, std::int64_t{row.engine});
  statement.bind(12, std::int64_t{row.vcpu_count}).bind(13, std::int64_t{row.mem_mib});
  statement.bind(14, std::int64_t{row.disk_mib}).bind(15, static_cast<std::int64_t>(row.command_count));
  statement.bind(16, static_cast<std::int64_t>(row.disk_used_bytes)).bind(17, row.environment).bind(18, row.reason);
  PYRO_TRY(statement.run());
  PYRO_TRY_ASSIGN(auto forget, database_.prepare("DELETE FROM labels WHERE vm = ?1"));
  PYRO_TRY(forget.bind(1, row.id).run());
  PYRO_TRY_ASSIGN(auto add, database_.prepare("INSERT OR REPLACE INTO labels VALUES(?1, ?2, ?3)"));
  for (const auto& [name, value] : row.labels) {
    PYRO_TRY(add.bind(1, row.id).bind(2, name).bind(3, value).run());
  }
  return base::success();
}

base::Status Registry::unsettle(const std::string& id) {
  PYRO_TRY_ASSIGN(auto statement,
                  database_.prepare("INSERT INTO vms VALUES(?1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '', '') "
                                    "ON CONFLICT(id) DO UPDATE SET settled = 0"));
  return statement.bind(1, id).run();
}

base::Status Registry::remove(const std::string& id) {
  for (const char* sql : {"DELETE FROM vms WHERE id = ?1", "DELETE FROM labels WHERE vm = ?1",
                          "DELETE FROM journals WHERE vm = ?1", "DELETE FROM commands WHERE vm = ?1"}) {
    PYRO_TRY_ASSIGN(auto statement, database_.prepare(sql));
    PYRO_TRY(statement.bind(1, id).run());
  }
  return base::success();
}

// ---- journals

base::Result<std::optional<JournalPlace>> Registry::journal(const std::string& id) const {
  PYRO_TRY_ASSIGN(auto statement, database_.prepare("SELECT tag, end_bytes, last_number, last_use_ns, started, ended "
                                                    "FROM journals WHERE vm = ?1"));
  PYRO_TRY_ASSIGN(const bool found, statement.bind(1, id).step());
  if (!found) {
    return std::optional<JournalPlace>();
  }
  return std::optional(JournalPlace{statement.unsigned_integer(0), statement.unsigned_integer(1),
                                    statement.unsigned_integer(2), statement.integer(3), statement.text(4),
                                    statement.text(5)});
}

base::Status Registry::put_journal(const std::string& id, const JournalPlace& place,
                                   const std::vector<CommandMark>& marks) {
  const auto before = journal(id);
  if (before.ok() && *before && (*before)->tag != place.tag) {
    PYRO_TRY_ASSIGN(auto forget, database_.prepare("DELETE FROM commands WHERE vm = ?1"));
    PYRO_TRY(forget.bind(1, id).run());
  }
  PYRO_TRY_ASSIGN(auto statement,
                  database_.prepare("INSERT OR REPLACE INTO journals VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  PYRO_TRY(statement.bind(1, id)
               .bind(2, static_cast<std::int64_t>(place.tag))
               .bind(3, static_cast<std::int64_t>(place.end_bytes))
               .bind(4, static_cast<std::int64_t>(place.last_number))
               .bind(5, place.last_use_ns)
               .bind(6, place.started)
               .bind(7, place.ended)
               .run());
  PYRO_TRY_ASSIGN(auto add, database_.prepare("INSERT OR REPLACE INTO commands VALUES(?1, ?2, ?3)"));
  for (const CommandMark& mark : marks) {
    PYRO_TRY(add.bind(1, id)
                 .bind(2, static_cast<std::int64_t>(mark.number))
                 .bind(3, static_cast<std::int64_t>(mark.offset_bytes))
                 .run());
  }
  return base::success();
}

base::Result<std::optional<CommandMark>> Registry::mark_before(const std::string& id, std::uint64_t number) const {
  PYRO_TRY_ASSIGN(auto statement, database_.prepare("SELECT number, offset_bytes FROM commands WHERE vm = ?1 AND "
                                                    "number <= ?2 ORDER BY number DESC LIMIT 1"));
  PYRO_TRY_ASSIGN(const bool found, statement.bind(1, id).bind(2, static_cast<std::int64_t>(number)).step());
  if (!found) {
    return std::optional<CommandMark>();
  }
  return std::optional(CommandMark{statement.unsigned_integer(0), statement.unsigned_integer(1)});
}

}  // namespace pyro::registry
