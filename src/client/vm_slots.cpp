#include "client/vm_slots.hpp"

#include "base/clock.hpp"
#include "base/io.hpp"
#include "client/home.hpp"
#include "state/crc32c.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::client {

namespace {

constexpr const char* kFileName = "/slots";
constexpr std::uint32_t kMagic = 0x544f4c53;  // "SLOT"
// A file of its own: no VM gets a descriptor of it.
constexpr const char* kStartersFileName = "/slots.lock";
// Starters hold that lock for some system calls only.
constexpr std::int64_t kBusyMs = 1'000;
constexpr int kLockRetryMs = 2;
// Room for tens of thousands of VMs.
constexpr std::uint64_t kSlotsFileBytes = std::uint64_t{1} << 20;
// About what an engine takes beside the guest's memory: the monitor has 5 MiB; QEMU some 30, and translated code.
constexpr std::uint64_t kKvmMib = 8;
constexpr std::uint64_t kSoftwareMib = 96;

// As it is in the file; written and read on one host.
struct Record {
  std::uint32_t magic = kMagic;
  std::uint32_t engine = 0;
  std::uint32_t mem_mib = 0;
  std::uint32_t crc = 0;
};
constexpr off_t kSlotBytes = sizeof(Record);

std::uint32_t crc_of(const Record& record) {
  std::array<std::byte, offsetof(Record, crc)> bytes{};
  std::memcpy(bytes.data(), &record, bytes.size());
  return state::crc32c(bytes);
}

struct flock make_lock(short type, off_t start) noexcept {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = start;
  lock.l_len = 1;
  return lock;
}

class Slots {
 public:
  static base::Result<Slots> open(const std::string& home, int flags) {
    PYRO_TRY_ASSIGN(base::Fd file, base::open_file(home + kFileName, flags | O_NOFOLLOW, 0600));
    return Slots(std::move(file));
  }

  // Whether somebody holds a slot. For a test, so any kind of lock counts.
  [[nodiscard]] base::Result<bool> is_taken(off_t number) const {
    struct flock lock = make_lock(F_WRLCK, number * kSlotBytes);
    if (::fcntl(file_.get(), F_OFD_GETLK, &lock) != 0) {
      return base::errno_error(errno, "cannot look at the slots of VMs");
    }
    return lock.l_type != F_UNLCK;
  }
  [[nodiscard]] base::Result<off_t> count() const {
    struct stat info {};
    if (::fstat(file_.get(), &info) != 0) {
      return base::errno_error(errno, "cannot look at the slots of VMs");
    }
    return (info.st_size + kSlotBytes - 1) / kSlotBytes;
  }
  // A record that makes no sense is of a VM all the same: it counts as an ordinary one.
  [[nodiscard]] SlotRequest record(off_t number) const {
    Record record;
    record.magic = 0;
    if (::pread(file_.get(), &record, sizeof record, number * kSlotBytes) != sizeof record || record.magic != kMagic ||
        record.crc != crc_of(record) || record.engine > PYRO_ENGINE_SOFTWARE) {
      return {PYRO_ENGINE_SOFTWARE, 1024};
    }
    return {static_cast<pyro_engine>(record.engine), record.mem_mib};
  }
  [[nodiscard]] base::Status write(off_t number, const SlotRequest& request) const {
    Record record;
    record.engine = static_cast<std::uint32_t>(request.engine);
    record.mem_mib = request.mem_mib;
    record.crc = crc_of(record);
    if (::pwrite(file_.get(), &record, sizeof record, number * kSlotBytes) != sizeof record) {
      return base::errno_error(errno == 0 ? ENOSPC : errno, "cannot write the slots of VMs");
    }
    return base::success();
  }
  // So that looking at all is looking at few.
  void cut(off_t slots) const { [[maybe_unused]] const int done = ::ftruncate(file_.get(), slots * kSlotBytes); }

  // A lock for reading is enough to be seen, and can be had with a descriptor that cannot write. The supervisor learns
  // from the file's position which one it is.
  [[nodiscard]] base::Status take(off_t number) const {
    struct flock lock = make_lock(F_RDLCK, number * kSlotBytes);
    const bool taken =
        ::lseek(file_.get(), lock.l_start, SEEK_SET) >= 0 && ::fcntl(file_.get(), F_OFD_SETLK, &lock) == 0;
    return taken ? base::success() : base::Status(base::errno_error(errno, "cannot take a slot"));
  }
  [[nodiscard]] base::Fd release() { return std::move(file_); }

