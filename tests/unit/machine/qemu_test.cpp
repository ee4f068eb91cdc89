#include "base/fd.hpp"
#include "base/io.hpp"
#include "machine/initrd.hpp"
#include "machine/qemu/qcow2.hpp"
#include "machine/qemu/qemu_command.hpp"
#include "machine/qemu/registers.hpp"
#include "machine/qemu/tsc.hpp"
#include "memfd.hpp"

#include <algorithm>

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace pyro;

namespace {

std::string content_of(int fd) {
  REQUIRE(::lseek(fd, 0, SEEK_SET) == 0);
  auto text = base::read_all(fd, 1 << 20, "test");
  REQUIRE(text.ok());
  return *text;
}

std::uint64_t big_endian(const std::string& bytes, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
  }
  return value;
}

}  // namespace

TEST_CASE("qcow2: 2 GiB → header, refcounts and an empty L1 table in four clusters") {
  auto fd = base::make_memfd("delta");
  REQUIRE(fd.ok());
  REQUIRE(machine::write_empty_qcow2(fd->get(), 2048ULL << 20).ok());
  const std::string image = content_of(fd->get());
  CHECK(image.size() == 4 * 65536);
  CHECK(image.substr(0, 4) == std::string("QFI\xfb"));
  CHECK(big_endian(image, 4, 4) == 3);
  CHECK(big_endian(image, 24, 8) == 2048ULL << 20);
  CHECK(big_endian(image, 36, 4) == 4);  // L1 entries of 512 MiB each
  CHECK(big_endian(image, 65536, 8) == 2 * 65536);
  CHECK(big_endian(image, 2 * 65536 + 6, 2) == 1);
  CHECK(big_endian(image, 2 * 65536 + 8, 2) == 0);
  CHECK(image.substr(3 * 65536).find_first_not_of('\0') == std::string::npos);
}

TEST_CASE("qcow2: no size, or more than one L1 cluster can map → refused") {
  auto fd = base::make_memfd("delta");
  REQUIRE(fd.ok());
  CHECK_FALSE(machine::write_empty_qcow2(fd->get(), 0).ok());
  CHECK(machine::write_empty_qcow2(fd->get(), 1ULL << 42).ok());
  CHECK_FALSE(machine::write_empty_qcow2(fd->get(), (1ULL << 42) + 1).ok());
}

TEST_CASE("initrd: modules and agent → two aligned archives, the agent as /init") {
  auto initrd = machine::make_initrd(test::memfd_with("0123456"), test::memfd_with("agent!"));
  REQUIRE(initrd.ok());
  const std::string bytes = content_of(initrd->get());
  CHECK(bytes.substr(0, 8) == std::string("0123456\0", 8));
  CHECK(bytes.substr(8, 6) == "070701");
  CHECK(bytes.substr(8 + 14, 8) == "000081ed");  // regular file, 0755
  CHECK(bytes.substr(8 + 54, 8) == "00000006");  // size
  CHECK(bytes.substr(8 + 110, 5) == std::string("init\0", 5));
  CHECK(bytes.substr(8 + 116, 6) == "agent!");
  CHECK(bytes.find("TRAILER!!!") != std::string::npos);
  CHECK(bytes.size() % 4 == 0);
}

TEST_CASE("initrd: an empty part → refused as a broken environment") {
  auto initrd = machine::make_initrd(test::memfd_with(""), test::memfd_with("agent!"));
  REQUIRE_FALSE(initrd.ok());
  CHECK(initrd.error().code == PYRO_ERROR_ENVIRONMENT);
}

