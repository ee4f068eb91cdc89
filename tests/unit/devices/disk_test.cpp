#include "devices/file_disk.hpp"
#include "devices/overlay_disk.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <random>
#include <string>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::devices {

namespace {

constexpr std::uint64_t kDiskBytes = 1 << 20;

base::Fd make_file(std::uint64_t size_bytes) {
  base::Fd fd(::memfd_create("disk", MFD_CLOEXEC));
  REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size_bytes)) == 0);
  return fd;
}

void put(const base::Fd& fd, std::uint64_t offset, const std::string& text) {
  REQUIRE(::pwrite(fd.get(), text.data(), text.size(), static_cast<off_t>(offset)) ==
          static_cast<ssize_t>(text.size()));
}

std::string get(const base::Fd& fd, std::uint64_t offset, std::size_t size) {
  std::string text(size, '?');
  text.resize(
      static_cast<std::size_t>(std::max<ssize_t>(::pread(fd.get(), text.data(), size, static_cast<off_t>(offset)), 0)));
  return text;
}

std::uint64_t blocks(const base::Fd& fd) {
  struct stat status {};
  REQUIRE(::fstat(fd.get(), &status) == 0);
  return static_cast<std::uint64_t>(status.st_blocks);
}

// A whole call in pieces of odd sizes.
std::vector<iovec> pieces_of(std::string& text, std::size_t piece_bytes) {
  std::vector<iovec> pieces;
  for (std::size_t at = 0; at < text.size(); at += piece_bytes) {
    pieces.push_back({text.data() + at, std::min(piece_bytes, text.size() - at)});
  }
  return pieces;
}

std::string read(BlockBackend& disk, std::uint64_t offset, std::size_t size, std::size_t piece_bytes = 1000) {
  std::string text(size, '?');
  auto pieces = pieces_of(text, piece_bytes);
  CHECK(disk.read(offset, pieces) == 0);
  return text;
}

int write(BlockBackend& disk, std::uint64_t offset, std::string text, std::size_t piece_bytes = 1000) {
  auto pieces = pieces_of(text, piece_bytes);
  return disk.write(offset, pieces);
}

struct Overlay {
  explicit Overlay(std::uint64_t size_bytes = kDiskBytes) : base(make_file(size_bytes)), delta(make_file(0)) {}
  void open() {
    auto made =
        OverlayDisk::create(std::move(*base.duplicate()), std::move(*delta.duplicate()), OverlayDisk::Durability::none);
    REQUIRE(made.ok());
    disk = std::move(*made);
  }
  base::Fd base;
  base::Fd delta;
  std::unique_ptr<OverlayDisk> disk;
};

}  // namespace

