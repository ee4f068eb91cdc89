#include "image/store.hpp"

#include "image/build.hpp"
#include "image/command.hpp"
#include "image/digest.hpp"
#include "image/operations.hpp"
#include "image/tree.hpp"
#include "image/verify.hpp"
#include "scoped_directory.hpp"

#include "base/io.hpp"

#include <csignal>
#include <ctime>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyro::image {

namespace {

/// A store with what one environment needs.
class StoreFixture {
 public:
  StoreFixture() : store(Store::open(home.path(), ::getpid()).value()) {}

  state::BlobRef blob(const TempDir& temp, const std::string& content) {
    std::ofstream(temp.file("new")) << content;
    return store.add_blob(temp.file("new"), "blob", report).value();
  }
  state::Manifest environment(const std::string& name, const std::string& root_content = "root") {
    const TempDir temp = store.make_temp(report).value();
    state::Manifest manifest;
    manifest.description = "test";
    manifest.kernel = blob(temp, "kernel");
    manifest.kernel_version = "6.1";
    manifest.initramfs = blob(temp, "initramfs");
    manifest.root = blob(temp, root_content);
    REQUIRE(store.commit(temp, name, manifest, report).ok());
    return manifest;
  }
  std::string blob_file(const state::BlobRef& one) { return store.path(state::blob_path(one.digest)); }
  /// Changes a byte of a file, leaving its size and (as far as its owner can) its times.
  static void flip(const std::string& path) {
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    ::chmod(path.c_str(), 0644);
    const auto fd = base::open_file(path, O_RDWR).value();
    REQUIRE(::pwrite(fd.get(), "!", 1, 1) == 1);
    const timespec times[2] = {info.st_atim, info.st_mtim};
    ::futimens(fd.get(), times);
  }
  base::Result<Outcome> run(base::Result<Outcome> (*operation)(const Job&), Request request) {
    request.home = home.path();
    return operation(Job{request, store, report});
  }

