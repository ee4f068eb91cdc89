#include "registry/database.hpp"

#include <cerrno>

#include <sqlite3.h>

namespace pyro::registry {

// ---- statements

void Statement::Finalise::operator()(sqlite3_stmt* statement) const noexcept {
  ::sqlite3_finalize(statement);
}

Statement& Statement::bind(int index, std::int64_t value) {
  const int code = ::sqlite3_bind_int64(statement_.get(), index, value);
  failure_ = failure_ == SQLITE_OK ? code : failure_;
  return *this;
}

Statement& Statement::bind(int index, std::string_view text) {
  // An empty view may have no address, which SQLite would take for NULL.
  const int code = ::sqlite3_bind_text64(statement_.get(), index, text.empty() ? "" : text.data(), text.size(),
                                         SQLITE_TRANSIENT, SQLITE_UTF8);
  failure_ = failure_ == SQLITE_OK ? code : failure_;
  return *this;
}

base::Result<bool> Statement::step() {
  const int code = failure_ == SQLITE_OK ? ::sqlite3_step(statement_.get()) : failure_;
  if (code == SQLITE_ROW || code == SQLITE_DONE) {
    return code == SQLITE_ROW;
  }
  return database_->error(code);
}

base::Status Statement::run() {
  auto stepped = step();
  ::sqlite3_reset(statement_.get());
  failure_ = SQLITE_OK;
  if (!stepped.ok()) {
    return std::move(stepped).error();
  }
  return base::success();
}

std::int64_t Statement::integer(int column) const {
  return ::sqlite3_column_int64(statement_.get(), column);
}

std::uint64_t Statement::unsigned_integer(int column) const {
  return static_cast<std::uint64_t>(integer(column));
}

std::uint32_t Statement::word(int column) const {
  return static_cast<std::uint32_t>(integer(column));
}

std::string Statement::text(int column) const {
  const void* bytes = ::sqlite3_column_blob(statement_.get(), column);
  const int size = ::sqlite3_column_bytes(statement_.get(), column);
  return bytes == nullptr ? std::string()
                          : std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(size));
}

// ---- connections

void Database::Close::operator()(sqlite3* handle) const noexcept {
  ::sqlite3_close_v2(handle);
}

base::Result<Database> Database::open(const std::string& path, int busy_ms) {
  sqlite3* handle = nullptr;
  const int code = ::sqlite3_open_v2(path.c_str(), &handle,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  Database database(path, handle);
  if (code != SQLITE_OK) {
    return database.error(code);
  }
  ::sqlite3_busy_timeout(handle, busy_ms);
  // A checkpoint waits for the disk. The next one who writes much does it; a short-lived program need not.
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // The file may be damaged: nothing in it is to run.
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  ::sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  return database;
}

base::Result<Statement> Database::prepare(std::string_view sql) const {
  sqlite3_stmt* statement = nullptr;
  const int code = ::sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr);
  if (code != SQLITE_OK) {
    return error(code);
  }
  return Statement(*this, statement);
}

base::Status Database::run(const char* sql) const {
  const int code = ::sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? base::success() : base::Status(error(code));
}

base::Result<std::int64_t> Database::number(std::string_view sql) const {
  PYRO_TRY_ASSIGN(Statement statement, prepare(sql));
  PYRO_TRY_ASSIGN(const bool found, statement.step());
  return found ? statement.integer(0) : 0;
}

base::Status Database::allow_reset(bool allowed) const {
  ::sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_DEFENSIVE, allowed ? 0 : 1, nullptr);
  const int code = ::sqlite3_db_config(handle_.get(), SQLITE_DBCONFIG_RESET_DATABASE, allowed ? 1 : 0, nullptr);
  return code == SQLITE_OK ? base::success() : base::Status(error(code));
}

void Database::abandon() noexcept {
  [[maybe_unused]] sqlite3* leaked = handle_.release();
}

base::Error Database::error(int code) const {
  const char* text = handle_ == nullptr ? ::sqlite3_errstr(code) : ::sqlite3_errmsg(handle_.get());
  const int reason = handle_ == nullptr ? 0 : ::sqlite3_system_errno(handle_.get());
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return base::make_error(
          PYRO_ERROR_STATE,
          "the registry {} is damaged ({}): run pyro registry rebuild; tasks and VMs themselves are "
          "not affected",
          path_, text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
      return base::make_error(PYRO_ERROR_TIMEOUT, "the registry {} is busy", path_);
    case SQLITE_NOMEM:
      return base::make_error(PYRO_ERROR_LIMIT, "out of memory for the registry {}", path_);
    case SQLITE_FULL:
      return base::errno_error(ENOSPC, "cannot write the registry " + path_);
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_IOERR:
      if (reason != 0) {
        return base::errno_error(reason, fmt::format("cannot use the registry {} ({})", path_, text));
      }
      // Why it cannot be written SQLite found out when it opened the file, and did not keep.
      return base::make_error(code == SQLITE_READONLY ? PYRO_ERROR_INVALID : PYRO_ERROR_INTERNAL,
                              "cannot use the registry {}: {}", path_, text);
    default:
      return base::make_error(PYRO_ERROR_INTERNAL, "the registry {}: {} ({})", path_, text, code);
  }
}

// ---- transactions

base::Result<Transaction> Transaction::begin(const Database& database, bool writes) {
  PYRO_TRY(database.run(writes ? "BEGIN IMMEDIATE" : "BEGIN"));
  return Transaction(database);
}

Transaction::~Transaction() {
  if (database_ != nullptr) {
    // SQLite has rolled back by itself after some errors.
    [[maybe_unused]] const auto ended = database_->run("ROLLBACK");
  }
}

base::Status Transaction::commit() {
  PYRO_TRY(database_->run("COMMIT"));
  database_ = nullptr;
  return base::success();
}

}  // namespace pyro::registry
