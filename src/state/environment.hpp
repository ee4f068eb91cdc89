// The on-disk contract of the environment store ($PYRO_HOME/environments): names, manifests, stamps and
// where they lie. Pure code: what is read and written where is up to the client (which only reads) and
// pyro-image (which is the only writer). docs/architecture/state.md has the layout.
// Thread rule: values only; use from any thread.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>

namespace pyro::state {

/// Format number of every record here. A reader refuses any other: environments are rebuilt, not migrated.
inline constexpr std::int64_t kEnvironmentFormat = 1;

/// A package list of 20,000 entries (far more than any root file system of ours) takes 4 MiB.
inline constexpr std::size_t kMaxManifestBytes = 4u << 20;
inline constexpr std::size_t kMaxPackages = 20'000;
/// Name records and stamps are a few hundred bytes.
inline constexpr std::size_t kMaxRecordBytes = 4096;
inline constexpr std::size_t kMaxDescriptionBytes = 1024;
/// Sizes in manifests: 1 TiB, as the largest scratch disk.
inline constexpr std::int64_t kMaxBlobBytes = std::int64_t{1} << 40;
/// Bounds of a scratch disk, in MiB.
inline constexpr std::uint32_t kMinScratchMib = 64;
inline constexpr std::uint32_t kMaxScratchMib = 1'048'576;

/// Checks the grammar of environment names: [a-z0-9][a-z0-9._-]{0,63}, optionally ":" and the same again.
/// Such a name is safe as a file name. Errors: INVALID, with the grammar in words.
base::Status check_environment_name(std::string_view name);

/// A SHA-256 digest.
class Digest {
 public:
  Digest() = default;
  /// Reads "sha256:" and 64 lower-case hexadecimal digits. Errors: ENVIRONMENT.
  static base::Result<Digest> parse(std::string_view text);
  /// From 64 lower-case hexadecimal digits. Errors: ENVIRONMENT.
  static base::Result<Digest> from_hex(std::string_view hex);

  [[nodiscard]] const std::string& hex() const noexcept { return hex_; }
  /// "sha256:<hex>".
  [[nodiscard]] std::string text() const { return "sha256:" + hex_; }
  friend bool operator==(const Digest&, const Digest&) = default;

 private:
  std::string hex_;
};

/// A file of the store, by content.
struct BlobRef {
  Digest digest;
  std::uint64_t size = 0;
  friend bool operator==(const BlobRef&, const BlobRef&) = default;
};

/// A package that went into an environment.
struct Package {
  std::string name;
  std::string version;
  /// 64 hexadecimal digits of the package file, "" if not known.
  std::string sha256;
  friend bool operator==(const Package&, const Package&) = default;
};

/// What an environment consists of. Its encoding is canonical: the digest of the encoded bytes is the
/// identity of the environment, so it holds no times and nothing about the machine that built it.
struct Manifest {
  std::string description;
  BlobRef kernel;
  std::string kernel_version;
  BlobRef initramfs;
  /// An uncompressed EROFS image, padded to 2 MiB.
  BlobRef root;
  /// Sorted by name.
  std::vector<Package> packages;

  [[nodiscard]] std::string encode() const;
  /// Refuses what is too large, has unknown members or is not in canonical form. Errors: ENVIRONMENT.
  static base::Result<Manifest> decode(std::string_view text);
  /// Sum of the three files.
  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return kernel.size + initramfs.size + root.size; }
};

/// names/<name>: which manifest a name stands for.
struct NameRecord {
  std::string name;
  Digest manifest;
  /// Seconds since 1970 when it was built or imported.
  std::int64_t created_at = 0;

  [[nodiscard]] std::string encode() const;
  /// Errors: ENVIRONMENT.
  static base::Result<NameRecord> decode(std::string_view text);
};

/// What tells cheaply that a file is the one that was checked. ctime cannot be set back by who owns the
/// file, so a change of content shows.
struct FileStamp {
  std::uint64_t size = 0;
  std::uint64_t inode = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;

  static FileStamp of(const struct stat& info) noexcept;
  friend bool operator==(const FileStamp&, const FileStamp&) = default;
};

/// verified/<manifest hex>: the files of an environment as they were at the last full check.
struct Stamp {
  FileStamp manifest;
  FileStamp kernel;
  FileStamp initramfs;
  FileStamp root;

  [[nodiscard]] std::string encode() const;
  /// Errors: ENVIRONMENT. A stamp that does not decode means "check in full", nothing worse.
  static base::Result<Stamp> decode(std::string_view text);
  friend bool operator==(const Stamp&, const Stamp&) = default;
};

/// Paths below $PYRO_HOME.
inline constexpr std::string_view kEnvironmentsDir = "environments";
inline constexpr std::string_view kNamesDir = "environments/names";
inline constexpr std::string_view kManifestsDir = "environments/manifests";
inline constexpr std::string_view kBlobsDir = "environments/blobs";
inline constexpr std::string_view kVerifiedDir = "environments/verified";
inline constexpr std::string_view kScratchDir = "environments/scratch";

/// `name` has passed check_environment_name().
std::string name_path(std::string_view name);
std::string manifest_path(const Digest& manifest);
std::string blob_path(const Digest& blob);
std::string verified_path(const Digest& manifest);
/// The pristine ext4 image for scratch disks of `mib`.
std::string scratch_path(std::uint32_t mib);

}  // namespace pyro::state
