// The monitor with guests of a few instructions. They run on any KVM that opens, also on one that emulates.
#include "vmm/monitor.hpp"

#include "base/clock.hpp"
#include "base/io.hpp"
#include "fake_kernel.hpp"
#include "vmm/layout.hpp"

#include <functional>
#include <mutex>
#include <string_view>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>

namespace pyro::vmm {

namespace {

using layout::kMib;
using namespace std::string_view_literals;

constexpr std::int64_t kDeadlineMs = 5000;

// Machine code; all of it begins in 64-bit mode with interrupts off.
constexpr auto kHello =
    "\x66\xba\xf8\x03"                             // mov dx, 0x3f8
    "\xb0H\xee\xb0i\xee"                           // mov al, 'H'; out dx, al; mov al, 'i'; out dx, al
    "\x66\xba\x00\x06\xb0\x34\xee\xf4\xeb\xfd"sv;  // mov dx, 0x600; mov al, 0x34; out dx, al; hlt for ever
constexpr auto kReset = "\x66\xba\x02\x06\xb0\x01\xee\xf4\xeb\xfd"sv;
constexpr auto kTripleFault = "\x48\x31\xc0\x50\x50\x0f\x01\x1c\x24\x0f\x0b"sv;  // an empty IDT; lidt [rsp]; ud2
constexpr auto kHalted = "\xfa\xf4\xeb\xfd"sv;                                   // cli; hlt
constexpr auto kWaiting = "\xfb\xf4\xeb\xfd"sv;                                  // sti; hlt
constexpr auto kSpinning = "\xeb\xfe"sv;                                         // jmp $
// Maps the 2 MiB at 0xd0000000 (page directory, pointer table); eax = what is there (the first device's magic);
// mov dx, 0x3f8; four times: out dx, al; shr eax, 8; then off.
constexpr auto kMagic =
    "\xb8\x83\x00\x00\xd0\x48\x89\x04\x25\x00\x54\x00\x00"
    "\xc7\x04\x25\x18\x40\x00\x00\x03\x50\x00\x00"
    "\xbb\x00\x00\x00\xd0\x8b\x03"
    "\x66\xba\xf8\x03\xee\xc1\xe8\x08\xee\xc1\xe8\x08\xee\xc1\xe8\x08\xee"
    "\x66\xba\x00\x06\xb0\x34\xee\xf4\xeb\xfd"sv;

// The same address; fild qword [rbx], which KVM does for RAM only.
constexpr auto kNotEmulated =
    "\xb8\x83\x00\x00\xd0\x48\x89\x04\x25\x00\x54\x00\x00"
    "\xc7\x04\x25\x18\x40\x00\x00\x03\x50\x00\x00"
    "\xbb\x00\x00\x00\xd0\xdf\x2b\xf4\xeb\xfd"sv;

base::Fd file_of(std::string_view bytes, std::uint64_t size) {
  auto fd = base::make_memfd("test");
  REQUIRE(fd.ok());
  REQUIRE(base::write_all(fd->get(), base::as_bytes(bytes), "a file").ok());
  REQUIRE(::ftruncate(fd->get(), static_cast<off_t>(size)) == 0);
  return std::move(*fd);
}

// A disk that nobody uses.
class NoDisk final : public devices::BlockBackend {
 public:
  [[nodiscard]] std::uint64_t size_bytes() const noexcept override { return kMib; }
  [[nodiscard]] bool read_only() const noexcept override { return true; }
  int read(std::uint64_t /*offset*/, std::span<iovec> /*pieces*/) noexcept override { return EIO; }
  int write(std::uint64_t /*offset*/, std::span<iovec> /*pieces*/) noexcept override { return EIO; }
  int flush() noexcept override { return EIO; }
  int discard(std::uint64_t /*offset*/, std::uint64_t /*length*/) noexcept override { return EIO; }
  int write_zeroes(std::uint64_t /*offset*/, std::uint64_t /*length*/) noexcept override { return EIO; }
};

// A guest that runs `code` on its first vCPU.
struct Guest {
  std::mutex mutex;
  std::string serial;
  std::unique_ptr<Monitor> monitor;

  explicit Guest(std::string_view code, std::uint32_t vcpus = 1) {
    MonitorConfig config;
    auto kvm = base::open_file("/dev/kvm", O_RDWR);
    REQUIRE(kvm.ok());
    config.kvm = std::move(*kvm);
    config.vcpu_count = vcpus;
    config.mem_mib = 64;
    config.kernel = test::Elf(code).file();
    config.initrd.push_back({file_of("initrd", 6), 6, {}});
    config.root = file_of("root", 2 * kMib);
    config.scratch = std::make_unique<NoDisk>();
    config.on_serial = [this](base::ByteView bytes) {
      const std::lock_guard lock(mutex);
      serial.append(base::as_text(bytes));
    };
    config.agent.output = [](base::ByteView bytes) { return bytes.size(); };
    auto made = Monitor::create(std::move(config));
    REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
    monitor = std::move(*made);
    const auto started = monitor->start();
    REQUIRE(started.ok());
  }

