// Which parts of a journal's `output` file are to be freed, so that neither one command nor the task as a whole keeps
// more than its share: oldest first. The writer tells what it appended and frees the ranges that it is given back
// (FALLOC_FL_PUNCH_HOLE); the file keeps its length.
// Pure code: no I/O. Thread rule: one thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

namespace pyro::state {

class OutputRetention {
 public:
  struct Limits {
    std::uint64_t command_bytes = std::uint64_t{16} << 20;
    std::uint64_t task_bytes = std::uint64_t{64} << 20;
    /// Extents remembered: what commands that print by turns cost in memory. Beyond it the oldest become one.
    std::size_t extents = 4096;
  };
  /// Of the file, in bytes; both ends are multiples of a page.
  struct Range {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    friend bool operator==(const Range&, const Range&) = default;
  };

  static constexpr std::uint64_t kPageBytes = 4096;

  explicit OutputRetention(Limits limits) : limits_(limits) {}
  OutputRetention() : OutputRetention(Limits{}) {}

  /// What an earlier writer left: [`begin`, `end`) is as good as one command's that has ended.
  void adopt(std::uint64_t begin, std::uint64_t end);
  /// `size` bytes for command `number` were appended at `offset`; appends never go back. Gives what to free now.
  [[nodiscard]] std::vector<Range> appended(std::uint64_t number, std::uint64_t offset, std::uint64_t size);
  /// Bytes of the file that are kept.
  [[nodiscard]] std::uint64_t kept_bytes() const noexcept { return kept_bytes_; }

 private:
  struct Extent {
    std::uint64_t number = 0;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    [[nodiscard]] std::uint64_t size() const noexcept { return end - begin; }
  };

  void add(std::uint64_t number, std::uint64_t begin, std::uint64_t end);
  /// Takes up to `bytes` from the front of an extent.
  void cut(Extent& extent, std::uint64_t bytes);
  /// `size` bytes are not this command's any more.
  void uncount(std::uint64_t number, std::uint64_t size);
  void trim_command(std::uint64_t number, std::vector<Range>& freed);
  void merge_oldest();
  void trim_task(std::vector<Range>& freed);

  Limits limits_;
  std::deque<Extent> extents_;                          // by offset
  std::map<std::uint64_t, std::uint64_t> per_command_;  // kept bytes by number; none that is 0
  std::uint64_t kept_bytes_ = 0;
  std::uint64_t freed_until_ = 0;  // page by page, from the file's second one
};

}  // namespace pyro::state
