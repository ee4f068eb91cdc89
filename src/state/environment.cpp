#include "state/environment.hpp"

#include "state/json.hpp"

#include <algorithm>
#include <limits>

#include <boost/json.hpp>

namespace pyro::state {

namespace json = boost::json;

namespace {

/// Package names, versions and kernel versions: Debian's longest are under 100.
constexpr std::size_t kMaxNamePartBytes = 64;
constexpr std::string_view kRootType = "erofs";

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool is_name_part(std::string_view part) {
  return !part.empty() && part.size() <= kMaxNamePartBytes && is_name_start(part.front()) &&
         std::all_of(part.begin(), part.end(),
                     [](char c) { return is_name_start(c) || c == '.' || c == '_' || c == '-'; });
}

bool is_hex(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

json::object blob_object(const BlobRef& blob) {
  json::object out;
  out["digest"] = blob.digest.text();
  out["size"] = static_cast<std::int64_t>(blob.size);
  return out;
}

/// Reads the members of a BlobRef; whatever else the object holds is the caller's.
BlobRef read_blob(JsonObjectReader& reader) {
  BlobRef blob;
  auto digest = Digest::parse(reader.text("digest", kMaxJsonWordBytes));
  if (digest.ok()) {
    blob.digest = std::move(digest).value();
  } else {
    reader.refuse("digest", "is not \"sha256:\" and 64 hexadecimal digits");
  }
  blob.size = static_cast<std::uint64_t>(reader.number("size", 1, kMaxBlobBytes));
  return blob;
}

base::Result<std::vector<Package>> read_packages(const json::value& value) {
  const json::array* array = value.if_array();
  if (array == nullptr || array->size() > kMaxPackages) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "manifest: \"packages\" is not a list of at most {}", kMaxPackages);
  }
  std::vector<Package> packages;
  packages.reserve(array->size());
  for (const json::value& item : *array) {
    JsonObjectReader reader(item, "manifest, package", PYRO_ERROR_ENVIRONMENT);
    Package package;
    package.name = reader.text("name", kMaxJsonWordBytes);
    package.version = reader.text("version", kMaxJsonWordBytes);
    package.sha256 = reader.text("sha256", kMaxJsonWordBytes);
    if (!package.sha256.empty() && !is_hex(package.sha256)) {
      reader.refuse("sha256", "is not 64 hexadecimal digits");
    }
    PYRO_TRY(reader.finish());
    packages.push_back(std::move(package));
  }
  return packages;
}

json::object stamp_object(const FileStamp& stamp) {
  json::object out;
  out["size"] = static_cast<std::int64_t>(stamp.size);
  out["inode"] = std::to_string(stamp.inode);
  out["mtime_ns"] = stamp.mtime_ns;
  out["ctime_ns"] = stamp.ctime_ns;
  return out;
}

base::Result<FileStamp> read_stamp(const json::value& value) {
  JsonObjectReader reader(value, "stamp", PYRO_ERROR_ENVIRONMENT);
  FileStamp stamp;
  stamp.size = static_cast<std::uint64_t>(reader.number("size", 0, kMaxJsonInt));
  // As text: inode numbers use all 64 bits on some file systems.
  const std::string inode = reader.text("inode", 20);
  const bool digits = !inode.empty() && inode.find_first_not_of("0123456789") == std::string::npos;
  for (const char c : digits ? inode : std::string()) {
    stamp.inode = stamp.inode * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (!digits) {
    reader.refuse("inode", "is not a number");
  }
  stamp.mtime_ns = reader.number("mtime_ns", std::numeric_limits<std::int64_t>::min(), kMaxJsonInt);
  stamp.ctime_ns = reader.number("ctime_ns", std::numeric_limits<std::int64_t>::min(), kMaxJsonInt);
  PYRO_TRY(reader.finish());
  return stamp;
}

std::string path_of(std::string_view directory, std::string_view file) {
  return fmt::format("{}/{}", directory, file);
}

}  // namespace

base::Status check_environment_name(std::string_view name) {
  const auto colon = name.find(':');
  const bool good = colon == std::string_view::npos
                        ? is_name_part(name)
                        : is_name_part(name.substr(0, colon)) && is_name_part(name.substr(colon + 1));
  if (good) {
    return base::success();
  }
  return base::make_error(
      PYRO_ERROR_INVALID,
      "'{}' is not an environment name: use lower-case letters, digits, '.', '_' and '-', beginning "
      "with a letter or digit, at most {} characters, optionally ':' and the same again",
      name.substr(0, 2 * kMaxNamePartBytes + 1), kMaxNamePartBytes);
}

base::Result<Digest> Digest::from_hex(std::string_view hex) {
  if (!is_hex(hex)) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "'{}' is not a SHA-256 digest", hex.substr(0, 80));
  }
  Digest digest;
  digest.hex_ = hex;
  return digest;
}

base::Result<Digest> Digest::parse(std::string_view text) {
  constexpr std::string_view prefix = "sha256:";
  return from_hex(text.substr(0, prefix.size()) == prefix ? text.substr(prefix.size()) : std::string_view());
}

std::string Manifest::encode() const {
  // Boost.JSON writes members in the order in which they were added: the canonical order is this function.
  json::object out;
  out["format"] = kEnvironmentFormat;
  out["description"] = description;
  json::object kernel_object = blob_object(kernel);
  kernel_object["version"] = kernel_version;
  out["kernel"] = std::move(kernel_object);
  out["initramfs"] = blob_object(initramfs);
  json::object root_object = blob_object(root);
  root_object["type"] = json::string_view(kRootType.data(), kRootType.size());
  out["root"] = std::move(root_object);
  json::array list;
  list.reserve(packages.size());
  for (const Package& package : packages) {
    json::object item;
    item["name"] = package.name;
    item["version"] = package.version;
    item["sha256"] = package.sha256;
    list.push_back(std::move(item));
  }
  out["packages"] = std::move(list);
  return json::serialize(out);
}

