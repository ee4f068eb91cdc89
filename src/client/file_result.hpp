// What calls about files give: the guest's entries, collected and checked, in the form of the C ABI with its JSON.
// Thread rule: an object belongs to one thread at a time.
#pragma once

#include "client/event.hpp"
#include "wire/file_messages.hpp"

#include <memory>

namespace pyro::client {

/// Takes FileEntry messages out of a guest's stream. The guest is not believed: paths have to be what was asked for, of
/// a list and a diff below the directory and in their order, so that none comes twice.
class EntryCollector {
 public:
  /// `request` (stat, list or diff) outlives this.
  explicit EntryCollector(const wire::FileRequest& request)
      : request_(request), files_(std::make_unique<OwnedFiles>()) {}
  /// The next piece. Errors: INTERNAL (malformed, or more than was asked for).
  base::Status feed(base::ByteView bytes);
  /// Nothing is left of an entry, and a stat has one.
  [[nodiscard]] bool is_whole() const noexcept;
  std::unique_ptr<OwnedFiles> take() { return std::move(files_); }

 private:
  [[nodiscard]] bool is_expected(const wire::FileEntry& entry) const;
  void add(wire::FileEntry entry);

  const wire::FileRequest& request_;
  std::size_t total_bytes_ = 0;
  base::Bytes buffer_;
  std::unique_ptr<OwnedFiles> files_;
};

/// Fills in the JSON: of a stat, a list or a diff the items, of the others what was done.
void make_json(OwnedFiles& files, const std::string& task_id, const std::string& path, wire::FileVerb verb);

}  // namespace pyro::client