  ScopedDirectory home;
  base::Fd null{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
  Report report{null.get()};
  Store store;
};

Request named(const std::string& name, const std::string& path = "") {
  Request request;
  request.name = name;
  request.path = path;
  return request;
}

}  // namespace

TEST_CASE("digest: of nothing and of a file") {
  CHECK(digest_of("")->hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const ScopedDirectory directory;
  directory.write("f", "abc");
  const auto fd = base::open_file(directory.file("f"), O_RDONLY).value();
  const auto blob = digest_of_file(fd.get(), "f");
  CHECK(blob->size == 3);
  CHECK(blob->digest.hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("store: what is committed is found, and its stamp matches") {
  StoreFixture fixture;
  const state::Manifest manifest = fixture.environment("own:1");
  const auto found = fixture.store.find("own:1");
  REQUIRE(found.ok());
  CHECK(found->record.name == "own:1");
  CHECK(found->manifest.encode() == manifest.encode());
  CHECK(matches_stamp(fixture.store, found->record.manifest, manifest));
  CHECK(fixture.store.names() == std::vector<std::string>{"own:1"});
  struct stat info {};
  REQUIRE(::stat(fixture.blob_file(manifest.root).c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0444);
  REQUIRE(::stat(fixture.store.path(state::kBlobsDir).c_str(), &info) == 0);
  CHECK((info.st_mode & 07777) == 0700);
}

TEST_CASE("store: nothing is left in tmp, and the same file is stored once") {
  StoreFixture fixture;
  const state::Manifest first = fixture.environment("a");
  struct stat before {};
  ::stat(fixture.blob_file(first.kernel).c_str(), &before);
  fixture.environment("b");
  struct stat after {};
  ::stat(fixture.blob_file(first.kernel).c_str(), &after);
  CHECK(before.st_ino == after.st_ino);
  CHECK(std::filesystem::is_empty(fixture.store.path("environments/tmp")));
}

TEST_CASE("store: long zeros of a file take no space, and its content stays") {
  StoreFixture fixture;
  const TempDir temp = fixture.store.make_temp(fixture.report).value();
  const std::string content = "head" + std::string(1 << 20, '\0') + "tail";
  const state::BlobRef blob = fixture.blob(temp, content);
  const std::string path = fixture.blob_file(blob);
  CHECK(base::read_file(path, 2 << 20).value() == content);
  CHECK(blob.digest.hex() == digest_of(content)->hex());
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK(info.st_blocks * 512 < 256 * 1024);
}

TEST_CASE("verify: a flipped byte with the old times shows in the stamp, is refused, and a rebuild mends it") {
  StoreFixture fixture;
  const state::Manifest manifest = fixture.environment("a");
  StoreFixture::flip(fixture.blob_file(manifest.root));
  const state::Digest digest = fixture.store.find("a")->record.manifest;
  CHECK_FALSE(matches_stamp(fixture.store, digest, manifest));
  const auto verified = verify_environment(fixture.store, "a", fixture.report);
  REQUIRE_FALSE(verified.ok());
  CHECK(verified.error().code == PYRO_ERROR_ENVIRONMENT);
  CHECK(verified.error().message.find("root image") != std::string::npos);

  fixture.environment("a");
  CHECK(matches_stamp(fixture.store, digest, manifest));
  CHECK(verify_environment(fixture.store, "a", fixture.report).ok());
}

TEST_CASE("verify: a truncated, missing or replaced file is refused; a mere touch only costs the check") {
  StoreFixture fixture;
  const state::Manifest manifest = fixture.environment("a");
  const std::string root = fixture.blob_file(manifest.root);
  const state::Digest digest = fixture.store.find("a")->record.manifest;
  SUBCASE("touched") {
    ::utimensat(AT_FDCWD, root.c_str(), nullptr, 0);
    CHECK_FALSE(matches_stamp(fixture.store, digest, manifest));
    CHECK(verify_environment(fixture.store, "a", fixture.report).ok());
    CHECK(matches_stamp(fixture.store, digest, manifest));
  }
  SUBCASE("truncated") {
    ::chmod(root.c_str(), 0644);
    CHECK(::truncate(root.c_str(), 1) == 0);
    CHECK(verify_environment(fixture.store, "a", fixture.report).error().code == PYRO_ERROR_ENVIRONMENT);
  }
  SUBCASE("missing") {
    ::unlink(root.c_str());
    CHECK(verify_environment(fixture.store, "a", fixture.report).error().code == PYRO_ERROR_ENVIRONMENT);
  }
  SUBCASE("a link to the same content") {
    CHECK(::rename(root.c_str(), (root + "x").c_str()) == 0);
    CHECK(::symlink((root + "x").c_str(), root.c_str()) == 0);
    CHECK_FALSE(matches_stamp(fixture.store, digest, manifest));
    CHECK_FALSE(verify_environment(fixture.store, "a", fixture.report).ok());
  }
  SUBCASE("manifest changed") {
    StoreFixture::flip(fixture.store.path(state::manifest_path(digest)));
    CHECK(fixture.store.find("a").error().code == PYRO_ERROR_ENVIRONMENT);
  }
}

TEST_CASE("names: a record under another's name is not an environment") {
  StoreFixture fixture;
  fixture.environment("a");
  std::filesystem::copy(fixture.store.path(state::name_path("a")), fixture.store.path(state::name_path("b")));
  CHECK(fixture.store.names() == std::vector<std::string>{"a"});
}

TEST_CASE("prune: removes one name with what only it needs, or everything, and keeps the rest sound") {
  StoreFixture fixture;
  const state::Manifest first = fixture.environment("a", "root of a");
  const state::Manifest second = fixture.environment("b", "root of b");
  const auto pruned = fixture.run(prune_store, named("a"));
  REQUIRE(pruned.ok());
  CHECK(pruned->freed_bytes.value() > 0);
  CHECK(pruned->environments.size() == 1);
  CHECK_FALSE(std::filesystem::exists(fixture.blob_file(first.root)));
  CHECK(std::filesystem::exists(fixture.blob_file(first.kernel)));
  CHECK(verify_environment(fixture.store, "b", fixture.report).ok());
  CHECK(fixture.run(prune_store, named("a")).error().code == PYRO_ERROR_NOT_FOUND);

  Request all;
  all.all = true;
  CHECK(fixture.run(prune_store, all).ok());
  CHECK(std::filesystem::is_empty(fixture.store.path(state::kBlobsDir)));
  CHECK(std::filesystem::is_empty(fixture.store.path(state::kNamesDir)));
}

TEST_CASE("prune: while a build is under way → its kernel, which no name needs yet, is put back for the commit") {
  if (!require_tool("mkfs.erofs", "erofs-utils").ok()) {
    MESSAGE("skipped: mkfs.erofs is not installed");
    return;
  }
  StoreFixture fixture;
  const state::Manifest first = fixture.environment("a");
  const TempDir temp = fixture.store.make_temp(fixture.report).value();
  Kernel kernel;
  kernel.package = {"linux-image-6.1-cloud-amd64", "6.1-1", std::string(64, '1')};
  kernel.version = "6.1";
  kernel.image = first.kernel;
  kernel.initramfs = first.initramfs;
  const std::string record = std::string(kKernelsDir) +
                             fmt::format("/v{}-{}_{}", kInitramfsVersion, kernel.package.name, kernel.package.version);
  REQUIRE(fixture.store.put_record(temp, record, kernel.encode(), 0600).ok());
  std::vector<KernelHold> cached = cached_kernels(fixture.store);
  REQUIRE(cached.size() == 1);

  REQUIRE(fixture.run(prune_store, named("a")).ok());
  REQUIRE_FALSE(std::filesystem::exists(fixture.blob_file(kernel.image)));
  REQUIRE_FALSE(std::filesystem::exists(fixture.store.path(record)));

  std::filesystem::create_directory(temp.file("root"));
  Request request = named("b");
  request.home = fixture.home.path();
  const Job job{request, fixture.store, fixture.report};
  const auto registered = register_tree(job, temp, temp.file("root"), cached.front(), {});
  CAPTURE((registered.ok() ? "" : registered.error().message));
  REQUIRE(registered.ok());
  CHECK(verify_environment(fixture.store, "b", fixture.report).ok());
  CHECK(fixture.store.find("b")->manifest.kernel == kernel.image);
  CHECK(cached_kernels(fixture.store).size() == 1);
}

TEST_CASE("sweep: what a killed process left goes, what a living one uses stays") {
  StoreFixture fixture;
  const TempDir own = fixture.store.make_temp(fixture.report).value();
  auto pipe = base::make_pipe();
  REQUIRE(pipe.ok());
  const auto child = fork_child([&] {
    const auto temp = fixture.store.make_temp(fixture.report);
    std::ofstream(temp->file("big")) << std::string(100'000, 'x');
    (void)base::write_all(pipe->second.get(), base::as_bytes(temp->path()), "pipe").ok();
    pipe->second.reset();
    ::pause();
    return 0;
  });
  REQUIRE(child.ok());
  pipe->second.reset();
  const std::string theirs = base::read_all(pipe->first.get(), 4096, "pipe").value();
  fixture.store.sweep();
  CHECK(std::filesystem::exists(theirs + "/big"));
  ::kill(child.value(), SIGKILL);
  wait_for_child(child.value());
  CHECK(fixture.store.sweep() >= 100'000);
  CHECK_FALSE(std::filesystem::exists(theirs));
  CHECK(std::filesystem::exists(own.path()));
}

TEST_CASE("export and import: the same environment arrives under another name in another store") {
  StoreFixture source;
  const state::Manifest manifest = source.environment("a");
  const ScopedDirectory elsewhere;
  const std::string bundle = elsewhere.file("a.bundle");
  const auto exported = source.run(export_environment, named("a", bundle));
  REQUIRE(exported.ok());
  CHECK(exported->path == bundle);
  CHECK(is_bundle(bundle).value());
  CHECK(source.run(export_environment, named("a", bundle)).error().code == PYRO_ERROR_EXISTS);
  CHECK(source.run(export_environment, named("zz", elsewhere.file("z"))).error().code == PYRO_ERROR_NOT_FOUND);

  StoreFixture target;
  const auto imported = target.run(import_bundle, named("b", bundle));
  REQUIRE(imported.ok());
  CHECK(target.store.find("b")->record.manifest == source.store.find("a")->record.manifest);
  CHECK(verify_environment(target.store, "b", target.report).ok());
  CHECK(target.run(import_bundle, named("b", bundle)).error().code == PYRO_ERROR_EXISTS);
}

TEST_CASE("import: a bundle with any byte of its payload changed, or cut anywhere, leaves nothing behind") {
  StoreFixture source;
  source.environment("a", std::string(3000, 'r'));
  const ScopedDirectory elsewhere;
  REQUIRE(source.run(export_environment, named("a", elsewhere.file("good"))).ok());
  const std::string good = elsewhere.read("good");
  StoreFixture target;
  const auto refused = [&](const std::string& bytes) {
    elsewhere.write("bad", bytes);
    return !target.run(import_bundle, named("x", elsewhere.file("bad"))).ok();
  };
  for (std::size_t at = 600; at < good.size() - 1024; at += 509) {
    // Padding and the times in headers carry nothing.
    if (good[at] == '\0') {
      continue;
    }
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x20);
    CAPTURE(at);
    CHECK(refused(bad));
  }
  for (std::size_t size = 0; size < good.size() - 1024; size += 997) {
    CAPTURE(size);
    CHECK(refused(good.substr(0, size)));
  }
  CHECK(target.store.names().empty());
  CHECK(std::filesystem::is_empty(target.store.path("environments/tmp")));
  CHECK(std::filesystem::is_empty(target.store.path(state::kBlobsDir)));
}

TEST_CASE("export: a damaged environment is not handed on") {
  StoreFixture fixture;
  const state::Manifest manifest = fixture.environment("a");
  StoreFixture::flip(fixture.blob_file(manifest.root));
  const ScopedDirectory elsewhere;
  const auto exported = fixture.run(export_environment, named("a", elsewhere.file("out")));
  REQUIRE_FALSE(exported.ok());
  CHECK(exported.error().code == PYRO_ERROR_ENVIRONMENT);
  CHECK(std::filesystem::is_empty(elsewhere.path()));
}

TEST_CASE("list and inspect: catalogue and store side by side; an unknown name is told the known ones") {
  StoreFixture fixture;
  fixture.environment("own");
  const auto listed = fixture.run(list_environments, {});
  REQUIRE(listed.ok());
  CHECK(listed->environments.size() == 4);
  const auto inspected = fixture.run(inspect_environment, named("own"));
  REQUIRE(inspected.ok());
  CHECK(inspected->environments.front().manifest.has_value());
  CHECK_FALSE(fixture.run(inspect_environment, named("debian:12"))->environments.front().available);
  const auto unknown = fixture.run(inspect_environment, named("nope"));
  CHECK(unknown.error().code == PYRO_ERROR_NOT_FOUND);
  CHECK(unknown.error().message.find("debian:12-base") != std::string::npos);
  CHECK(unknown.error().message.find("own") != std::string::npos);
}

TEST_CASE("store: a home that cannot be made is the caller's to mend") {
  const ScopedDirectory directory;
  directory.write("file", "");
  const auto store = Store::open(directory.file("file") + "/home", ::getpid());
  REQUIRE_FALSE(store.ok());
  CHECK(store.error().code == PYRO_ERROR_INVALID);
  CHECK(store.error().message.find("PYRO_HOME") != std::string::npos);
}

TEST_CASE("explain: a full disk is a limit that names the folder; other errors stay") {
  StoreFixture fixture;
  base::Error full = base::errno_error(ENOSPC, "cannot write x");
  full.code = PYRO_ERROR_INTERNAL;
  CHECK(fixture.store.explain(full).code == PYRO_ERROR_LIMIT);
  CHECK(fixture.store.explain(full).message.find(fixture.home.path()) != std::string::npos);
  const auto tool = base::make_error(PYRO_ERROR_ENVIRONMENT, "tar: write error: No space left on device");
  CHECK(fixture.store.explain(tool).code == PYRO_ERROR_LIMIT);
  CHECK(fixture.store.explain(base::make_error(PYRO_ERROR_NOT_FOUND, "x")).code == PYRO_ERROR_NOT_FOUND);
  CHECK(fixture.store.check_space(1, "it").ok());
  CHECK(fixture.store.check_space(UINT64_MAX, "it").error().code == PYRO_ERROR_LIMIT);
}

}  // namespace pyro::image
