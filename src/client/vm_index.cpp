#include "client/vm_index.hpp"

#include "base/clock.hpp"
#include "client/home.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::client {

using registry::FolderStamp;
using registry::Registry;

namespace {

// The kernel's clock for files may stand still for so long: two changes within that have the same time.
constexpr std::int64_t kCoarseNs = 50'000'000;
// More than the registry becomes.
constexpr std::uint64_t kIndexFileBytes = std::uint64_t{256} << 20;
// Of rows that are written in one transaction: others wait for that.
constexpr std::size_t kRowsAtOnce = 256;
// So that whoever changes many VMs waits for others once, not each time.
constexpr std::int64_t kBusyPauseMs = 1'000;

// Nothing: it is not there, or its file system keeps no time that two changes would differ in.
std::optional<FolderStamp> stamp_of(const std::string& path) noexcept {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode) || info.st_mtim.tv_nsec == 0) {
    return std::nullopt;
  }
  return FolderStamp{info.st_dev, info.st_ino,
                     std::int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec};
}

// Gives a folder a time of change that no other change has: the fine clock's, in whole microseconds, which file systems
// keep. Nothing if it has another one afterwards: somebody else changed it, and who does so next may leave the same time.
std::optional<FolderStamp> touch(const std::string& path) noexcept {
  timespec times[2]{};
  times[0].tv_nsec = UTIME_OMIT;
  ::clock_gettime(CLOCK_REALTIME, &times[1]);
  times[1].tv_nsec -= times[1].tv_nsec % 1000;
  ::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW);
  const auto stamp = stamp_of(path);
  const bool is_ours = stamp && stamp->changed_ns == std::int64_t{times[1].tv_sec} * 1'000'000'000 + times[1].tv_nsec;
  return is_ours ? stamp : std::nullopt;
}

bool is_settled(pyro_vm_state state) noexcept {
  return state == PYRO_VM_CREATED || state == PYRO_VM_STOPPED || state == PYRO_VM_FAILED;
}

// What the user has to know; without all else the folders do.
bool must_be_said(const base::Error& error) noexcept {
  return error.code == PYRO_ERROR_STATE || error.code == PYRO_ERROR_UNSUPPORTED;
}

}  // namespace

VmIndex::VmIndex(std::string home, LogRing& log) : home_(std::move(home)), log_(log), owner_(::getpid()) {}

VmIndex::~VmIndex() {
  if (registry_ && owner_ != ::getpid()) {
    registry_->abandon();
  }
}

void VmIndex::warn(const base::Error& error) {
  log_.add(PYRO_LOG_WARNING, "going on without the registry: {}", error.message);
}

// ---- the registry

base::Result<Registry*> VmIndex::open() {
  struct rlimit limit {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur < kIndexFileBytes) {
    // Trying would end the host program (SIGXFSZ).
    return base::make_error(PYRO_ERROR_LIMIT, "this process may not write files of {} MiB (RLIMIT_FSIZE)",
                            kIndexFileBytes >> 20);
  }
  if (registry_ && !registry_->is_current()) {
    registry_.reset();
  }
  if (!registry_) {
    PYRO_TRY(ensure_home(home_));
    PYRO_TRY_ASSIGN(registry_, Registry::open(registry_path()));
  }
  return registry_.get();
}

bool VmIndex::is_usable() const noexcept {
  return owner_ == ::getpid() && registry::is_usable_in_this_process();
}

template <typename Action>
std::invoke_result_t<Action, Registry&> VmIndex::with_open_registry(Action&& action) {
  for (bool is_second = false;; is_second = true) {
    auto opened = open();
    if (!opened.ok()) {
      return std::move(opened).error();
    }
    auto result = action(**opened);
    if (result.ok() || is_second || result.error().code != PYRO_ERROR_INTERNAL) {
      return result;
    }
    // Its tables may be gone, because somebody makes it again.
    registry_.reset();
  }
}

template <typename Action>
std::invoke_result_t<Action, Registry&> VmIndex::with_registry(Action&& action) {
  if (!is_usable()) {
    return base::make_error(PYRO_ERROR_FORKED, "this process was forked from one that uses the registry");
  }
  const std::lock_guard lock(mutex_);
  return with_open_registry(std::forward<Action>(action));
}

// ---- which VMs there are

