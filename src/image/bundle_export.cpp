#include "image/bundle.hpp"
#include "image/digest.hpp"
#include "image/operations.hpp"

#include "base/io.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>
#include <memory>
#include <vector>

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

namespace pyro::image {

namespace {

struct WriterFree {
  void operator()(archive* writer) const noexcept { archive_write_free(writer); }
};
using WriterPtr = std::unique_ptr<archive, WriterFree>;

base::Error write_failure(archive* writer, const std::string& path) {
  const char* text = archive_error_string(writer);
  const int sys_errno = archive_errno(writer);
  base::Error error = sys_errno > 0 ? base::errno_error(sys_errno, "cannot write " + path)
                                    : base::make_error(PYRO_ERROR_INTERNAL, "cannot write {}: {}", path,
                                                       text != nullptr ? text : "unknown failure");
  return error;
}

base::Status put_header(archive* writer, std::string_view name, std::uint64_t size, const std::string& path) {
  archive_entry* entry = archive_entry_new();
  archive_entry_set_pathname(entry, std::string(name).c_str());
  archive_entry_set_size(entry, static_cast<la_int64_t>(size));
  archive_entry_set_filetype(entry, AE_IFREG);
  archive_entry_set_perm(entry, 0644);
  archive_entry_set_mtime(entry, 0, 0);
  const int status = archive_write_header(writer, entry);
  archive_entry_free(entry);
  return status == ARCHIVE_OK ? base::success() : base::Status(write_failure(writer, path));
}

base::Status put_bytes(archive* writer, base::ByteView bytes, const std::string& path) {
  if (archive_write_data(writer, bytes.data(), bytes.size()) != static_cast<la_ssize_t>(bytes.size())) {
    return write_failure(writer, path);
  }
  return base::success();
}

/// Copies a blob, checking it on the way: a damaged environment is not handed on.
base::Status put_blob(const Job& job, archive* writer, const BundleFile& file) {
  const std::string source = job.store.path(state::blob_path(file.blob.digest));
  const auto damaged = [&](std::string_view why) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "environment '{}' is damaged: its {} {} {}; nothing was exported",
                            job.request.name, file.what, source, why);
  };
  const auto fd = base::open_file(source, O_RDONLY | O_NOFOLLOW);
  if (!fd.ok()) {
    return damaged("is missing");
  }
  PYRO_TRY(put_header(writer, file.entry, file.blob.size, job.request.path));
  Sha256 hash;
  std::vector<std::byte> buffer(kBundleCopyBytes);
  std::uint64_t copied = 0;
  while (true) {
    const ssize_t got = ::read(fd->get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return base::errno_error(errno, "cannot read " + source);
    }
    copied += static_cast<std::uint64_t>(got);
    if (copied > file.blob.size || (got == 0 && copied < file.blob.size)) {
      return damaged("has another size than it should");
    }
    if (got == 0) {
      break;
    }
    const base::ByteView bytes(buffer.data(), static_cast<std::size_t>(got));
    hash.update(bytes);
    PYRO_TRY(put_bytes(writer, bytes, job.request.path));
    job.report.progress("export", fmt::format("writing the {}", file.what), copied, file.blob.size);
  }
  PYRO_TRY_ASSIGN(const state::Digest digest, hash.finish());
  return digest == file.blob.digest ? base::success() : base::Status(damaged("was changed"));
}

base::Status write_bundle(const Job& job, const StoredEnvironment& found, int fd) {
  const std::string& path = job.request.path;
  const WriterPtr writer(archive_write_new());
  if (!writer || archive_write_set_format_pax_restricted(writer.get()) != ARCHIVE_OK ||
      archive_write_open_fd(writer.get(), fd) != ARCHIVE_OK) {
    return base::make_error(PYRO_ERROR_INTERNAL, "cannot begin an archive");
  }
  state::NameRecord record = found.record;
  record.created_at = 0;
  const std::string record_text = record.encode();
  const std::string manifest_text = found.manifest.encode();
  PYRO_TRY(put_header(writer.get(), kBundleRecord, record_text.size(), path));
  PYRO_TRY(put_bytes(writer.get(), base::as_bytes(record_text), path));
  PYRO_TRY(put_header(writer.get(), kBundleManifest, manifest_text.size(), path));
  PYRO_TRY(put_bytes(writer.get(), base::as_bytes(manifest_text), path));
  for (const BundleFile& file : bundle_files(found.manifest)) {
    PYRO_TRY(put_blob(job, writer.get(), file));
  }
  return archive_write_close(writer.get()) == ARCHIVE_OK ? base::success()
                                                         : base::Status(write_failure(writer.get(), path));
}

/// A file under construction. Unnamed where the file system can do that, so that nothing is left of a killed export;
/// otherwise a temporary name beside the target.
struct NewFile {
  base::Fd fd;
  std::string temporary;
};

base::Result<NewFile> begin_file(const std::string& path) {
  const auto slash = path.find_last_of('/');
  const std::string directory = slash == 0 ? "/" : path.substr(0, slash);
  NewFile file;
  auto unnamed = base::open_file(directory, O_TMPFILE | O_WRONLY, 0644);
  if (unnamed.ok()) {
    file.fd = std::move(unnamed).value();
    return file;
  }
  if (unnamed.error().sys_errno != EOPNOTSUPP && unnamed.error().sys_errno != EISDIR &&
      unnamed.error().sys_errno != EINVAL) {
    return std::move(unnamed).error();
  }
  std::uint32_t random = 0;
  (void)!::getrandom(&random, sizeof(random), 0);
  file.temporary = fmt::format("{}.{:08x}.part", path, random);
  PYRO_TRY_ASSIGN(file.fd, base::open_file(file.temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644));
  return file;
}

/// link() never replaces what is there.
base::Status finish_file(const NewFile& file, const std::string& path) {
  if (::fsync(file.fd.get()) != 0) {
    return base::errno_error(errno, "cannot write " + path);
  }
  const std::string source = file.temporary.empty() ? fmt::format("/proc/self/fd/{}", file.fd.get()) : file.temporary;
  if (::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) == 0) {
    return base::success();
  }
  if (errno == EEXIST) {
    return base::make_error(PYRO_ERROR_EXISTS, "{} exists already: choose another file", path);
  }
  return base::errno_error(errno, "cannot write " + path);
}

}  // namespace

base::Result<Outcome> export_environment(const Job& job) {
  const std::string& path = job.request.path;
  auto found = job.store.find(job.request.name);
  if (!found.ok()) {
    return found.error().code == PYRO_ERROR_NOT_FOUND ? unknown_environment(job.store, job.request.name)
                                                      : found.error();
  }
  if (::access(path.c_str(), F_OK) == 0) {
    return base::make_error(PYRO_ERROR_EXISTS, "{} exists already: choose another file", path);
  }
  PYRO_TRY_ASSIGN(const NewFile file, begin_file(path));
  base::Status written = write_bundle(job, *found, file.fd.get());
  if (written.ok()) {
    written = finish_file(file, path);
  }
  if (!file.temporary.empty()) {
    ::unlink(file.temporary.c_str());
  }
  PYRO_TRY(std::move(written));
  Outcome outcome = outcome_of(*found);
  outcome.path = path;
  return outcome;
}

}  // namespace pyro::image
