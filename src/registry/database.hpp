// A thin owner of one SQLite connection: statements, transactions, and errors in this project's words.
// Thread rule: one thread at a time, in the process that opened it; in a forked child it may only be abandoned.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

namespace pyro::registry {

class Database;

/// One prepared statement. Bind from 1, then step.
class Statement {
 public:
  Statement(Statement&&) noexcept = default;
  Statement& operator=(Statement&&) noexcept = default;

  Statement& bind(int index, std::int64_t value);
  Statement& bind(int index, std::string_view text);
  /// True: there is a row, which the getters below read.
  base::Result<bool> step();
  /// For what gives no rows; ready to be bound again afterwards.
  base::Status run();

  [[nodiscard]] std::int64_t integer(int column) const;
  [[nodiscard]] std::uint64_t unsigned_integer(int column) const;
  [[nodiscard]] std::uint32_t word(int column) const;
  /// Bytes; text and blobs alike.
  [[nodiscard]] std::string text(int column) const;

 private:
  friend class Database;
  struct Finalise {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  Statement(const Database& database, sqlite3_stmt* statement) : database_(&database), statement_(statement) {}

  const Database* database_;
  std::unique_ptr<sqlite3_stmt, Finalise> statement_;
  /// The first thing that went wrong while binding.
  int failure_ = 0;
};

class Database {
 public:
  /// A file that is there. Waits at most `busy_ms` for other processes.
  static base::Result<Database> open(const std::string& path, int busy_ms);
  Database(Database&&) noexcept = default;
  Database& operator=(Database&&) noexcept = default;

  [[nodiscard]] base::Result<Statement> prepare(std::string_view sql) const;
  /// Any number of statements, whose rows nobody wants.
  [[nodiscard]] base::Status run(const char* sql) const;
  /// The one number that a query gives.
  [[nodiscard]] base::Result<std::int64_t> number(std::string_view sql) const;
  /// Makes the next VACUUM leave an empty database behind, whatever is in the file now.
  [[nodiscard]] base::Status allow_reset(bool allowed) const;
  /// Forgets the connection without closing it: what a forked child has to do.
  void abandon() noexcept;

  /// STATE: the file is damaged. TIMEOUT: others were busy for too long. Else by the system's reason.
  [[nodiscard]] base::Error error(int code) const;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* handle) const noexcept;
  };
  Database(std::string path, sqlite3* handle) : path_(std::move(path)), handle_(handle) {}

  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

/// Without commit() nothing of it happened.
class Transaction {
 public:
  /// `writes`: waits until nobody else writes. Else all that is read is of one moment. Errors: TIMEOUT, and those of the
  /// database.
  static base::Result<Transaction> begin(const Database& database, bool writes = true);
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();
  base::Status commit();

 private:
  explicit Transaction(const Database& database) : database_(&database) {}
  const Database* database_;
};

}  // namespace pyro::registry