base::Result<Manifest> Manifest::decode(std::string_view text) {
  PYRO_TRY_ASSIGN(const json::value value, parse_json(text, kMaxManifestBytes, "manifest", PYRO_ERROR_ENVIRONMENT));
  JsonObjectReader reader(value, "manifest", PYRO_ERROR_ENVIRONMENT);
  Manifest out;
  reader.number("format", kEnvironmentFormat, kEnvironmentFormat);
  out.description = reader.text("description", kMaxDescriptionBytes);
  const json::value* kernel = reader.member("kernel");
  const json::value* initramfs = reader.member("initramfs");
  const json::value* root = reader.member("root");
  const json::value* packages = reader.member("packages");
  PYRO_TRY(reader.finish());

  JsonObjectReader kernel_reader(*kernel, "manifest, kernel", PYRO_ERROR_ENVIRONMENT);
  out.kernel = read_blob(kernel_reader);
  out.kernel_version = kernel_reader.text("version", kMaxJsonWordBytes);
  PYRO_TRY(kernel_reader.finish());
  JsonObjectReader initramfs_reader(*initramfs, "manifest, initramfs", PYRO_ERROR_ENVIRONMENT);
  out.initramfs = read_blob(initramfs_reader);
  PYRO_TRY(initramfs_reader.finish());
  JsonObjectReader root_reader(*root, "manifest, root", PYRO_ERROR_ENVIRONMENT);
  out.root = read_blob(root_reader);
  if (root_reader.text("type", kMaxJsonWordBytes) != kRootType) {
    root_reader.refuse("type", "is not \"erofs\"");
  }
  PYRO_TRY(root_reader.finish());
  PYRO_TRY_ASSIGN(out.packages, read_packages(*packages));
  // One environment, one digest: a second spelling of the same content is not accepted.
  if (out.encode() != text) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "manifest: it is not in canonical form");
  }
  return out;
}

std::string NameRecord::encode() const {
  json::object out;
  out["format"] = kEnvironmentFormat;
  out["name"] = name;
  out["manifest"] = manifest.text();
  out["created_at"] = created_at;
  return json::serialize(out);
}

base::Result<NameRecord> NameRecord::decode(std::string_view text) {
  PYRO_TRY_ASSIGN(const json::value value, parse_json(text, kMaxRecordBytes, "name record", PYRO_ERROR_ENVIRONMENT));
  JsonObjectReader reader(value, "name record", PYRO_ERROR_ENVIRONMENT);
  NameRecord out;
  reader.number("format", kEnvironmentFormat, kEnvironmentFormat);
  out.name = reader.text("name", kMaxJsonWordBytes);
  if (!check_environment_name(out.name).ok()) {
    reader.refuse("name", "is not an environment name");
  }
  auto manifest = Digest::parse(reader.text("manifest", kMaxJsonWordBytes));
  if (manifest.ok()) {
    out.manifest = std::move(manifest).value();
  } else {
    reader.refuse("manifest", "is not a digest");
  }
  out.created_at = reader.number("created_at", 0, kMaxJsonInt);
  PYRO_TRY(reader.finish());
  return out;
}

FileStamp FileStamp::of(const struct stat& info) noexcept {
  const auto ns = [](const timespec& time) {
    return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
  };
  return {static_cast<std::uint64_t>(info.st_size), static_cast<std::uint64_t>(info.st_ino), ns(info.st_mtim),
          ns(info.st_ctim)};
}

std::string Stamp::encode() const {
  json::object out;
  out["format"] = kEnvironmentFormat;
  out["manifest"] = stamp_object(manifest);
  out["kernel"] = stamp_object(kernel);
  out["initramfs"] = stamp_object(initramfs);
  out["root"] = stamp_object(root);
  return json::serialize(out);
}

base::Result<Stamp> Stamp::decode(std::string_view text) {
  PYRO_TRY_ASSIGN(const json::value value, parse_json(text, kMaxRecordBytes, "stamp", PYRO_ERROR_ENVIRONMENT));
  JsonObjectReader reader(value, "stamp", PYRO_ERROR_ENVIRONMENT);
  reader.number("format", kEnvironmentFormat, kEnvironmentFormat);
  const json::value* manifest = reader.member("manifest");
  const json::value* kernel = reader.member("kernel");
  const json::value* initramfs = reader.member("initramfs");
  const json::value* root = reader.member("root");
  PYRO_TRY(reader.finish());
  Stamp out;
  PYRO_TRY_ASSIGN(out.manifest, read_stamp(*manifest));
  PYRO_TRY_ASSIGN(out.kernel, read_stamp(*kernel));
  PYRO_TRY_ASSIGN(out.initramfs, read_stamp(*initramfs));
  PYRO_TRY_ASSIGN(out.root, read_stamp(*root));
  return out;
}

std::string name_path(std::string_view name) {
  return path_of(kNamesDir, name);
}
std::string manifest_path(const Digest& manifest) {
  return path_of(kManifestsDir, manifest.hex() + ".json");
}
std::string blob_path(const Digest& blob) {
  return path_of(kBlobsDir, blob.hex());
}
std::string verified_path(const Digest& manifest) {
  return path_of(kVerifiedDir, manifest.hex());
}
std::string scratch_path(std::uint32_t mib) {
  return path_of(kScratchDir, fmt::format("ext4-v1-{}.img", mib));
}

}  // namespace pyro::state
