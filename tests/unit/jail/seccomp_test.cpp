#include "jail/seccomp.hpp"
#include "base/fd.hpp"
#include "base/io.hpp"
#include "confined_child.hpp"
#include "jail/attempts.hpp"
#include "jail/child.hpp"

#include <array>
#include <atomic>
#include <csignal>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

using namespace pyro;
using jail::ThreadKind;

namespace {

constexpr std::array<ThreadKind, 4> kKinds = {ThreadKind::main, ThreadKind::vcpu, ThreadKind::block,
                                              ThreadKind::supervisor};

// What every thread does: memory of all sizes, exceptions, clocks, sleeping.
int common_work() {
  for (std::size_t size = 16; size <= (64U << 20); size *= 4) {
    std::vector<char> block(size, 'x');
    block.resize(size * 2);
  }
  try {
    throw std::runtime_error("caught");
  } catch (const std::exception&) {
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  std::this_thread::yield();
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  ::prctl(PR_SET_NAME, "worker");
  return 0;
}

}  // namespace

TEST_CASE("filters: generated → one for every kind, each short enough for the kernel") {
  for (const ThreadKind kind : kKinds) {
    const auto program = jail::filter_program(kind);
    CHECK(program.size() > 20);
    CHECK(program.size() <= BPF_MAXINSNS);
  }
}

TEST_CASE("filters: every attempt to break out, from every kind of thread → denied") {
  for (const ThreadKind kind : kKinds) {
    for (const jail::Attempt& attempt : jail::attempts()) {
      CAPTURE(attempt.name);
      CAPTURE(static_cast<int>(kind));
      const auto ending = jail::confined(kind, [&] { return attempt.make(); });
      CAPTURE(jail::text(ending));
      CHECK(ending.denied());
    }
  }
}

TEST_CASE("attempts: made without a jail → they succeed, so that a denial is the jail's doing") {
  for (const char* name : {"open", "open-proc", "open-old", "create-file", "list-directory", "unlink", "socket",
                           "unix-socket", "execve", "clone", "clone3", "kill-parent", "tgkill-parent", "pidfd-signal",
                           "pidfd-open", "mprotect-exec", "mmap-exec", "dup", "dumpable"}) {
    CAPTURE(name);
    const auto ending = jail::in_child([&] { return jail::find_attempt(name)->make(); });
    CAPTURE(jail::text(ending));
    CHECK(ending.exit_code == 0);
  }
}

TEST_CASE("filters: the common work of a thread → allowed for every kind") {
  for (const ThreadKind kind : kKinds) {
    CAPTURE(static_cast<int>(kind));
    const auto ending = jail::confined(kind, common_work);
    CAPTURE(jail::text(ending));
    CHECK(ending.exit_code == 0);
  }
}

TEST_CASE("filters: an event loop's calls → allowed on both kinds of main thread") {
  for (const ThreadKind kind : {ThreadKind::main, ThreadKind::supervisor}) {
    const auto ending = jail::in_child([kind] {
      if (!jail::confine_like_pyro_vm()) {
        return jail::kCannotConfine;
      }
      const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
      const int event = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
      const int timer = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
      auto sockets = base::make_socket_pair();
      if (!sockets.ok() || !jail::install_filter(kind).ok()) {
        return jail::kCannotConfine;
      }
      epoll_event wanted{EPOLLIN, {}};
      const itimerspec soon{{0, 0}, {0, 1'000'000}};
      std::uint64_t one = 1;
      bool good = ::epoll_ctl(epoll, EPOLL_CTL_ADD, event, &wanted) == 0;
      good = good && ::timerfd_settime(timer, 0, &soon, nullptr) == 0 && ::write(event, &one, sizeof(one)) == 8;
      good = good && ::epoll_wait(epoll, &wanted, 1, 1000) == 1 && ::read(timer, &one, sizeof(one)) == 8;
      good = good && base::set_nonblocking(sockets->first.get()).ok();
      good = good && base::write_all(sockets->first.get(), base::as_bytes("hello"), "to a socket").ok();
      std::array<char, 8> buffer{};
      iovec part{buffer.data(), buffer.size()};
      good = good && ::readv(sockets->second.get(), &part, 1) == 5 && ::close(timer) == 0;
      return good ? 0 : 1;
    });
    CAPTURE(jail::text(ending));
    CHECK(ending.exit_code == 0);
  }
}

TEST_CASE("filters: disk reads and writes → allowed on a block thread") {
  auto file = base::make_memfd("disk");
  REQUIRE(file.ok());
  const int disk = file->get();
  const auto ending = jail::in_child([disk] {
    if (!jail::confine_early(disk).ok() || !jail::install_filter(ThreadKind::block).ok()) {
      return jail::kCannotConfine;
    }
    std::array<char, 512> sector{};
    iovec part{sector.data(), sector.size()};
    const bool good = ::pwritev(disk, &part, 1, 4096) == 512 && ::preadv(disk, &part, 1, 4096) == 512 &&
                      ::pwrite(disk, sector.data(), 512, 0) == 512 && ::pread(disk, sector.data(), 512, 0) == 512 &&
                      ::fallocate(disk, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096) == 0 &&
                      ::fdatasync(disk) == 0;
    return good ? 0 : 1;
  });
  CAPTURE(jail::text(ending));
  CHECK(ending.exit_code == 0);
}

TEST_CASE("filters: threads with filters of their own, kicked by a filtered main thread → they end and are joined") {
  const auto ending = jail::in_child([] {
    if (!jail::confine_like_pyro_vm()) {
      return jail::kCannotConfine;
    }
    static std::atomic<int> kicked{0};
    struct sigaction handler {};
    handler.sa_handler = [](int) { kicked.fetch_add(1); };
    ::sigaction(jail::kKickSignal, &handler, nullptr);
    const int event = ::eventfd(0, EFD_CLOEXEC);
    std::atomic<int> ready{0};
    std::vector<std::thread> threads;
    for (const ThreadKind kind : {ThreadKind::vcpu, ThreadKind::vcpu, ThreadKind::block}) {
      threads.emplace_back([&, kind] {
        if (jail::install_filter(kind).ok()) {
          common_work();
          ready.fetch_add(1);
          while (kicked.load() < 3) {  // each thread waits for all kicks
            std::this_thread::yield();
          }
          const std::uint64_t one = 1;
          static_cast<void>(::write(event, &one, sizeof(one)));
        }
      });
    }
    if (!jail::install_filter(ThreadKind::main).ok()) {
      return jail::kCannotConfine;
    }
    while (ready.load() < 3) {
      std::this_thread::yield();
    }
    for (auto& thread : threads) {
      ::pthread_kill(thread.native_handle(), jail::kKickSignal);
    }
    for (auto& thread : threads) {
      thread.join();
    }
    std::uint64_t count = 0;
    return ::read(event, &count, sizeof(count)) == 8 && count == 3 ? 0 : 1;
  });
  CAPTURE(jail::text(ending));
  CHECK(ending.exit_code == 0);
}

TEST_CASE("filters: the kick signal is glibc's first real-time signal → yes") {
  CHECK(jail::kKickSignal == SIGRTMIN);
}

TEST_CASE("filters: another signal to a thread of ours → denied; abort() → ends by SIGABRT") {
  for (const ThreadKind kind : kKinds) {
    CHECK(jail::confined(kind, [] {
            ::syscall(SYS_tgkill, ::getpid(), ::getpid(), SIGUSR1);
            return 0;
          }).signal == SIGSYS);
    CHECK(jail::confined(kind, []() -> int { std::abort(); }).signal == SIGABRT);
  }
}

TEST_CASE("vcpu filter: a KVM request that is not for run time, or any other → denied") {
  for (const unsigned long request : {0xae01UL /* KVM_CREATE_VM */, 0x4020ae46UL /* KVM_SET_USER_MEMORY_REGION */,
                                      0xae41UL /* KVM_CREATE_VCPU */, 0x5401UL /* TCGETS */}) {
    CHECK(jail::confined(ThreadKind::vcpu, [request] {
            ::syscall(SYS_ioctl, 0, request, nullptr);
            return 0;
          }).signal == SIGSYS);
  }
}

TEST_CASE("worker filters: mapping a file → denied") {
  auto file = base::make_memfd("disk");
  REQUIRE(file.ok());
  for (const ThreadKind kind : {ThreadKind::vcpu, ThreadKind::block}) {
    CHECK(jail::confined(kind, [] {
            ::mmap(nullptr, 4096, PROT_READ, MAP_SHARED, STDIN_FILENO, 0);
            return 0;
          }).signal == SIGSYS);
  }
}

TEST_CASE("supervisor filter: its engine → can be killed, and its end learned; another process → not") {
  const auto ending = jail::in_child([] {
    if (!jail::confine_early(-1).ok()) {
      return jail::kCannotConfine;
    }
    const base::Fd program(::open("/bin/sleep", O_PATH | O_CLOEXEC));
    jail::ChildOptions options;
    options.program = program.get();
    options.argv = {"sleep", "1000"};
    options.readable_paths = {"/"};
    auto engine = jail::start_child(options);
    if (!engine.ok() || !jail::confine_process({}).ok() ||
        !jail::install_filter(ThreadKind::supervisor, {.engine_pidfd = engine->pidfd()}).ok()) {
      return jail::kCannotConfine;
    }
    const bool good = engine->cpu_time_ms() >= 0 && engine->describe_end() == "has not ended";
    const pid_t pid = engine->pid();
    { const jail::Child ended = std::move(*engine); }
    // Its CPU clock is gone with it.
    timespec used{};
    clockid_t clock{};
    return good && ::clock_getcpuclockid(pid, &clock) != 0 && ::clock_gettime(CLOCK_MONOTONIC, &used) == 0 ? 0 : 1;
  });
  CAPTURE(jail::text(ending));
  CHECK(ending.exit_code == 0);
  const auto other = jail::in_child([] {
    const int parent = static_cast<int>(::syscall(SYS_pidfd_open, ::getppid(), 0));
    // Root may signal anybody; so that only the filter stands in the way, nothing else is taken away.
    if (parent < 0 || !jail::forbid_new_privileges().ok() ||
        !jail::install_filter(ThreadKind::supervisor, {.engine_pidfd = parent + 1}).ok()) {
      return jail::kCannotConfine;
    }
    ::syscall(SYS_pidfd_send_signal, parent, 0, nullptr, 0);
    return 0;
  });
  CHECK(other.signal == SIGSYS);
}
