#include "image/archive_reader.hpp"
#include "image/bundle.hpp"
#include "image/digest.hpp"
#include "image/operations.hpp"

#include "base/io.hpp"

#include <archive.h>
#include <archive_entry.h>

#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::image {

namespace {

/// Goes to the next entry, which must be this one.
base::Result<archive_entry*> expect_entry(archive* reader, std::string_view name, const std::string& path) {
  PYRO_TRY_ASSIGN(archive_entry * entry, next_entry(reader, path));
  if (entry == nullptr || archive_entry_filetype(entry) != AE_IFREG || relative_name(entry) != name) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "{} is not a complete bundle: '{}' is missing", path, name);
  }
  return entry;
}

base::Result<std::string> read_text(archive* reader, std::string_view name, std::size_t max_bytes,
                                    const std::string& path) {
  PYRO_TRY(expect_entry(reader, name, path));
  PYRO_TRY_ASSIGN(const base::Bytes bytes, read_entry(reader, max_bytes, fmt::format("'{}' in {}", name, path)));
  return std::string(base::as_text(bytes));
}

/// Writes one large entry to `target`, checking that it is what the manifest says.
base::Status receive_blob(const Job& job, archive* reader, const BundleFile& file, const std::string& target) {
  const std::string& path = job.request.path;
  PYRO_TRY(expect_entry(reader, file.entry, path));
  PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(target, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
  Sha256 hash;
  std::vector<std::byte> buffer(kBundleCopyBytes);
  std::uint64_t received = 0;
  while (true) {
    const la_ssize_t got = archive_read_data(reader, buffer.data(), buffer.size());
    if (got < 0) {
      return base::make_error(PYRO_ERROR_ENVIRONMENT, "{} is broken: {}", path, failure_text(reader));
    }
    received += static_cast<std::uint64_t>(got);
    if (got == 0 || received > file.blob.size) {
      break;
    }
    const base::ByteView bytes(buffer.data(), static_cast<std::size_t>(got));
    hash.update(bytes);
    PYRO_TRY(base::write_all(fd.get(), bytes, target));
    job.report.progress("import", fmt::format("reading the {}", file.what), received, file.blob.size);
  }
  PYRO_TRY_ASSIGN(const state::Digest digest, hash.finish());
  if (received != file.blob.size || digest != file.blob.digest) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT,
                            "{} is damaged: its {} is not what its manifest says; copy or export it again", path,
                            file.what);
  }
  return base::success();
}

}  // namespace

base::Result<bool> is_bundle(const std::string& path) {
  auto opened = base::open_file(path, O_RDONLY | O_NONBLOCK);
  if (!opened.ok()) {
    return std::move(opened).error();
  }
  const base::Fd fd = std::move(opened).value();
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    return base::errno_error(errno, "cannot read " + path);
  }
  if (S_ISDIR(info.st_mode)) {
    return false;
  }
  if (!S_ISREG(info.st_mode)) {
    return base::make_error(PYRO_ERROR_INVALID, "{} is neither a directory nor a file", path);
  }
  PYRO_TRY_ASSIGN(const ArchivePtr reader, open_tar(fd.get(), path));
  PYRO_TRY_ASSIGN(archive_entry * entry, next_entry(reader.get(), path));
  return entry != nullptr && relative_name(entry) == kBundleRecord;
}

base::Result<Outcome> import_bundle(const Job& job) {
  const std::string& name = job.request.name;
  const std::string& path = job.request.path;
  PYRO_TRY_ASSIGN(const FileLock name_lock, job.store.lock("name-" + name, LockKind::exclusive, job.report));
  PYRO_TRY(check_name_is_free(job));
  PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(path, O_RDONLY));
  PYRO_TRY_ASSIGN(const ArchivePtr reader, open_tar(fd.get(), path));
  PYRO_TRY_ASSIGN(const std::string record_text, read_text(reader.get(), kBundleRecord, state::kMaxRecordBytes, path));
  PYRO_TRY_ASSIGN(const state::NameRecord record, state::NameRecord::decode(record_text));
  PYRO_TRY_ASSIGN(const std::string manifest_text,
                  read_text(reader.get(), kBundleManifest, state::kMaxManifestBytes, path));
  PYRO_TRY_ASSIGN(const state::Digest digest, digest_of(manifest_text));
  if (digest != record.manifest) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "{} is damaged: its manifest was changed; copy or export it again",
                            path);
  }
  PYRO_TRY_ASSIGN(const state::Manifest manifest, state::Manifest::decode(manifest_text));
  PYRO_TRY(job.store.check_space(manifest.size_bytes(), "importing " + path));

  PYRO_TRY_ASSIGN(const TempDir temp, job.store.make_temp(job.report));
  for (const BundleFile& file : bundle_files(manifest)) {
    PYRO_TRY(receive_blob(job, reader.get(), file, temp.file(file.entry)));
  }
  PYRO_TRY_ASSIGN(const FileLock store_lock, job.store.lock(kStoreLock, LockKind::shared, job.report));
  for (const BundleFile& file : bundle_files(manifest)) {
    PYRO_TRY(job.store.add_blob(temp.file(file.entry), std::string(file.what), job.report));
  }
  PYRO_TRY(job.store.commit(temp, name, manifest, job.report));
  PYRO_TRY_ASSIGN(const StoredEnvironment found, job.store.find(name));
  return outcome_of(found);
}

}  // namespace pyro::image
