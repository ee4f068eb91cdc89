// Writes a file of a VM's journal as a supervisor does.
#pragma once

#include "base/io.hpp"
#include "client/vm_folder.hpp"
#include "state/journal.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>

namespace fixture {

class JournalWriter {
 public:
  static constexpr std::uint64_t kTag = 0x1122334455667788;

  JournalWriter(const pyro::client::VmFolder& folder, const char* name) {
    auto file = folder.open_file(name, O_RDWR | O_CREAT | O_APPEND, 0600);
    REQUIRE(file.ok());
    file_ = std::move(*file);
    write(pyro::state::journal_header(kTag));
  }
  template <typename Record>
  void add(pyro::state::JournalRecordType type, const Record& record) {
    write(pyro::state::journal_frame(kTag, type, record.encode()));
  }
  void write(const pyro::base::Bytes& bytes) { REQUIRE(pyro::base::write_all(file_.get(), bytes, "the journal").ok()); }

 private:
  pyro::base::Fd file_;
};

}  // namespace fixture