  std::optional<RunEnd> wait_end() {
    const std::int64_t deadline_ms = base::monotonic_ms() + kDeadlineMs;
    while (!monitor->ended() && base::monotonic_ms() < deadline_ms) {
      pollfd event{monitor->fd(), POLLIN, 0};
      ::poll(&event, 1, 100);
      monitor->service();
    }
    return monitor->ended();
  }

  std::string text() {
    const std::lock_guard lock(mutex);
    return serial;
  }
};

bool wait_until(const std::function<bool()>& condition) {
  const std::int64_t deadline_ms = base::monotonic_ms() + kDeadlineMs;
  while (!condition()) {
    if (base::monotonic_ms() > deadline_ms) {
      return false;
    }
    ::poll(nullptr, 0, 1);
  }
  return true;
}

bool has_kvm() {
  if (base::open_file("/dev/kvm", O_RDWR).ok()) {
    return true;
  }
  MESSAGE("skipped: /dev/kvm cannot be opened here");
  return false;
}

}  // namespace

TEST_SUITE("vmm") {
  TEST_CASE("monitor: a guest that prints and powers off → its text, and that end") {
    if (!has_kvm()) {
      return;
    }
    Guest guest(kHello);
    const auto end = guest.wait_end();
    REQUIRE(end.has_value());
    CHECK(end->kind == RunEnd::Kind::powered_off);
    CHECK(guest.text() == "Hi");
    const ExitCounts exits = guest.monitor->exits();
    CHECK(exits.total >= 3);
    for (const auto& device : exits.devices) {
      CHECK(device.reads == 0);
      CHECK(device.writes == (device.name == "serial" ? 2 : (device.name == "power" ? 1 : 0)));
    }
  }

  TEST_CASE("monitor: reset register and triple fault → told apart") {
    if (!has_kvm()) {
      return;
    }
    const auto reset = Guest(kReset).wait_end();
    REQUIRE(reset.has_value());
    CHECK(reset->kind == RunEnd::Kind::reset);
    const auto fault = Guest(kTripleFault).wait_end();
    REQUIRE(fault.has_value());
    CHECK(fault->kind == RunEnd::Kind::triple_fault);
  }

  TEST_CASE("monitor: registers of the first virtio device → read by the guest") {
    if (!has_kvm()) {
      return;
    }
    Guest guest(kMagic);
    const auto end = guest.wait_end();
    REQUIRE(end.has_value());
    CHECK_MESSAGE(end->kind == RunEnd::Kind::powered_off, end->detail);
    CHECK(guest.text() == "virt");
  }

  TEST_CASE("monitor: an instruction that KVM does not emulate, on a device's register → the guest's doing") {
    if (!has_kvm()) {
      return;
    }
    Guest guest(kNotEmulated);
    const auto end = guest.wait_end();
    REQUIRE(end.has_value());
    CHECK(end->kind == RunEnd::Kind::not_emulated);
  }

  TEST_CASE("monitor: halted with interrupts off → for ever; with interrupts on, or computing → not") {
    if (!has_kvm()) {
      return;
    }
    // The second vCPU was never started: it cannot wake anything.
    Guest halted(kHalted, 2);
    CHECK(wait_until([&] {
      const auto answer = halted.monitor->is_halted_forever();
      return answer.ok() && *answer;
    }));
    Guest waiting(kWaiting);
    Guest spinning(kSpinning);
    for (int i = 0; i < 20; ++i) {
      for (Guest* guest : {&waiting, &spinning}) {
        const auto answer = guest->monitor->is_halted_forever();
        REQUIRE(answer.ok());
        CHECK_FALSE(*answer);
      }
      ::poll(nullptr, 0, 1);
    }
    CHECK_FALSE(halted.monitor->ended().has_value());
  }

  TEST_CASE("monitor: paused → uses no processor; resumed → goes on; destroyed while it runs → ends") {
    if (!has_kvm()) {
      return;
    }
    Guest guest(kSpinning);
    CHECK(wait_until([&] { return guest.monitor->cpu_time_ms() > 20; }));
    for (int round = 0; round < 20; ++round) {
      REQUIRE(guest.monitor->pause());
      const std::int64_t parked_ms = guest.monitor->cpu_time_ms();
      ::poll(nullptr, 0, 5);
      CHECK(guest.monitor->cpu_time_ms() <= parked_ms + 1);
      guest.monitor->resume();
    }
    const std::int64_t resumed_ms = guest.monitor->cpu_time_ms();
    CHECK(wait_until([&] { return guest.monitor->cpu_time_ms() > resumed_ms + 20; }));
  }
}

}  // namespace pyro::vmm
