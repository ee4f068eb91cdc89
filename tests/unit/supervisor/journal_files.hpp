// The files of a journal in memory, and what is in them.
#pragma once

#include "base/fd.hpp"
#include "state/journal.hpp"

#include <csignal>
#include <vector>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace pyro {

inline base::Fd make_file(const char* name) {
  auto file = base::make_memfd(name);
  REQUIRE(file.ok());
  return std::move(*file);
}

inline base::Fd again(const base::Fd& file) {
  auto copy = file.duplicate();
  REQUIRE(copy.ok());
  return std::move(*copy);
}

inline base::Bytes content(const base::Fd& file) {
  base::Bytes bytes(static_cast<std::size_t>(::lseek(file.get(), 0, SEEK_END)));
  REQUIRE(::pread(file.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return bytes;
}

// All records of one type in a file.
template <typename Record>
std::vector<Record> records(const base::Fd& file, state::JournalRecordType type) {
  const base::Bytes bytes = content(file);
  const auto tag = state::journal_tag(bytes);
  REQUIRE(tag.ok());
  state::JournalReader reader(*tag);
  reader.feed(base::ByteView(bytes).subspan(state::kJournalHeaderBytes));
  std::vector<Record> found;
  while (const auto frame = reader.next()) {
    if (frame->type == type) {
      auto record = Record::decode(frame->payload);
      REQUIRE(record.ok());
      found.push_back(std::move(*record));
    }
  }
  return found;
}

// Writing beyond a file size fails, as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int);
};

}  // namespace pyro
