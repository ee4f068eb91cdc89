// libarchive, reduced to what this program needs: readers with the filters that run inside the process.
// Thread rule: one thread per reader.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <memory>
#include <string>

struct archive;
struct archive_entry;

namespace pyro::image {

struct ArchiveFree {
  void operator()(archive* reader) const noexcept;
};
using ArchivePtr = std::unique_ptr<archive, ArchiveFree>;

/// A reader of tar archives behind `fd` (borrowed; a file, or a pipe), compressed with gzip, bzip2, xz, lzma, zstd or
/// lz4 or not at all. `what` names it in messages. Errors: INVALID.
base::Result<ArchivePtr> open_tar(int fd, const std::string& what);

/// The next entry, or nullptr at the end. Errors: INVALID.
base::Result<archive_entry*> next_entry(archive* reader, const std::string& what);

/// The rest of the current entry, refused (LIMIT) beyond `max_bytes`.
base::Result<base::Bytes> read_entry(archive* reader, std::size_t max_bytes, const std::string& what);

/// What compressed bytes in memory stand for (the filters above). Errors: INVALID, LIMIT.
base::Result<base::Bytes> decompress(base::ByteView compressed, std::size_t max_bytes, const std::string& what);

/// Reading the payload of a Debian package: an ar archive with a compressed tar inside (deb(5)).
class DebReader {
 public:
  /// Errors: ENVIRONMENT.
  static base::Result<DebReader> open(const std::string& path);
  /// The tar reader over the package's files.
  [[nodiscard]] archive* tar() const noexcept { return inner_.get(); }

 private:
  struct Feed;
  DebReader() = default;
  // The inner reader takes its bytes from the outer one, so it goes first.
  std::shared_ptr<Feed> feed_;
  ArchivePtr inner_;
};

/// Name of an entry without leading "./" and "/".
std::string relative_name(archive_entry* entry);

/// libarchive's message about its last failure.
std::string failure_text(archive* reader);

}  // namespace pyro::image
