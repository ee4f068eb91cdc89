#include "image/verify.hpp"

#include "base/io.hpp"
#include "image/catalogue.hpp"
#include "image/digest.hpp"

#include <cerrno>
#include <optional>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::image {

namespace {

std::optional<state::FileStamp> stamp_of(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return std::nullopt;
  }
  return state::FileStamp::of(info);
}

base::Result<state::FileStamp> stamp_of_fd(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) {
    return base::errno_error(errno, "cannot read " + path);
  }
  if (!S_ISREG(info.st_mode)) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "{} is not a file", path);
  }
  return state::FileStamp::of(info);
}

base::Error remedy_for(std::string_view name, base::Error error) {
  if (error.code != PYRO_ERROR_ENVIRONMENT) {
    return error;
  }
  error.message += find_in_catalogue(name) != nullptr
                       ? fmt::format("; run 'pyro env build --force {}' to build it again", name)
                       : fmt::format("; run 'pyro env prune {}' and import it again", name);
  return error;
}

}  // namespace

base::Result<state::Manifest> read_manifest(const Store& store, const state::Digest& digest) {
  const std::string path = store.path(state::manifest_path(digest));
  const auto text = base::read_file(path, state::kMaxManifestBytes);
  if (!text.ok()) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "its manifest is not readable: {}", text.error().message);
  }
  PYRO_TRY_ASSIGN(const state::Digest actual, digest_of(text.value()));
  if (actual != digest) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "its manifest {} was changed", path);
  }
  return state::Manifest::decode(text.value());
}

base::Result<state::FileStamp> check_blob(const Store& store, const state::BlobRef& blob, const std::string& what,
                                          Report* report) {
  const std::string path = store.path(state::blob_path(blob.digest));
  auto opened = base::open_file(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!opened.ok()) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "its {} is missing: {}", what, opened.error().message);
  }
  const base::Fd fd = std::move(opened).value();
  PYRO_TRY_ASSIGN(const state::FileStamp before, stamp_of_fd(fd.get(), path));
  if (before.size != blob.size) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "its {} {} has {} bytes instead of {}", what, path, before.size,
                            blob.size);
  }
  PYRO_TRY_ASSIGN(const state::BlobRef actual, digest_of_file(fd.get(), path, [&](std::uint64_t done) {
                    if (report != nullptr) {
                      report->progress("verifying", "verifying the " + what, done, blob.size);
                    }
                  }));
  PYRO_TRY_ASSIGN(const state::FileStamp after, stamp_of_fd(fd.get(), path));
  if (actual != blob || before != after) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "its {} {} was changed (its digest is {})", what, path,
                            actual.digest.text());
  }
  return after;
}

base::Result<state::Stamp> check_files(const Store& store, const state::Digest& digest, const state::Manifest& manifest,
                                       Report& report) {
  state::Stamp stamp;
  PYRO_TRY(read_manifest(store, digest));
  const auto manifest_stamp = stamp_of(store.path(state::manifest_path(digest)));
  if (!manifest_stamp) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "its manifest vanished");
  }
  stamp.manifest = *manifest_stamp;
  PYRO_TRY_ASSIGN(stamp.kernel, check_blob(store, manifest.kernel, "kernel", &report));
  PYRO_TRY_ASSIGN(stamp.initramfs, check_blob(store, manifest.initramfs, "initramfs", &report));
  PYRO_TRY_ASSIGN(stamp.root, check_blob(store, manifest.root, "root image", &report));
  return stamp;
}

bool matches_stamp(const Store& store, const state::Digest& digest, const state::Manifest& manifest) {
  const auto text = base::read_file(store.path(state::verified_path(digest)), state::kMaxRecordBytes);
  const auto stamp = text.ok() ? state::Stamp::decode(text.value()) : text.error();
  if (!stamp.ok()) {
    return false;
  }
  return stamp_of(store.path(state::manifest_path(digest))) == stamp->manifest &&
         stamp_of(store.path(state::blob_path(manifest.kernel.digest))) == stamp->kernel &&
         stamp_of(store.path(state::blob_path(manifest.initramfs.digest))) == stamp->initramfs &&
         stamp_of(store.path(state::blob_path(manifest.root.digest))) == stamp->root;
}

base::Result<StoredEnvironment> verify_environment(const Store& store, std::string_view name, Report& report) {
  auto found = store.find(name);
  if (!found.ok()) {
    return remedy_for(name, found.error());
  }
  const state::Digest& digest = found->record.manifest;
  const auto stamp = check_files(store, digest, found->manifest, report);
  if (!stamp.ok()) {
    ::unlink(store.path(state::verified_path(digest)).c_str());
    return remedy_for(
        name, base::make_error(stamp.error().code, "environment '{}' is damaged: {}", name, stamp.error().message));
  }
  PYRO_TRY_ASSIGN(const TempDir temp, store.make_temp(report));
  PYRO_TRY(store.put_record(temp, state::verified_path(digest), stamp->encode(), 0600));
  return found;
}

}  // namespace pyro::image
