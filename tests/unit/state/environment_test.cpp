#include "state/environment.hpp"

#include <string>

#include <doctest/doctest.h>

namespace pyro::state {

namespace {

Digest digest(char digit) {
  return Digest::from_hex(std::string(64, digit)).value();
}

Manifest sample_manifest() {
  Manifest manifest;
  manifest.description = "Debian \"12\" – für alle";
  manifest.kernel = {digest('a'), 53'243'444};
  manifest.kernel_version = "6.1.0-1-cloud-amd64";
  manifest.initramfs = {digest('b'), 1'779'308};
  manifest.root = {digest('c'), 2u << 20};
  manifest.packages = {{"bash", "5.2.15-2+b13", std::string(64, '1')}, {"own", "1:2~3", ""}};
  return manifest;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("environment names: what the grammar allows is accepted") {
  for (const char* name : {"a", "debian:12", "debian:12-base", "0.x_y-z:1.2", "x"}) {
    CAPTURE(name);
    CHECK(check_environment_name(name).ok());
  }
  CHECK(check_environment_name(std::string(64, 'a') + ":" + std::string(64, '9')).ok());
}

TEST_CASE("environment names: whatever could be a path or an option is refused with the grammar") {
  for (const char* name :
       {"", ":", "a:", ":a", "a:b:c", "../x", "a/b", ".a", "-a", "_a", "Debian", "a b", "a\n", "ä", "a:.."}) {
    CAPTURE(name);
    const auto status = check_environment_name(name);
    REQUIRE_FALSE(status.ok());
    CHECK(status.error().code == PYRO_ERROR_INVALID);
    CHECK(status.error().message.find("lower-case") != std::string::npos);
  }
  CHECK_FALSE(check_environment_name(std::string(65, 'a')).ok());
}

TEST_CASE("digest: only \"sha256:\" and 64 lower-case hexadecimal digits are one") {
  const std::string hex(64, 'f');
  CHECK(Digest::parse("sha256:" + hex)->hex() == hex);
  CHECK(Digest::parse("sha256:" + hex)->text() == "sha256:" + hex);
  CHECK_FALSE(Digest::parse(hex).ok());
  CHECK_FALSE(Digest::parse("sha512:" + hex).ok());
  CHECK_FALSE(Digest::from_hex(std::string(63, 'f')).ok());
  CHECK_FALSE(Digest::from_hex(std::string(64, 'F')).ok());
  CHECK_FALSE(Digest::from_hex(std::string(62, 'f') + "/.").ok());
}

TEST_CASE("manifest: encoded and decoded → the same") {
  const Manifest manifest = sample_manifest();
  const auto decoded = Manifest::decode(manifest.encode());
  REQUIRE(decoded.ok());
  CHECK(decoded->encode() == manifest.encode());
  CHECK(decoded->description == manifest.description);
  CHECK(decoded->kernel == manifest.kernel);
  CHECK(decoded->kernel_version == manifest.kernel_version);
  CHECK(decoded->initramfs == manifest.initramfs);
  CHECK(decoded->root == manifest.root);
  CHECK(decoded->packages == manifest.packages);
  CHECK(decoded->size_bytes() == manifest.kernel.size + manifest.initramfs.size + manifest.root.size);
}

TEST_CASE("manifest: the encoding is pinned, since digests depend on it") {
  Manifest manifest;
  manifest.description = "d";
  manifest.kernel = {digest('a'), 1};
  manifest.kernel_version = "6";
  manifest.initramfs = {digest('b'), 2};
  manifest.root = {digest('c'), 3};
  manifest.packages = {{"p", "1", ""}};
  const std::string a(64, 'a'), b(64, 'b'), c(64, 'c');
  CHECK(manifest.encode() == R"({"format":1,"description":"d","kernel":{"digest":"sha256:)" + a +
                                 R"(","size":1,"version":"6"},"initramfs":{"digest":"sha256:)" + b +
                                 R"(","size":2},"root":{"digest":"sha256:)" + c +
                                 R"(","size":3,"type":"erofs"},"packages":[{"name":"p","version":"1","sha256":""}]})");
}