std::optional<VmIndex::Change> VmIndex::begin_change() {
  if (!is_usable()) {
    return std::nullopt;
  }
  std::unique_lock lock(mutex_);
  if (base::monotonic_ms() < busy_until_ms_) {
    return std::nullopt;
  }
  auto change = with_open_registry([&](Registry& registry) -> base::Result<Change> {
    PYRO_TRY_ASSIGN(auto transaction, registry.begin());
    PYRO_TRY_ASSIGN(const bool complete, is_complete(registry));
    return Change{{}, &registry, std::move(transaction), complete};
  });
  if (!change.ok()) {
    busy_until_ms_ = change.error().code == PYRO_ERROR_TIMEOUT ? base::monotonic_ms() + kBusyPauseMs : 0;
    warn(change.error());
    return std::nullopt;
  }
  change->lock = std::move(lock);
  return std::move(*change);
}

void VmIndex::finish_change(std::optional<Change> change, const Update& update) {
  if (change) {
    const auto finished = [&]() -> base::Status {
      PYRO_TRY(update(*change->registry));
      if (change->was_complete) {
        if (const auto stamp = touch(vms_path(home_))) {
          PYRO_TRY(change->registry->set_stamp(*stamp));
        }
      }
      return change->transaction.commit();
    }();
    if (finished.ok()) {
      return;
    }
    warn(finished.error());
  }
  leave_mark();
}

