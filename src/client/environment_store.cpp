#include "client/environment_store.hpp"

#include "base/io.hpp"
#include "state/environment.hpp"

#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

namespace pyro::client {

namespace {

using base::Fd;
using base::Result;

struct OpenFile {
  Fd fd;
  state::FileStamp stamp;
};

Result<OpenFile> open_stamped(const std::string& path) {
  OpenFile file;
  PYRO_TRY_ASSIGN(file.fd, base::open_file(path, O_RDONLY | O_NOFOLLOW));
  struct stat info {};
  if (::fstat(file.fd.get(), &info) != 0) {
    return base::errno_error(errno, "cannot stat " + path);
  }
  file.stamp = state::FileStamp::of(info);
  return file;
}

// The error of this is the reason for a full check.
Result<EnvironmentFiles> open_checked(const std::string& home, const state::NameRecord& record) {
  const std::string below = home + "/";
  PYRO_TRY_ASSIGN(const OpenFile manifest_file, open_stamped(below + state::manifest_path(record.manifest)));
  PYRO_TRY_ASSIGN(const std::string manifest_text,
                  base::read_all(manifest_file.fd.get(), state::kMaxManifestBytes, "the manifest"));
  PYRO_TRY_ASSIGN(const auto manifest, state::Manifest::decode(manifest_text));
  PYRO_TRY_ASSIGN(const std::string stamp_text,
                  base::read_file(below + state::verified_path(record.manifest), state::kMaxRecordBytes));
  PYRO_TRY_ASSIGN(const auto expected, state::Stamp::decode(stamp_text));
  PYRO_TRY_ASSIGN(OpenFile kernel, open_stamped(below + state::blob_path(manifest.kernel.digest)));
  PYRO_TRY_ASSIGN(OpenFile initramfs, open_stamped(below + state::blob_path(manifest.initramfs.digest)));
  PYRO_TRY_ASSIGN(OpenFile root, open_stamped(below + state::blob_path(manifest.root.digest)));
  const state::Stamp found{manifest_file.stamp, kernel.stamp, initramfs.stamp, root.stamp};
  if (!(found == expected)) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "its files are not as they were when they were last checked");
  }
  EnvironmentFiles files;
  files.kernel = std::move(kernel.fd);
  files.initramfs = std::move(initramfs.fd);
  files.root = std::move(root.fd);
  files.digest = record.manifest.text();
  files.kernel_version = manifest.kernel_version;
  return files;
}

}  // namespace

EnvironmentLookup look_up_environment(const std::string& home, const std::string& name) {
  EnvironmentLookup lookup;
  const auto text = base::read_file(home + "/" + state::name_path(name), state::kMaxRecordBytes);
  if (!text.ok() && text.error().sys_errno == ENOENT) {
    lookup.need = EnvironmentNeed::build;
    lookup.why = "it is not there";
    return lookup;
  }
  lookup.need = EnvironmentNeed::verify;
  if (!text.ok()) {
    lookup.why = text.error().message;
    return lookup;
  }
  const auto record = state::NameRecord::decode(text.value());
  if (!record.ok()) {
    lookup.why = record.error().message;
    return lookup;
  }
  auto files = open_checked(home, record.value());
  if (!files.ok()) {
    lookup.why = files.error().message;
    return lookup;
  }
  lookup.need = EnvironmentNeed::nothing;
  lookup.files = std::move(files).value();
  return lookup;
}

std::optional<EnvironmentFiles> look_up_digest(const std::string& home, const std::string& digest) {
  state::NameRecord record;
  auto manifest = state::Digest::parse(digest);
  if (!manifest.ok()) {
    return std::nullopt;
  }
  record.manifest = std::move(manifest).value();
  auto files = open_checked(home, record);
  return files.ok() ? std::optional(std::move(files).value()) : std::nullopt;
}

std::optional<Fd> open_scratch_image(const std::string& home, std::uint32_t mib) {
  auto fd = base::open_file(home + "/" + state::scratch_path(mib), O_RDONLY | O_NOFOLLOW);
  if (!fd.ok()) {
    return std::nullopt;
  }
  return std::move(fd).value();
}

bool has_environments(const std::string& home) {
  DIR* folder = ::opendir((home + "/" + std::string(state::kNamesDir)).c_str());
  if (folder == nullptr) {
    return false;
  }
  bool found = false;
  while (const dirent* entry = ::readdir(folder)) {
    found = found || entry->d_name[0] != '.';
  }
  ::closedir(folder);
  return found;
}

}  // namespace pyro::client
