// Tar streams (POSIX ustar with pax headers): what file trees travel as. The writer makes one form of each entry; the
// reader also knows GNU's long names, because people bring tars of their own. It takes its input for hostile: every
// number is checked, nothing is allocated by what a header claims, and it holds at most one extension header.
// Pure code: no I/O. Thread rule: an object belongs to one thread at a time.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>

namespace pyro::tree {

inline constexpr std::size_t kTarBlockBytes = 512;
/// Linux's PATH_MAX, less the NUL: no tree has longer ones.
inline constexpr std::size_t kMaxPathBytes = 4095;
/// Extension headers hold names and a few numbers; whatever else there is (extended attributes) fits as well.
inline constexpr std::size_t kMaxTarExtensionBytes = 64 * 1024;
/// Extension headers before one entry: each kind may come once, and some tools repeat global ones.
inline constexpr unsigned kMaxTarExtensions = 16;

enum class EntryType : std::uint8_t {
  other = 0,  // a device, a FIFO, a socket: never made from a stream
  file = 1,
  directory = 2,
  symlink = 3,
  hard_link = 4,
};

struct TarEntry {
  EntryType type = EntryType::file;
  /// Bytes as they are in the stream: not checked for where they lead. Never empty, without NUL.
  std::string path;
  /// Target of a symbolic or hard link.
  std::string link;
  /// Permission bits, 07777.
  std::uint32_t mode = 0;
  /// Of a file; 0 of everything else.
  std::uint64_t size = 0;
  /// Seconds since 1970.
  std::int64_t mtime = 0;
};

/// The header blocks of an entry.
base::Bytes tar_header(const TarEntry& entry);
/// How many zero bytes follow `size` bytes of content.
constexpr std::size_t tar_padding(std::uint64_t size) noexcept {
  return static_cast<std::size_t>((kTarBlockBytes - size % kTarBlockBytes) % kTarBlockBytes);
}
/// What ends a stream.
inline constexpr std::size_t kTarEndBytes = 2 * kTarBlockBytes;

class TarReader {
 public:
  enum class Kind {
    more,   // all input is used up
    entry,  // entry() is the next one; its content follows
    data,   // a piece of its content
    end,    // the end of the stream: what comes after it does not count
  };
  struct Step {
    Kind kind = Kind::more;
    /// Of kind data: borrowed from the input.
    base::ByteView data{};
  };

  /// Takes as much of `in` as the next step needs. Errors: INVALID (not a tar), UNSUPPORTED (sparse files). After one
  /// the reader is dead.
  base::Result<Step> next(base::ByteView& in);
  [[nodiscard]] const TarEntry& entry() const noexcept { return entry_; }
  /// How much of entry()'s content is still to come.
  [[nodiscard]] std::uint64_t left_bytes() const noexcept { return left_; }
  [[nodiscard]] bool has_ended() const noexcept { return state_ == State::ended; }

 private:
  enum class State { header, extension, data, padding, ended, dead };
  /// What extension headers say of the next entry.
  struct Overrides {
    std::optional<std::string> path;
    std::optional<std::string> link;
    std::optional<std::uint64_t> size;
    std::optional<std::int64_t> mtime;
  };

  base::Result<Step> advance(base::ByteView& in);
  base::Result<bool> take_header();
  base::Status start_extension(char type, std::uint64_t size);
  base::Status finish_extension();
  base::Status take_pax_records(std::string_view records);
  base::Status take_pax_record(std::string_view key, std::string_view value);

  State state_ = State::header;
  std::array<std::byte, kTarBlockBytes> block_{};
  std::size_t block_size_ = 0;
  bool saw_zero_block_ = false;
  char extension_type_ = 0;
  std::string extension_;
  unsigned extensions_ = 0;
  Overrides overrides_;
  TarEntry entry_;
  std::uint64_t left_ = 0;
  std::size_t padding_ = 0;
};

}  // namespace pyro::tree