 private:
  explicit Slots(base::Fd file) : file_(std::move(file)) {}
  base::Fd file_;
};

// Held by one starter at a time.
base::Result<FileLock> lock_starters(const std::string& home) {
  PYRO_TRY_ASSIGN(base::Fd file, base::open_file(home + kStartersFileName, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  const std::int64_t deadline_ms = base::monotonic_ms() + kBusyMs;
  while (true) {
    struct flock lock = make_lock(F_WRLCK, 0);
    if (::fcntl(file.get(), F_OFD_SETLK, &lock) == 0) {
      return FileLock(std::move(file));
    }
    if (errno != EAGAIN && errno != EACCES) {
      return base::errno_error(errno, "cannot lock the slots of VMs");
    }
    if (base::monotonic_ms() >= deadline_ms) {
      return base::make_error(PYRO_ERROR_TIMEOUT, "another process is starting a VM, and does not get on: try again");
    }
    ::poll(nullptr, 0, kLockRetryMs);
  }
}

struct Look {
  SlotUse use;
  off_t first_free = 0;
  /// Behind the last one that is taken.
  off_t end = 0;
};

base::Result<Look> look_at(const Slots& slots, double overcommit) {
  Look look;
  PYRO_TRY_ASSIGN(const off_t count, slots.count());
  for (off_t number = 0; number < count; ++number) {
    PYRO_TRY_ASSIGN(const bool taken, slots.is_taken(number));
    if (taken) {
      ++look.use.vms;
      look.use.expected_mib += expected_memory_mib(slots.record(number), overcommit);
      look.end = number + 1;
      look.first_free += look.first_free == number ? 1 : 0;
    }
  }
  return look;
}

constexpr const char* kFree = "stop or delete some (pyro task list shows tasks)";

base::Status check_caps(const Caps& caps, const SlotUse& use, const SlotRequest& request, const std::string& home) {
  if (use.vms >= caps.max_vms) {
    return base::make_error(PYRO_ERROR_LIMIT,
                            "{} VMs run, and no more than {} may at once: {}, wait for others to end, or raise "
                            "PYRO_MAX_VMS (max_vms)",
                            use.vms, caps.max_vms, kFree);
  }
  const std::uint64_t wanted = expected_memory_mib(request, caps.mem_overcommit);
  if (caps.max_mem_mib != Caps::kNone && use.expected_mib + wanted > caps.max_mem_mib) {
    return base::make_error(PYRO_ERROR_LIMIT,
                            "{} VMs are expected to take {} MiB of memory, this one of {} MiB {} MiB more, and no more "
                            "than {} MiB may be taken: {}, ask for less mem_mib, or raise PYRO_MAX_MEM_MIB "
                            "(max_mem_mib) or PYRO_MEM_OVERCOMMIT (mem_overcommit)",
                            use.vms, use.expected_mib, request.mem_mib, wanted, caps.max_mem_mib, kFree);
  }
  const auto room = disk_room(home);
  if (room && room->free_mib < caps.disk_reserve_mib) {
    return base::make_error(
        PYRO_ERROR_LIMIT,
        "{} MiB are free on the disk of {}, and {} MiB are to be kept free: delete tasks (pyro task "
        "list shows what each takes) or environments (pyro env prune), or lower "
        "PYRO_DISK_RESERVE_MIB (disk_reserve_mib)",
        room->free_mib, home, caps.disk_reserve_mib);
  }
  return base::success();
}

}  // namespace

std::uint64_t expected_memory_mib(const SlotRequest& request, double overcommit) noexcept {
  return static_cast<std::uint64_t>(request.mem_mib / overcommit) +
         (request.engine == PYRO_ENGINE_KVM ? kKvmMib : kSoftwareMib);
}

base::Result<FileLock> take_slot(const Settings& settings, const SlotRequest& request) {
  PYRO_TRY(ensure_home(settings.home));
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < kSlotsFileBytes) {
    // Trying would end the host program (SIGXFSZ).
    return base::make_error(PYRO_ERROR_LIMIT, "this process may not write files of {} KiB (RLIMIT_FSIZE): raise that",
                            kSlotsFileBytes >> 10);
  }
  const Caps caps = with_defaults(settings.caps, settings.home);
  PYRO_TRY_ASSIGN(const Slots all, Slots::open(settings.home, O_RDWR | O_CREAT));
  PYRO_TRY_ASSIGN(Slots own, Slots::open(settings.home, O_RDONLY));
  PYRO_TRY_ASSIGN(const FileLock lock, lock_starters(settings.home));
  PYRO_TRY_ASSIGN(const Look look, look_at(all, caps.mem_overcommit));
  PYRO_TRY(check_caps(caps, look.use, request, settings.home));
  all.cut(look.end);
  PYRO_TRY(all.write(look.first_free, request));
  PYRO_TRY(own.take(look.first_free));
  return FileLock(own.release());
}

base::Result<SlotUse> look_at_slots(const Settings& settings) {
  const Caps caps = with_defaults(settings.caps, settings.home);
  const auto slots = Slots::open(settings.home, O_RDONLY);
  if (!slots.ok()) {
    return slots.error().sys_errno == ENOENT ? base::Result<SlotUse>(SlotUse{}) : slots.error();
  }
  PYRO_TRY_ASSIGN(const Look look, look_at(*slots, caps.mem_overcommit));
  return look.use;
}

}  // namespace pyro::client