TEST_SUITE("devices") {
  TEST_CASE("file disk: reads what the file has, writes nothing, ends with whole sectors") {
    base::Fd file = make_file(10000);
    put(file, 512, "sector one");
    auto disk = FileDisk::open(std::move(file));
    REQUIRE(disk.ok());
    CHECK((*disk)->size_bytes() == 9728);
    CHECK((*disk)->read_only());
    CHECK(read(**disk, 512, 512).substr(0, 10) == "sector one");
    CHECK(write(**disk, 0, std::string(512, 'x')) == EROFS);
    CHECK((*disk)->discard(0, 512) == EROFS);
    CHECK((*disk)->write_zeroes(0, 512) == EROFS);
    CHECK_FALSE(FileDisk::open(make_file(100)).ok());
    auto pipe = base::make_pipe();
    CHECK_FALSE(FileDisk::open(std::move(pipe->first)).ok());
  }

  TEST_CASE("file disk: opened for writing → what is written, discarded and zeroed is in the file") {
    base::Fd file = make_file(16384);
    const base::Fd same = std::move(*file.duplicate());
    put(same, 0, std::string(16384, 'x'));
    auto disk = FileDisk::open(std::move(file), FileDisk::Access::read_write);
    REQUIRE(disk.ok());
    CHECK_FALSE((*disk)->read_only());
    CHECK(write(**disk, 512, std::string(1024, 'y')) == 0);
    CHECK(get(same, 0, 2048) == std::string(512, 'x') + std::string(1024, 'y') + std::string(512, 'x'));
    CHECK((*disk)->discard(4096, 4096) == 0);
    CHECK(read(**disk, 4096, 4096) == std::string(4096, '\0'));
    CHECK((*disk)->write_zeroes(8192 + 512, 1024) == 0);
    CHECK(read(**disk, 8192, 2048) == std::string(512, 'x') + std::string(1024, '\0') + std::string(512, 'x'));
    CHECK((*disk)->discard(0, 0) == 0);
    CHECK((*disk)->flush() == 0);
    // It never grows.
    struct stat status {};
    REQUIRE(::fstat(same.get(), &status) == 0);
    CHECK(status.st_size == 16384);
  }

  TEST_CASE("file disk: a file that became shorter → an error, not a hang") {
    base::Fd file = make_file(8192);
    const base::Fd same = std::move(*file.duplicate());
    auto disk = FileDisk::open(std::move(file));
    REQUIRE(::ftruncate(same.get(), 4096) == 0);
    std::string text(8192, '?');
    auto pieces = pieces_of(text, 8192);
    CHECK((*disk)->read(0, pieces) == EIO);
  }

  TEST_CASE("overlay disk: written → only in the private file, the rest of the cluster as it was") {
    Overlay f;
    put(f.base, 0, std::string(16384, 'b'));
    f.open();
    CHECK(write(*f.disk, 4096 + 512, std::string(1024, 'd')) == 0);
    CHECK(read(*f.disk, 4096, 4096) == std::string(512, 'b') + std::string(1024, 'd') + std::string(2560, 'b'));
    CHECK(read(*f.disk, 0, 16384, 777) == std::string(4608, 'b') + std::string(1024, 'd') + std::string(10752, 'b'));
    CHECK(get(f.base, 0, 16384) == std::string(16384, 'b'));
    CHECK(get(f.delta, 0, 4096) == std::string(4096, '\0'));
    CHECK(blocks(f.delta) == 8);
  }

  TEST_CASE("overlay disk: holes of the shared file → read as zero, and are not copied") {
    Overlay f;
    f.open();
    CHECK(read(*f.disk, 0, kDiskBytes) == std::string(kDiskBytes, '\0'));
    CHECK(write(*f.disk, 8192, std::string(4096, 'd')) == 0);
    CHECK(write(*f.disk, 512, std::string(512, 'e')) == 0);
    CHECK(read(*f.disk, 0, 1536) == std::string(512, '\0') + std::string(512, 'e') + std::string(512, '\0'));
    CHECK(blocks(f.delta) == 16);
  }

  TEST_CASE("overlay disk: discarded → zero, and the space is free, whatever the shared file has") {
    Overlay f;
    put(f.base, 0, std::string(65536, 'b'));
    f.open();
    CHECK(write(*f.disk, 0, std::string(131072, 'd')) == 0);
    CHECK(f.disk->discard(0, 131072) == 0);
    CHECK(blocks(f.delta) == 0);
    CHECK(read(*f.disk, 0, 131072) == std::string(131072, '\0'));
    CHECK(write(*f.disk, 4096, std::string(512, 'e')) == 0);
    CHECK(read(*f.disk, 4096, 1024) == std::string(512, 'e') + std::string(512, '\0'));
    CHECK(f.disk->discard(4096 + 512, 512) == 0);  // less than a cluster: a hint that is not taken
    CHECK(f.disk->discard(0, 0) == 0);
  }

  TEST_CASE("overlay disk: zeroes written at any boundary → exactly there") {
    for (const auto& [offset, length] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
             {512, 512}, {512, 4096}, {4096, 8192}, {3584, 20480}, {kDiskBytes - 512, 512}, {0, kDiskBytes}}) {
      Overlay f;
      put(f.base, 0, std::string(kDiskBytes, 'b'));
      f.open();
      CHECK(f.disk->write_zeroes(offset, length) == 0);
      std::string expected(kDiskBytes, 'b');
      expected.replace(offset, length, length, '\0');
      CHECK(read(*f.disk, 0, kDiskBytes, 10000) == expected);
    }
  }

  TEST_CASE("overlay disk: a size that is no whole cluster → its last sectors work") {
    Overlay f(8192 + 512);
    put(f.base, 8192, std::string(512, 'b'));
    f.open();
    CHECK(f.disk->size_bytes() == 8704);
    CHECK(read(*f.disk, 8192, 512) == std::string(512, 'b'));
    CHECK(write(*f.disk, 4096, std::string(4608, 'd')) == 0);
    CHECK(read(*f.disk, 4096, 4608) == std::string(4608, 'd'));
    CHECK(f.disk->discard(8192, 512) == 0);
    CHECK(read(*f.disk, 8192, 512) == std::string(512, '\0'));
  }

  TEST_CASE("overlay disk: a thousand random requests → as a plain array of bytes would have it") {
    constexpr std::uint64_t kBytes = 256 << 10;
    Overlay f(kBytes);
    std::string model(kBytes, '\0');
    for (std::uint64_t at = 0; at < kBytes; at += 5 * 4096) {
      model.replace(at, 4096, 4096, 'b');
      put(f.base, at, std::string(4096, 'b'));
    }
    f.open();
    std::mt19937 random(7);
    for (int i = 0; i < 1000; ++i) {
      const std::uint64_t offset = random() % (kBytes / 512) * 512;
      const std::uint64_t length = std::min<std::uint64_t>((random() % 64 + 1) * 512, kBytes - offset);
      const int kind = static_cast<int>(random() % 4);
      if (kind == 0) {
        REQUIRE(read(*f.disk, offset, length, random() % 3000 + 1) == model.substr(offset, length));
      } else if (kind == 1) {
        model.replace(offset, length, length, '\0');
        REQUIRE(f.disk->write_zeroes(offset, length) == 0);
      } else if (kind == 2) {
        REQUIRE(f.disk->discard(offset, length) == 0);
        const std::uint64_t begin = (offset + 4095) / 4096 * 4096;
        const std::uint64_t end = (offset + length) / 4096 * 4096;
        if (begin < end) {
          model.replace(begin, end - begin, end - begin, '\0');
        }
      } else {
        const char letter = static_cast<char>('c' + i % 20);
        model.replace(offset, length, length, letter);
        REQUIRE(write(*f.disk, offset, std::string(length, letter), random() % 3000 + 1) == 0);
      }
    }
    CHECK(read(*f.disk, 0, kBytes) == model);
  }

  TEST_CASE("overlay disk: the host cannot take more → an error, and what was there stays") {
    Overlay f;
    put(f.base, 0, std::string(65536, 'b'));
    f.open();
    CHECK(write(*f.disk, 0, std::string(4096, 'd')) == 0);
    // As a full disk would, a file size limit stops the private file.
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
    const auto handler = ::signal(SIGXFSZ, SIG_IGN);
    const rlimit low{8192, old.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &low) == 0);
    const int error = write(*f.disk, 8192, std::string(4096, 'd'));
    const int partial_error = write(*f.disk, 12800, std::string(512, 'd'));
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &old) == 0);
    ::signal(SIGXFSZ, handler);
    CHECK(error == EFBIG);
    CHECK(partial_error == EFBIG);
    CHECK(read(*f.disk, 0, 16384) == std::string(4096, 'd') + std::string(12288, 'b'));
  }

  TEST_CASE("overlay disk: saved and restored on the same files → the same disk; another size → refused") {
    Overlay f;
    put(f.base, 0, std::string(65536, 'b'));
    f.open();
    CHECK(write(*f.disk, 4096, std::string(8192, 'd')) == 0);
    CHECK(f.disk->discard(32768, 4096) == 0);
    const std::string content = read(*f.disk, 0, kDiskBytes);
    base::ByteWriter out;
    f.disk->save(out);
    f.open();
    base::ByteReader in(out.view());
    REQUIRE(f.disk->restore(in).ok());
    CHECK(in.finished());
    CHECK(read(*f.disk, 0, kDiskBytes) == content);

    Overlay other(kDiskBytes / 2);
    other.open();
    base::ByteReader again(out.view());
    CHECK_FALSE(other.disk->restore(again).ok());
    base::ByteReader cut(out.view().first(20));
    CHECK_FALSE(f.disk->restore(cut).ok());
  }

  TEST_CASE("overlay disk: large → clusters grow so that the map stays small") {
    Overlay f(std::uint64_t{64} << 30);
    f.open();
    base::ByteWriter out;
    f.disk->save(out);
    CHECK(out.view().size() <= (512U << 10) + 16);
    CHECK(write(*f.disk, 512, std::string(512, 'd')) == 0);
    CHECK(read(*f.disk, 0, 1536) == std::string(512, '\0') + std::string(512, 'd') + std::string(512, '\0'));
    Overlay too_large(kMaxDiskBytes + 512);
    CHECK_FALSE(
        OverlayDisk::create(std::move(too_large.base), std::move(too_large.delta), OverlayDisk::Durability::none).ok());
  }
}

}  // namespace pyro::devices