void VmIndex::leave_mark() const {
  const base::Fd mark(::open(mark_path().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!mark.valid()) {
    touch(vms_path(home_));
  }
}

base::Result<VmFolder> VmIndex::make_folder(const std::string& id) {
  auto change = begin_change();
  if (!change) {
    // Before as well: whoever is killed right after making it leaves no other trace of that.
    leave_mark();
  }
  PYRO_TRY_ASSIGN(auto folder, VmFolder::create(home_, id));
  finish_change(std::move(change), [&](Registry& registry) { return registry.unsettle(id); });
  return folder;
}

base::Status VmIndex::remove_folder(const VmFolder& folder) {
  auto change = begin_change();
  PYRO_TRY_ASSIGN(const bool ours, folder.hide());
  if (!ours) {
    return base::success();
  }
  finish_change(std::move(change), [&](Registry& registry) { return registry.remove(folder.id()); });
  return folder.erase_hidden();
}

base::Result<bool> VmIndex::is_complete(const Registry& registry) const {
  PYRO_TRY_ASSIGN(const auto known, registry.stamp());
  return known && known == stamp_of(vms_path(home_)) && ::access(mark_path().c_str(), F_OK) != 0;
}

// In one transaction: somebody may be making the registry again, and it is empty at first.
template <typename Read>
std::invoke_result_t<Read, Registry&> VmIndex::read_complete(Registry& registry, Read&& read) {
  {
    PYRO_TRY_ASSIGN(auto transaction, registry.begin_reading());
    PYRO_TRY_ASSIGN(const bool complete, is_complete(registry));
    if (complete) {
      return read(registry);
    }
  }
  PYRO_TRY_ASSIGN(auto transaction, registry.begin());
  // What made the difference may have been a change that was just being written down.
  PYRO_TRY_ASSIGN(const bool complete, is_complete(registry));
  if (!complete) {
    PYRO_TRY(catch_up(registry));
  }
  auto result = read(registry);
  PYRO_TRY(transaction.commit());
  return result;
}

// Brings the rows up to date with what is in vms/, which has changed behind the registry's back. To be called within a
// transaction.
base::Status VmIndex::catch_up(Registry& registry) {
  const std::string path = vms_path(home_);
  ::unlink(mark_path().c_str());
  const auto stamp = touch(path);
  PYRO_TRY_ASSIGN(const auto names, list_vm_ids(home_));
  std::map<std::string, std::optional<std::int64_t>> rows;  // nothing: not settled
  PYRO_TRY(registry.each_row([&rows](std::string id, bool settled, std::int64_t changed_ns) {
    rows.emplace(std::move(id), settled ? std::optional(changed_ns) : std::nullopt);
  }));
  for (const std::string& id : names) {
    const auto row = rows.find(id);
    const bool is_new = row == rows.end();
    const auto folder = is_new || !row->second ? std::nullopt : stamp_of(path + "/" + id);
    if (is_new || (row->second && (!folder || folder->changed_ns != *row->second))) {
      PYRO_TRY(registry.unsettle(id));
    }
    if (!is_new) {
      rows.erase(row);
    }
  }
  for (const auto& [id, changed_ns] : rows) {
    PYRO_TRY(registry.remove(id));
  }
  // Who changed it while it was read shows in its time.
  if (stamp && stamp == stamp_of(path)) {
    PYRO_TRY(registry.set_stamp(*stamp));
  }
  return base::success();
}

// ---- what one is

bool VmIndex::note_start(const VmFolder& folder) {
  const auto noted = with_registry([&](Registry& registry) { return registry.unsettle(folder.id()); });
  if (!noted.ok()) {
    warn(noted.error());
    leave_mark();
  }
  return noted.ok();
}

base::Result<VmInfo> VmIndex::look(const VmFolder& folder) {
  auto before = with_registry([&](Registry& registry) { return registry.row(folder.id()); });
  if (!before.ok()) {
    return look_at_vm(folder);
  }
  PYRO_TRY_ASSIGN(auto seen, see(folder, std::move(*before)));
  VmInfo info = seen.info;
  keep({std::move(seen)});
  return info;
}

base::Result<VmIndex::Seen> VmIndex::see(const VmFolder& folder, std::optional<registry::Row> before) {
  const std::string path = vms_path(home_) + "/" + folder.id();
  Seen seen;
  seen.before = std::move(before);
  auto stamp = stamp_of(path);
  if (stamp && std::abs(base::realtime_ns() - stamp->changed_ns) < kCoarseNs) {
    // The next change is to show.
    stamp = touch(path);
  }
  seen.changed_ns = stamp ? stamp->changed_ns : 0;
  const auto from = with_registry([&](Registry& registry) { return registry.journal(folder.id()); });
  PYRO_TRY_ASSIGN(seen.info, look_at_vm(folder, [&](JournalFile& commands) {
                    return read_on(commands, from.ok() ? *from : std::nullopt, seen.reading);
                  }));
  return seen;
}

void VmIndex::keep(const std::vector<Seen>& all) {
  const auto is_news = [](const Seen& seen) {
    if (seen.reading.is_long || !seen.before) {
      return true;
    }
    const bool settled = is_settled(seen.info.state);
    return settled ? make_row(seen.info, settled, seen.changed_ns) != *seen.before
                   : seen.before->settled || seen.before->kind != kind_number(seen.info.record.kind);
  };
  std::vector<const Seen*> news;
  for (const Seen& seen : all) {
    if (is_news(seen)) {
      news.push_back(&seen);
    }
  }
  for (std::size_t begin = 0; begin < news.size(); begin += kRowsAtOnce) {
    const auto kept = with_registry([&](Registry& registry) -> base::Status {
      PYRO_TRY_ASSIGN(auto transaction, registry.begin());
      for (std::size_t i = begin; i < std::min(news.size(), begin + kRowsAtOnce); ++i) {
        PYRO_TRY(keep_one(registry, *news[i]));
      }
      return transaction.commit();
    });
    if (!kept.ok()) {
      warn(kept.error());
      return;
    }
  }
}

// To be called within a transaction: who starts or removes one waits for its end.
base::Status VmIndex::keep_one(Registry& registry, const Seen& seen) {
  const std::string& id = seen.info.record.id;
  const auto folder = VmFolder::open(home_, id);
  const auto stamp = stamp_of(vms_path(home_) + "/" + id);
  if (!folder.ok() || !stamp || stamp->changed_ns != seen.changed_ns) {
    // Another look will tell.
    return base::success();
  }
  const auto locked = folder->is_locked();
  const bool settled = is_settled(seen.info.state) && locked.ok() && !*locked;
  PYRO_TRY(registry.put(make_row(seen.info, settled, seen.changed_ns)));
  return seen.reading.place.tag == 0 ? base::success()
                                     : registry.put_journal(id, seen.reading.place, seen.reading.marks);
}

// ---- lists

base::Result<std::vector<VmInfo>> VmIndex::list(const registry::Filter& filter) {
  if (!stamp_of(vms_path(home_))) {
    return list_folders(filter);
  }
  auto rows = with_registry([&](Registry& registry) {
    return read_complete(registry, [&](Registry& complete) { return complete.find(filter); });
  });
  if (rows.ok()) {
    return look_at_rows(std::move(*rows), filter);
  }
  if (must_be_said(rows.error())) {
    return std::move(rows).error();
  }
  warn(rows.error());
  return list_folders(filter);
}

std::vector<VmInfo> VmIndex::look_at_rows(std::vector<registry::Row> rows, const registry::Filter& filter) {
  std::vector<VmInfo> infos;
  std::vector<Seen> looked_at;
  for (registry::Row& row : rows) {
    const auto stamp = row.settled ? stamp_of(vms_path(home_) + "/" + row.id) : std::nullopt;
    if (stamp && stamp->changed_ns == row.changed_ns) {
      infos.push_back(info_of_row(row));
      continue;
    }
    const std::string id = row.id;
    const auto folder = VmFolder::open(home_, id);
    auto seen = folder.ok() ? see(*folder, std::move(row)) : base::Result<Seen>(folder.error());
    if (seen.ok()) {
      if (matches(seen->info, filter)) {
        infos.push_back(seen->info);
      }
      looked_at.push_back(std::move(*seen));
    } else if (seen.error().code != PYRO_ERROR_NOT_FOUND) {
      // One that is damaged must not hide the others.
      log_.add(PYRO_LOG_WARNING, "vm {}: {}", id, seen.error().message);
    }
  }
  keep(looked_at);
  return infos;
}

base::Result<std::vector<VmInfo>> VmIndex::list_folders(const registry::Filter& filter) {
  PYRO_TRY_ASSIGN(const auto ids, list_vm_ids(home_));
  std::vector<VmInfo> infos;
  for (const std::string& id : ids) {
    const auto folder = VmFolder::open(home_, id);
    auto info = folder.ok() ? look_at_vm(*folder) : base::Result<VmInfo>(folder.error());
    if (info.ok() && matches(*info, filter)) {
      infos.push_back(std::move(*info));
    } else if (!info.ok() && info.error().code != PYRO_ERROR_NOT_FOUND) {
      log_.add(PYRO_LOG_WARNING, "vm {}: {}", id, info.error().message);
    }
  }
  return infos;
}

base::Result<std::vector<std::string>> VmIndex::list_due(std::int64_t now_s) {
  if (!stamp_of(vms_path(home_))) {
    return list_vm_ids(home_);
  }
  auto ids = with_registry([&](Registry& registry) {
    return read_complete(registry, [&](Registry& complete) { return complete.due(now_s); });
  });
  if (ids.ok()) {
    return ids;
  }
  warn(ids.error());
  return list_vm_ids(home_);
}

std::optional<std::uint64_t> VmIndex::place_of_command(const std::string& id, std::uint64_t tag, std::uint64_t number) {
  const auto mark = with_registry([&](Registry& registry) -> base::Result<std::optional<registry::CommandMark>> {
    PYRO_TRY_ASSIGN(const auto journal, registry.journal(id));
    if (!journal || journal->tag != tag) {
      return std::optional<registry::CommandMark>();
    }
    return registry.mark_before(id, number);
  });
  return mark.ok() && *mark ? std::optional((*mark)->offset_bytes) : std::nullopt;
}

std::uint64_t VmIndex::last_known_command(const std::string& id, std::uint64_t tag) {
  const auto journal = with_registry([&](Registry& registry) { return registry.journal(id); });
  return journal.ok() && *journal && (*journal)->tag == tag ? (*journal)->last_number : 0;
}

base::Status VmIndex::check() {
  if (!stamp_of(vms_path(home_))) {
    return base::success();
  }
  const auto rows = with_registry([&](Registry& registry) { return registry.find({}); });
  return rows.ok() ? base::success() : base::Status(rows.error());
}

base::Result<std::vector<VmInfo>> VmIndex::rebuild() {
  const registry::Filter all;
  if (!is_usable()) {
    return base::make_error(
        PYRO_ERROR_FORKED,
        "this process was forked from one that uses the registry: let that one do it, or exec first");
  }
  {
    const std::lock_guard lock(mutex_);
    registry_.reset();
    PYRO_TRY(ensure_home(home_));
    PYRO_TRY(Registry::reset(registry_path()));
  }
  auto rows = with_registry([&](Registry& registry) {
    return read_complete(registry, [&](Registry& complete) { return complete.find(all); });
  });
  if (!rows.ok()) {
    return std::move(rows).error();
  }
  return look_at_rows(std::move(*rows), all);
}

}  // namespace pyro::client