TEST_CASE("qemu command: → sandboxed, no default devices, no network, no path of ours") {
  const auto argv = machine::qemu_command({2, 512, false}, 2600000);
  const auto has = [&argv](std::string_view word) { return std::find(argv.begin(), argv.end(), word) != argv.end(); };
  CHECK(has("-nodefaults"));
  CHECK(has("-no-user-config"));
  CHECK(has("on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"));
  CHECK(has("512M"));
  for (const auto& word : argv) {
    CHECK(word.find("netdev") == std::string::npos);
    const bool names_path = word.find('/') != std::string::npos && word.find("/dev/fdset/") == std::string::npos &&
                            word.find("/proc/self/fd/") == std::string::npos;
    CHECK_FALSE(names_path);
  }
}

TEST_CASE("qemu command: a disk that is kept → raw, and its flushes reach the file; else they do not") {
  const auto count = [](bool keeps_disk, std::string_view part) {
    const auto argv = machine::qemu_command({1, 512, keeps_disk}, 2600000);
    return std::count_if(argv.begin(), argv.end(),
                         [part](const std::string& word) { return word.find(part) != std::string::npos; });
  };
  CHECK(count(true, "driver=raw,node-name=scratch,file=delta-file") == 1);
  CHECK(count(true, "qcow2") == 0);
  CHECK(count(true, "no-flush") == 0);
  CHECK(count(false, "driver=qcow2,node-name=scratch,file=delta-file") == 1);
  CHECK(count(false, "no-flush") > 0);
}

TEST_CASE("qemu command: the host's disk fails → the guest gets the error, the VM is not stopped") {
  int disks = 0;
  for (const auto& word : machine::qemu_command({1, 512, false}, 2600000)) {
    if (word.starts_with("virtio-blk-device")) {
      ++disks;
      CHECK(word.find(",werror=report,rerror=report") != std::string::npos);
    }
  }
  CHECK(disks == 2);
}

TEST_CASE(
    "qemu paths: a QEMU of the system → the system; one elsewhere → its own program, libraries and firmware too") {
  const auto has = [](const std::vector<std::string>& paths, std::string_view path) {
    return std::find(paths.begin(), paths.end(), path) != paths.end();
  };
  const auto system = machine::qemu_readable_paths("/usr/bin/qemu-system-x86_64");
  CHECK(has(system, "/usr"));
  CHECK(machine::qemu_readable_paths("") == system);
  const auto other = machine::qemu_readable_paths("/opt/qemu/bin/qemu-system-x86_64");
  for (const char* path : {"/usr", "/opt/qemu/bin/qemu-system-x86_64", "/opt/qemu/lib", "/opt/qemu/share/qemu"}) {
    CHECK(has(other, path));
  }
  CHECK_FALSE(has(other, "/opt/qemu"));
  const auto loose = machine::qemu_readable_paths("/srv/qemu-system-x86_64");
  CHECK(loose.size() == system.size() + 1);
}

TEST_CASE("registers: all vCPUs halted with interrupts off → never again") {
  using machine::all_halted_without_interrupts;
  const std::string dead =
      "CPU#0\nRAX=0\nRIP=ffffffff81000000 RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\nES =0\n";
  const std::string idle = "CPU#1\nRIP=ffffffff81000000 RFL=00000246 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\n";
  const std::string busy = "CPU#1\nRIP=ffffffff81000000 RFL=00000046 [---Z-P-] CPL=0 II=0 A20=1 SMM=0 HLT=0\n";
  CHECK(all_halted_without_interrupts(dead));
  CHECK(all_halted_without_interrupts(dead + dead));
  CHECK_FALSE(all_halted_without_interrupts(dead + idle));
  CHECK_FALSE(all_halted_without_interrupts(dead + busy));
  CHECK_FALSE(all_halted_without_interrupts(""));
  CHECK_FALSE(all_halted_without_interrupts("RFL=zz HLT=1\n"));
}

TEST_CASE("tsc: measured twice → the same within 0.1 %, and a plausible frequency") {
  const auto first = machine::measure_tsc_khz();
  const auto second = machine::measure_tsc_khz();
  CHECK(first > 500'000);
  CHECK(first < 10'000'000);
  CHECK(static_cast<double>(first) == doctest::Approx(static_cast<double>(second)).epsilon(0.001));
}
