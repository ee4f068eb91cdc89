#include "image/extract.hpp"

#include "image/archive_reader.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include <unistd.h>

namespace pyro::image {

namespace {

/// Half of PATH_MAX, so that the directory it is unpacked into can still be put before it.
constexpr std::size_t kMaxNameBytes = 2048;
/// Ids beyond these have no place in the build's namespace; they become nobody's.
constexpr la_int64_t kMaxId = 65535;
constexpr la_int64_t kNobody = 65534;

struct DiskFree {
  void operator()(archive* disk) const noexcept { archive_write_free(disk); }
};

base::Error unpack_failure(archive* disk, const std::string& name) {
  const int sys_errno = archive_errno(disk);
  base::Error error =
      base::make_error(sys_errno == ENOSPC || sys_errno == EDQUOT ? PYRO_ERROR_LIMIT : PYRO_ERROR_INVALID,
                       "cannot unpack '{}': {}", name, failure_text(disk));
  error.sys_errno = sys_errno;
  return error;
}

/// Counts an entry that begins, refusing what goes beyond the limits. Hard links count too: in a pax archive they may
/// have a body, which is written to the file that they name.
base::Status count_entry(archive_entry* entry, const ExtractLimits& limits, ExtractCounts& counts) {
  const la_int64_t size = archive_entry_size(entry);
  counts.bytes += static_cast<std::uint64_t>(std::max<la_int64_t>(size, 0));
  ++counts.entries;
  if (counts.bytes > limits.max_bytes || size < 0) {
    return base::make_error(PYRO_ERROR_LIMIT, "its files have more than the {} MiB that are free on the disk",
                            limits.max_bytes >> 20);
  }
  if (counts.entries > limits.max_entries) {
    return base::make_error(PYRO_ERROR_LIMIT, "it has more than {} files", limits.max_entries);
  }
  return base::success();
}

bool is_skipped(archive_entry* entry) {
  const auto kind = archive_entry_filetype(entry);
  return archive_entry_hardlink(entry) == nullptr && (kind == AE_IFCHR || kind == AE_IFBLK || kind == AE_IFSOCK);
}

base::Status copy_data(archive* reader, archive* disk, const std::string& name, const std::string& what) {
  while (true) {
    const void* bytes = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(reader, &bytes, &size, &offset);
    if (status == ARCHIVE_EOF) {
      return base::success();
    }
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) {
      return base::make_error(PYRO_ERROR_INVALID, "{} is broken: {}", what, failure_text(reader));
    }
    if (archive_write_data_block(disk, bytes, size, offset) < ARCHIVE_WARN) {
      return unpack_failure(disk, name);
    }
  }
}

/// Checks all names of an entry and makes them what libarchive may act on.
base::Status adjust_entry(archive_entry* entry, const std::string& name) {
  PYRO_TRY(check_entry_name(name));
  archive_entry_copy_pathname(entry, name.c_str());
  if (const char* raw = archive_entry_hardlink(entry); raw != nullptr) {
    std::string target = raw;
    while (target.starts_with("./")) {
      target.erase(0, 2);
    }
    PYRO_TRY(check_entry_name(target));
    archive_entry_copy_hardlink(entry, target.c_str());
  }
  if (archive_entry_uid(entry) > kMaxId || archive_entry_uid(entry) < 0) {
    archive_entry_set_uid(entry, kNobody);
  }
  if (archive_entry_gid(entry) > kMaxId || archive_entry_gid(entry) < 0) {
    archive_entry_set_gid(entry, kNobody);
  }
  return base::success();
}

}  // namespace

base::Status check_entry_name(std::string_view name) {
  const auto refuse = [&](std::string_view why) {
    return base::make_error(PYRO_ERROR_INVALID, "the archive has an entry '{}', which {}: refused", name.substr(0, 200),
                            why);
  };
  if (name.empty() || name.size() > kMaxNameBytes) {
    return refuse("has no or too long a name");
  }
  if (name.front() == '/') {
    return refuse("is an absolute path");
  }
  for (std::size_t start = 0; start <= name.size();) {
    const std::size_t end = std::min(name.find('/', start), name.size());
    if (name.substr(start, end - start) == "..") {
      return refuse("points out of its directory");
    }
    start = end + 1;
  }
  return base::success();
}

base::Status confine_to(const std::string& directory) {
  if (::chdir(directory.c_str()) != 0 || ::chroot(".") != 0) {
    return base::errno_error(errno, "cannot confine the unpacking to " + directory);
  }
  return base::success();
}

base::Result<ExtractCounts> extract_here(int fd, const std::string& what, const ExtractLimits& limits,
                                         const std::function<void(const ExtractCounts&)>& on_progress) {
  PYRO_TRY_ASSIGN(const ArchivePtr reader, open_tar(fd, what));
  const std::unique_ptr<archive, DiskFree> disk(archive_write_disk_new());
  if (!disk) {
    return base::make_error(PYRO_ERROR_LIMIT, "out of memory while unpacking {}", what);
  }
  // Without a lookup owners are taken by number, as they are meant.
  archive_write_disk_set_options(disk.get(), ARCHIVE_EXTRACT_OWNER | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
                                                 ARCHIVE_EXTRACT_XATTR | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                                                 ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                                 ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
  ExtractCounts counts;
  while (true) {
    PYRO_TRY_ASSIGN(archive_entry * entry, next_entry(reader.get(), what));
    if (entry == nullptr) {
      break;
    }
    const char* raw = archive_entry_pathname(entry);
    std::string name = raw != nullptr ? raw : "";
    while (name.starts_with("./")) {
      name.erase(0, 2);
    }
    if (name.empty() || name == ".") {
      // The top directory itself: it is there.
      continue;
    }
    PYRO_TRY(adjust_entry(entry, name));
    PYRO_TRY(count_entry(entry, limits, counts));
    if (is_skipped(entry)) {
      ++counts.skipped;
      continue;
    }
    // A warning is about an attribute that this file system does not have.
    if (archive_write_header(disk.get(), entry) < ARCHIVE_WARN) {
      return unpack_failure(disk.get(), name);
    }
    if (archive_entry_size(entry) > 0) {
      PYRO_TRY(copy_data(reader.get(), disk.get(), name, what));
    }
    if (archive_write_finish_entry(disk.get()) < ARCHIVE_WARN) {
      return unpack_failure(disk.get(), name);
    }
    on_progress(counts);
  }
  // Modes and times of directories are set here.
  if (archive_write_close(disk.get()) < ARCHIVE_WARN) {
    return unpack_failure(disk.get(), ".");
  }
  return counts;
}

}  // namespace pyro::image
