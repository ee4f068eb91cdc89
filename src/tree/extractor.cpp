#include "tree/extractor.hpp"

#include "tree/file_error.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::tree {

using base::Fd;
using base::Result;
using base::Status;

namespace {

constexpr std::uint32_t kPermissions = 0777;
/// A directory that its owner cannot enter could not be filled.
constexpr std::uint32_t kOwnerAll = 0700;
constexpr std::size_t kMaxNameBytes = 255;

// `path` as names with one slash between them: no "." and no "//". Empty: the root.
Result<std::string> plain_path(const std::string& path, std::size_t max_bytes) {
  const auto refuse = [&path](std::string_view why) {
    return base::make_error(PYRO_ERROR_INVALID, "the tar has the entry {}, which {}: refused", shown(path), why);
  };
  if (path.front() == '/') {
    return refuse("has an absolute path");
  }
  std::string plain;
  std::size_t depth = 0;
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const auto name = std::string_view(path).substr(begin, end - begin);
    begin = end + 1;
    if (name.empty() || name == ".") {
      continue;
    }
    if (name == "..") {
      return refuse("leads out of its tree");
    }
    if (name.size() > kMaxNameBytes) {
      return refuse("has a name longer than 255 bytes");
    }
    if (++depth > kMaxDepth) {
      return base::make_error(PYRO_ERROR_LIMIT, "directories are nested more than {} deep in the tar at {}", kMaxDepth,
                              shown(path));
    }
    plain.append(plain.empty() ? "" : "/").append(name);
  }
  if (plain.size() > max_bytes) {
    return base::make_error(PYRO_ERROR_LIMIT, "a path in the tar has {} bytes, {} are allowed: {}", plain.size(),
                            max_bytes, shown(path));
  }
  return plain;
}

}  // namespace

Extractor::Extractor(Fd root, const Limits& limits, std::string shown_root, mode_t umask)
    : root_(std::move(root)),
      limits_(limits),
      shown_root_(std::move(shown_root)),
      permissions_(kPermissions & ~umask) {}

Extractor::Extractor(Fd root, std::string name, const Limits& limits, std::string shown_path, mode_t umask)
    : root_(std::move(root)),
      single_name_(std::move(name)),
      limits_(limits),
      shown_root_(std::move(shown_path)),
      permissions_(kPermissions & ~umask) {}

std::string Extractor::shown_entry(const std::string& path) const {
  return single_name_ ? shown_root_ : shown_root_ + "/" + path;
}

Status Extractor::feed(base::ByteView bytes) {
  while (true) {
    PYRO_TRY_ASSIGN(const TarReader::Step step, reader_.next(bytes));
    switch (step.kind) {
      case TarReader::Kind::more:
      case TarReader::Kind::end:
        return base::success();
      case TarReader::Kind::entry:
        PYRO_TRY(start_entry());
        break;
      case TarReader::Kind::data:
        if (file_) {
          PYRO_TRY(file_->write(step.data, shown_entry(reader_.entry().path)));
        }
        break;
    }
    if (file_ && reader_.left_bytes() == 0) {
      PYRO_TRY(finish_file());
    }
  }
}

Status Extractor::finish() {
  if (!reader_.has_ended()) {
    return base::make_error(PYRO_ERROR_INVALID, "the tar stream was cut off");
  }
  if (single_name_ && counts_.entries == 0) {
    return base::make_error(PYRO_ERROR_INVALID, "the tar stream brought no file");
  }
  return base::success();
}

Status Extractor::check_entry_count() const {
  if (counts_.entries + counts_.skipped + unnamed_directories_ >= limits_.max_entries) {
    return base::make_error(PYRO_ERROR_LIMIT, "the tar has more than {} entries (max_entries): stopped",
                            limits_.max_entries);
  }
  return base::success();
}

Status Extractor::start_entry() {
  const TarEntry& entry = reader_.entry();
  PYRO_TRY(check_entry_count());
  if (entry.type == EntryType::other) {
    ++counts_.skipped;
    return base::success();
  }
  if (single_name_ && (entry.type != EntryType::file || counts_.entries != 0)) {
    return base::make_error(PYRO_ERROR_INVALID, "the tar stream of one file has something else in it");
  }
  if (entry.size > limits_.max_bytes - counts_.bytes) {
    return base::make_error(PYRO_ERROR_LIMIT, "the tar has files of more than {} bytes (max_bytes): stopped at {}",
                            limits_.max_bytes, shown(entry.path));
  }
  counts_.bytes += entry.size;
  ++counts_.entries;
  Place place;
  if (single_name_ && !single_name_->empty()) {
    place = {root_.get(), *single_name_};
  } else {
    PYRO_TRY_ASSIGN(const std::string path, plain_path(entry.path, limits_.max_path_bytes));
    PYRO_TRY_ASSIGN(place, find(path, !single_name_));
  }
  if (place.name.empty() && entry.type != EntryType::directory) {
    return base::make_error(PYRO_ERROR_INVALID, "the tar has the entry {}, which is no directory: refused",
                            shown(entry.path));
  }
  switch (entry.type) {
    case EntryType::directory:
      return make_directory(place);
    case EntryType::symlink:
      return make_symlink(place);
    case EntryType::hard_link:
      return make_hard_link(place);
    default:
      break;
  }
  PYRO_TRY_ASSIGN(NewFile file, NewFile::create(place.directory, shown_entry(entry.path)));
  file_.emplace(std::move(file));
  file_name_ = place.name;
  return base::success();
}