TEST_CASE("manifest: anything but the canonical form of a valid one is refused as a broken environment") {
  const std::string good = sample_manifest().encode();
  const std::string bad[] = {
      "",
      "null",
      "[]",
      good + " ",
      good.substr(0, good.size() / 2),
      replaced(good, "\"format\":1", "\"format\":2"),
      replaced(good, "\"format\":1", "\"format\": 1"),
      replaced(good, "\"format\":1", "\"format\":1,\"extra\":1"),
      replaced(good, "\"size\":1779308", "\"size\":0"),
      replaced(good, "\"size\":1779308", "\"size\":-1"),
      replaced(good, "\"size\":1779308", "\"size\":1779308.0"),
      replaced(good, "\"size\":1779308", "\"size\":99999999999999"),
      replaced(good, "erofs", "ext4!"),
      replaced(good, "sha256:aaaa", "sha256:../a"),
      replaced(good, "\"sha256\":\"1111", "\"sha256\":\"zzzz"),
      replaced(good, "\"name\":\"own\"", "\"name\":7"),
      replaced(good, "bash", "ba\\u0000"),
      std::string(64, '['),
  };
  for (const std::string& text : bad) {
    CAPTURE(text);
    const auto decoded = Manifest::decode(text);
    REQUIRE_FALSE(decoded.ok());
    CHECK(decoded.error().code == PYRO_ERROR_ENVIRONMENT);
  }
  const auto huge = Manifest::decode(std::string(kMaxManifestBytes + 1, ' '));
  REQUIRE_FALSE(huge.ok());
  CHECK(huge.error().code == PYRO_ERROR_LIMIT);
}

TEST_CASE("name record: encoded and decoded → the same; a foreign name in it is refused") {
  NameRecord record;
  record.name = "debian:12";
  record.manifest = digest('d');
  record.created_at = 1'795'367'524;
  const auto decoded = NameRecord::decode(record.encode());
  REQUIRE(decoded.ok());
  CHECK(decoded->name == record.name);
  CHECK(decoded->manifest == record.manifest);
  CHECK(decoded->created_at == record.created_at);
  CHECK_FALSE(NameRecord::decode(replaced(record.encode(), "debian:12", "../debian")).ok());
  CHECK_FALSE(NameRecord::decode(replaced(record.encode(), "sha256:", "sha1:")).ok());
  CHECK_FALSE(NameRecord::decode(replaced(record.encode(), "1795367524", "-1")).ok());
}

TEST_CASE("stamp: encoded and decoded → the same, with 64-bit inodes and times before 1970") {
  Stamp stamp;
  stamp.manifest = {1, 2, 3, 4};
  stamp.kernel = {1, UINT64_MAX, -5, 6};
  stamp.root = {std::uint64_t{1} << 40, 7, INT64_MAX, INT64_MIN};
  const auto decoded = Stamp::decode(stamp.encode());
  REQUIRE(decoded.ok());
  CHECK(decoded.value() == stamp);
  CHECK_FALSE(Stamp::decode(replaced(stamp.encode(), "\"inode\":\"2\"", "\"inode\":\"-2\"")).ok());
  CHECK_FALSE(Stamp::decode(replaced(stamp.encode(), "\"inode\":\"2\"", "\"inode\":\"\"")).ok());
  CHECK_FALSE(Stamp::decode("{}").ok());
}

TEST_CASE("paths: every record has its place below the home folder") {
  CHECK(name_path("debian:12") == "environments/names/debian:12");
  CHECK(manifest_path(digest('a')) == "environments/manifests/" + std::string(64, 'a') + ".json");
  CHECK(blob_path(digest('b')) == "environments/blobs/" + std::string(64, 'b'));
  CHECK(verified_path(digest('c')) == "environments/verified/" + std::string(64, 'c'));
  CHECK(scratch_path(2048) == "environments/scratch/ext4-v1-2048.img");
}

}  // namespace pyro::state
