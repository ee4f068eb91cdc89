#include "tree/packer.hpp"

#include "tree/file_error.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <unistd.h>

namespace pyro::tree {

using base::Fd;
using base::Result;
using base::Status;

EntryType entry_type(mode_t mode) noexcept {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return EntryType::file;
    case S_IFDIR:
      return EntryType::directory;
    case S_IFLNK:
      return EntryType::symlink;
    default:
      return EntryType::other;
  }
}

std::string read_link(int directory, const std::string& name) {
  std::string target(kMaxPathBytes, '\0');
  const ssize_t got = ::readlinkat(directory, name.c_str(), target.data(), target.size());
  target.resize(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
  return target;
}

Result<Packer> Packer::of_directory(Fd root, const Limits& limits, bool one_file_system, std::string shown_root) {
  Packer packer(limits, shown_root);
  struct stat info {};
  if (::fstat(root.get(), &info) != 0) {
    return file_error(errno, "cannot look at", shown_root);
  }
  PYRO_TRY(packer.add(EntryType::directory, ".", {}, info, packer.first_));
  Walker::Options options;
  options.one_file_system = one_file_system;
  options.max_path_bytes = limits.max_path_bytes;
  PYRO_TRY_ASSIGN(packer.walker_, Walker::make(std::move(root), options, std::move(shown_root)));
  return packer;
}

Result<Packer> Packer::of_file(Fd file, std::string name, const Limits& limits, std::string shown_path) {
  Packer packer(limits, shown_path);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) {
    return file_error(errno, "cannot look at", shown_path);
  }
  packer.file_ = std::move(file);
  packer.shown_file_ = std::move(shown_path);
  PYRO_TRY(packer.add(EntryType::file, std::move(name), {}, info, packer.first_));
  return packer;
}

Status Packer::add(EntryType type, std::string path, std::string link, const struct stat& info, base::Bytes& out) {
  if (counts_.entries == limits_.max_entries) {
    return base::make_error(PYRO_ERROR_LIMIT, "{} has more than {} entries (max_entries)", shown(shown_root_),
                            limits_.max_entries);
  }
  TarEntry entry;
  entry.type = type;
  entry.path = std::move(path);
  entry.link = std::move(link);
  entry.mode = info.st_mode & 07777;
  entry.mtime = info.st_mtime;
  if (type == EntryType::file) {
    entry.size = static_cast<std::uint64_t>(info.st_size);
    if (entry.size > limits_.max_bytes - counts_.bytes) {
      return base::make_error(PYRO_ERROR_LIMIT, "{} has more than {} bytes (max_bytes); {} alone has {}",
                              shown(shown_root_), limits_.max_bytes, shown(entry.path), entry.size);
    }
    left_ = entry.size;
    padding_ = tar_padding(entry.size);
    shrank_ = false;
    counts_.bytes += entry.size;
  }
  ++counts_.entries;
  const base::Bytes header = tar_header(entry);
  out.insert(out.end(), header.begin(), header.end());
  return base::success();
}

Status Packer::fill(base::Bytes& out, std::size_t size) {
  out.insert(out.end(), first_.begin(), first_.end());
  first_.clear();
  while (out.size() < size && !ended_) {
    if (file_.valid()) {
      PYRO_TRY(add_content(out, size - out.size()));
    } else {
      PYRO_TRY(add_next(out));
    }
  }
  return base::success();
}

Status Packer::add_next(base::Bytes& out) {
  if (walker_) {
    PYRO_TRY_ASSIGN(const bool more, walker_->next());
    if (more) {
      return add_item(out);
    }
  }
  out.resize(out.size() + kTarEndBytes);
  ended_ = true;
  return base::success();
}

Status Packer::add_item(base::Bytes& out) {
  const Walker::Item& item = walker_->item();
  switch (entry_type(item.info.st_mode)) {
    case EntryType::directory:
      return add(EntryType::directory, item.path, {}, item.info, out);
    case EntryType::symlink: {
      std::string target = read_link(item.directory, item.name);
      if (target.empty()) {
        ++counts_.changed;
        return base::success();
      }
      return add(EntryType::symlink, item.path, std::move(target), item.info, out);
    }
    case EntryType::file:
      return open_item(out);
    default:
      ++counts_.skipped;
      return base::success();
  }
}

// It may have become something else since it was looked at: no wait for a FIFO, no way through a link.
Status Packer::open_item(base::Bytes& out) {
  const Walker::Item& item = walker_->item();
  Fd file(::openat(item.directory, item.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file.valid() && errno != ENOENT && errno != ELOOP && errno != ENXIO) {
    return file_error(errno, "cannot read", walker_->shown_item());
  }
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    ++counts_.changed;
    return base::success();
  }
  PYRO_TRY(add(EntryType::file, item.path, {}, info, out));
  file_ = std::move(file);
  shown_file_ = walker_->shown_item();
  return base::success();
}

Status Packer::add_content(base::Bytes& out, std::size_t room) {
  const std::size_t before = out.size();
  if (left_ > 0) {
    const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(left_, room));
    out.resize(before + want);
    ssize_t got = shrank_ ? 0 : ::read(file_.get(), out.data() + before, want);
    if (got < 0) {
      out.resize(before);
      return errno == EINTR ? base::success() : Status(file_error(errno, "cannot read", shown_file_));
    }
    if (got == 0) {
      // The header has said how much comes: zeros do.
      counts_.changed += shrank_ ? 0 : 1;
      shrank_ = true;
      got = static_cast<ssize_t>(want);
    }
    out.resize(before + static_cast<std::size_t>(got));
    left_ -= static_cast<std::uint64_t>(got);
  }
  if (left_ == 0) {
    out.resize(out.size() + padding_);
    file_.reset();
  }
  return base::success();
}

Counts Packer::counts() const noexcept {
  Counts counts = counts_;
  counts.skipped += walker_ ? walker_->mounts() : 0;
  return counts;
}

}  // namespace pyro::tree