Status Extractor::finish_file() {
  const TarEntry& entry = reader_.entry();
  const std::string path = shown_entry(entry.path);
  const timespec times[2] = {{0, UTIME_NOW}, {entry.mtime, 0}};
  if (::fchmod(file_->fd(), entry.mode & permissions_) != 0) {
    return file_error(errno, "cannot set the mode of", path);
  }
  // A time that this file system cannot hold is no reason to fail.
  (void)::futimens(file_->fd(), times);
  PYRO_TRY(file_->place(file_name_, false, path));
  file_.reset();
  return base::success();
}

Status Extractor::make_directory(const Place& place) {
  const TarEntry& entry = reader_.entry();
  if (place.name.empty()) {
    // The destination is the caller's: its mode stays.
    return base::success();
  }
  if (::mkdirat(place.directory, place.name.c_str(), kOwnerAll) != 0 && errno != EEXIST) {
    return file_error(errno, "cannot make the directory", shown_entry(entry.path));
  }
  const Fd made(::openat(place.directory, place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!made.valid() || ::fchmod(made.get(), (entry.mode & permissions_) | kOwnerAll) != 0) {
    return file_error(errno == ELOOP ? ENOTDIR : errno, "cannot make the directory", shown_entry(entry.path));
  }
  return base::success();
}

Status Extractor::make_symlink(const Place& place) {
  const TarEntry& entry = reader_.entry();
  const auto cannot = [&] { return file_error(errno, "cannot make the symbolic link", shown_entry(entry.path)); };
  if (entry.link.size() > kMaxPathBytes) {
    errno = ENAMETOOLONG;
    return cannot();
  }
  if (::symlinkat(entry.link.c_str(), place.directory, place.name.c_str()) == 0) {
    return base::success();
  }
  if (errno != EEXIST) {
    return cannot();
  }
  const std::string other = temporary_name();
  if (::symlinkat(entry.link.c_str(), place.directory, other.c_str()) != 0) {
    return cannot();
  }
  if (::renameat(place.directory, other.c_str(), place.directory, place.name.c_str()) != 0) {
    const int why = errno;
    ::unlinkat(place.directory, other.c_str(), 0);
    errno = why;
    return cannot();
  }
  return base::success();
}

Status Extractor::make_hard_link(const Place& place) {
  const TarEntry& entry = reader_.entry();
  PYRO_TRY_ASSIGN(const std::string target, plain_path(entry.link, limits_.max_path_bytes));
  // The next lookup would take `place` away.
  PYRO_TRY_ASSIGN(const Fd directory, base::duplicate_fd(place.directory));
  const auto cannot = [&](int why) { return file_error(why, "cannot make the hard link", shown_entry(entry.path)); };
  PYRO_TRY_ASSIGN(const Place from, find(target, false));
  struct stat info {};
  if (from.name.empty()) {
    return cannot(EISDIR);
  }
  if (::fstatat(from.directory, from.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return cannot(errno);
  }
  if (!S_ISREG(info.st_mode)) {
    return base::make_error(PYRO_ERROR_INVALID, "the tar has a hard link {} to {}, which is no regular file: refused",
                            shown(entry.path), shown(entry.link));
  }
  const std::string other = temporary_name();
  if (::linkat(from.directory, from.name.c_str(), directory.get(), other.c_str(), 0) != 0) {
    return cannot(errno);
  }
  const bool placed = ::renameat(directory.get(), other.c_str(), directory.get(), place.name.c_str()) == 0;
  const int why = errno;
  // Also after success: a rename to another name of the same file does nothing.
  ::unlinkat(directory.get(), other.c_str(), 0);
  return placed ? base::success() : Status(cannot(why));
}

Result<Extractor::Place> Extractor::find(const std::string& path, bool makes) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) {
    return Place{root_.get(), path};
  }
  std::string directory = path.substr(0, slash);
  if (!directory_.valid() || directory != directory_path_) {
    PYRO_TRY_ASSIGN(directory_, open_directory(directory, makes));
    directory_path_ = std::move(directory);
  }
  return Place{directory_.get(), path.substr(slash + 1)};
}

// One name at a time, never through a link. There is no ".." among them.
Result<Fd> Extractor::open_directory(const std::string& path, bool makes) {
  constexpr int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  Fd current;
  int directory = root_.get();
  for (std::size_t begin = 0; begin < path.size();) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string name = path.substr(begin, end - begin);
    begin = end + 1;
    Fd next(::openat(directory, name.c_str(), flags));
    if (!next.valid() && errno == ENOENT && makes) {
      // Also what the tar does not name takes room.
      PYRO_TRY(check_entry_count());
      const bool made = ::mkdirat(directory, name.c_str(), 0755) == 0;
      unnamed_directories_ += made ? 1 : 0;
      if (made || errno == EEXIST) {
        next.reset(::openat(directory, name.c_str(), flags));
      }
    }
    if (!next.valid()) {
      const int why = errno;
      if (why == ELOOP || why == ENOTDIR) {
        return base::make_error(PYRO_ERROR_STATE, "{} is no directory, or a symbolic link: nothing is put behind it",
                                shown(shown_root_ + "/" + path.substr(0, end)));
      }
      return file_error(why, "cannot enter the directory", shown_root_ + "/" + path.substr(0, end));
    }
    current = std::move(next);
    directory = current.get();
  }
  return current;
}

}  // namespace pyro::tree
