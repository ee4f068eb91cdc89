#include "jail/seccomp_rules.hpp"

#include "jail/kvm_requests.hpp"

#include <csignal>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace pyro::jail {

namespace {

constexpr unsigned bit(ThreadKind kind) noexcept {
  return 1U << static_cast<unsigned>(kind);
}

constexpr unsigned kMain = bit(ThreadKind::main);
constexpr unsigned kVcpu = bit(ThreadKind::vcpu);
constexpr unsigned kBlock = bit(ThreadKind::block);
constexpr unsigned kSupervisor = bit(ThreadKind::supervisor);
constexpr unsigned kLoops = kMain | kSupervisor;
constexpr unsigned kWorkers = kVcpu | kBlock;
// The threads of a VM that runs in this process.
constexpr unsigned kOfVm = kMain | kVcpu | kBlock;
constexpr unsigned kAll = kOfVm | kSupervisor;

// Arguments of C type int or unsigned: the kernel looks at 32 bits.
ArgumentRule is(unsigned argument, std::uint32_t value) {
  return {argument, 0xffffffffU, value};
}
ArgumentRule has(unsigned argument, std::uint64_t bits) {
  return {argument, bits, bits};
}
ArgumentRule lacks(unsigned argument, std::uint64_t bits) {
  return {argument, bits, 0};
}

void append(std::vector<SyscallRule>& table, std::vector<SyscallRule> rows) {
  table.insert(table.end(), rows.begin(), rows.end());
}

std::vector<SyscallRule> memory_rules() {
  return {
      {"brk", kAll, {}, "malloc: all threads share one arena (confine_early)"},
      {"mmap", kLoops, {lacks(2, PROT_EXEC)}, "malloc; mapping files that were handed over"},
      {"mmap", kWorkers, {lacks(2, PROT_EXEC), has(3, MAP_ANONYMOUS)}, "malloc"},
      {"mremap", kAll, {}, "realloc of large blocks"},
      {"munmap", kAll, {}, "free of large blocks; the stack of a thread that was joined"},
      {"mprotect", kAll, {lacks(2, PROT_EXEC)}, "malloc, growing an arena"},
      {"madvise", kAll, {}, "malloc; the stack of a thread that ends; the balloon gives guest memory back"},
  };
}

std::vector<SyscallRule> thread_rules() {
  return {
      {"futex", kAll, {}, "mutexes, condition variables, joining"},
      {"sched_yield", kAll, {}, "std::this_thread::yield, spinning in glibc"},
      {"clock_gettime", kAll, {}, "clocks, where the vDSO cannot answer, and CPU times always"},
      {"clock_nanosleep", kAll, {}, "std::this_thread::sleep_for"},
      {"restart_syscall", kAll, {}, "a sleep or poll that SIGSTOP and SIGCONT interrupted"},
      {"rt_sigprocmask", kAll, {}, "pthread_kill, abort, the end of a thread"},
      {"rt_sigreturn", kAll, {}, "the end of the kick's empty handler"},
      {"getpid", kAll, {}, "pthread_kill, raise"},
      {"gettid", kAll, {}, "raise"},
      {"tgkill", kOfVm, {is(0, kOwnProcessPlaceholder), is(2, kKickSignal)}, "gets a vCPU out of KVM_RUN"},
      {"tgkill", kAll, {is(0, kOwnProcessPlaceholder), is(2, SIGABRT)}, "abort: an end that says what it is"},
      {"prctl", kAll, {is(0, PR_SET_NAME)}, "thread names"},
      {"exit", kWorkers, {}, "the end of a thread"},
      {"exit_group", kAll, {}, "the end of the process"},
  };
}

// Descriptors that the process holds; none of these makes a new one, except by a message of the client or from a
// listening socket that came with one.
std::vector<SyscallRule> descriptor_rules() {
  return {
      {"read", kAll, {}, "eventfds, timers, sockets, console"},
      {"write", kAll, {}, "eventfds, sockets, console"},
      {"readv", kLoops | kBlock, {}, "Asio's reads with several buffers"},
      {"writev", kLoops | kBlock, {}, "Asio's writes with several buffers"},
      {"close", kAll, {}, "whatever is done with"},
      {"recvmsg", kLoops, {}, "the client's messages, with descriptors"},
      {"sendmsg", kLoops, {}, "Asio's sends"},
      {"accept4", kLoops, {is(3, SOCK_CLOEXEC | SOCK_NONBLOCK)}, "other clients of a VM that outlives its first"},
      {"getsockopt", kLoops, {is(1, SOL_SOCKET), is(2, SO_PEERCRED)}, "whose process such a client is"},
      {"recvfrom", kLoops, {}, "recv"},
      {"sendto", kLoops, {lacks(4, ~0ULL)}, "send: the peer is the one the socket has"},
      {"epoll_wait", kLoops | kBlock, {}, "event loop"},
      {"epoll_pwait", kLoops | kBlock, {}, "event loop"},
      {"epoll_ctl", kLoops | kBlock, {}, "event loop"},
      {"poll", kAll, {}, "waiting for one descriptor"},
      {"ppoll", kAll, {}, "waiting for one descriptor"},
      {"timerfd_settime", kLoops, {}, "Asio's timers"},
      {"ioctl", kLoops, {is(1, FIONBIO)}, "Asio makes descriptors non-blocking, and blocking again on close"},
      {"fcntl", kLoops, {is(1, F_GETFL)}, "non-blocking descriptors"},
      {"fcntl", kLoops, {is(1, F_SETFL)}, "non-blocking descriptors"},
      {"getrandom", kAll, {}, "identity and entropy of the guest; virtio-rng"},
      {"pread64", kLoops | kBlock, {}, "the memory account; disks"},
  };
}

std::vector<SyscallRule> vm_rules() {
  return {
      {"ioctl", kVcpu, {is(1, kKvmRun)}, "the guest"},
      {"ioctl", kMain, {is(1, kKvmGetRegs)}, "does a silent guest have interrupts enabled?"},
      {"ioctl", kMain, {is(1, kKvmGetMpState)}, "is a silent guest halted?"},
      {"preadv", kBlock, {}, "disk reads"},
      {"pwritev", kBlock, {}, "disk writes"},
      {"pwrite64", kBlock, {}, "disk writes"},
      {"fallocate",
       kLoops | kBlock,
       {is(1, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)},
       "discard, old output of a journal; other modes take space beyond a file's size, which no limit covers"},
      {"fdatasync", kMain | kBlock, {}, "flush"},
      {"fsync", kBlock, {}, "flush"},
      {"lseek", kBlock, {}, "SEEK_DATA and SEEK_HOLE"},
  };
}

std::vector<SyscallRule> engine_rules() {
  return {
      {"pidfd_send_signal",
       kSupervisor,
       {is(0, kEnginePidfdPlaceholder), is(1, SIGKILL)},
       "ends the engine; no other process, and dup is not allowed"},
      {"waitid", kSupervisor, {is(0, P_PIDFD)}, "how the engine ended"},
      {"clock_getres", kSupervisor, {}, "clock_getcpuclockid: has the engine used any CPU time?"},
  };
}

// Reads that the run-time libraries of ASan, UBSan and TSan do, when they start in a thread and when they report.
// Writing, executing and everything else stays as above; Landlock forbids what open would give.
std::vector<SyscallRule> sanitizer_rules() {
  return {
      {"open", kAll, {lacks(1, O_WRONLY | O_RDWR | O_CREAT)}, "/proc/self/maps for a report"},
      {"openat", kAll, {lacks(2, O_WRONLY | O_RDWR | O_CREAT)}, "/proc/self/maps for a report"},
      {"readlink", kAll, {}, "the program's name for a report"},
      {"readlinkat", kAll, {}, "the program's name for a report"},
      {"stat", kAll, {}, "is the output a file?"},
      {"fstat", kAll, {}, "is the output a file?"},
      {"newfstatat", kAll, {}, "is the output a file?"},
      {"lseek", kAll, {}, "reading a report's sources"},
      {"pipe2", kAll, {}, "UBSan tries through a pipe whether an address can be read"},
      {"rt_sigaction", kAll, {}, "handlers for deadly signals"},
      {"sigaltstack", kAll, {}, "the stack of those handlers"},
      {"sched_getaffinity", kAll, {}, "number of CPUs"},
      {"prlimit64", kAll, {lacks(2, ~0ULL)}, "reading the size of the stack"},
      {"getrusage", kAll, {}, "memory profile of TSan"},
      {"nanosleep", kAll, {}, "TSan waits for its other threads"},
  };
}

}  // namespace

std::vector<SyscallRule> syscall_rules(bool sanitized) {
  std::vector<SyscallRule> table;
  append(table, memory_rules());
  append(table, thread_rules());
  append(table, descriptor_rules());
  append(table, vm_rules());
  append(table, engine_rules());
  if (sanitized) {
    append(table, sanitizer_rules());
  }
  return table;
}

}  // namespace pyro::jail
