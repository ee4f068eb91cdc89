// What has changed in /workspace since its task was made. The state at creation is a list of entries in a file that
// commands do not see; without one the workspace was empty. Both lists are in one order, so that neither is ever held
// in memory.
#include "base/io.hpp"
#include "guest/file_tool.hpp"
#include "guest/file_verbs.hpp"
#include "tree/file_error.hpp"
#include "tree/new_file.hpp"
#include "tree/paths.hpp"
#include "tree/walker.hpp"

#include <cerrno>
#include <optional>

#include <fcntl.h>
#include <unistd.h>

namespace pyro::guest::verbs {

using base::Fd;
using base::Result;
using base::Status;

namespace {

constexpr const char* kWorkspace = "/workspace";
constexpr const char* kBaselineName = "baseline";
constexpr std::string_view kMagic = "pyro baseline 1\n";
/// In place of an entry's size: there are no more.
constexpr std::uint32_t kEnd = 0xffffffff;
constexpr std::size_t kDiffBufferBytes = 64 * 1024;

Result<tree::Walker> walk_workspace() {
  PYRO_TRY_ASSIGN(Fd root, tree::open_directory(kWorkspace));
  tree::Walker::Options options;
  options.one_file_system = true;
  return tree::Walker::make(std::move(root), options, kWorkspace);
}

class Baseline {
 public:
  /// `fd`: -1 if there is none.
  explicit Baseline(int fd) : fd_(fd) {}

  Status open() {
    if (fd_ < 0 || ::fcntl(fd_, F_GETFD) < 0) {
      ended_ = true;
      return base::success();
    }
    PYRO_TRY_ASSIGN(const base::ByteView magic, take(kMagic.size()));
    return base::as_text(magic) == kMagic ? next() : Status(damaged());
  }
  /// Nothing behind the last one.
  [[nodiscard]] const wire::FileEntry* entry() const { return entry_ ? &*entry_ : nullptr; }
  Status next() {
    entry_.reset();
    if (ended_) {
      return base::success();
    }
    PYRO_TRY_ASSIGN(const base::ByteView head, take(sizeof(std::uint32_t)));
    const std::uint32_t size = base::ByteReader(head).u32();
    if (size == kEnd) {
      ended_ = true;
      return base::success();
    }
    if (size > wire::kMaxEntryBytes) {
      return damaged();
    }
    PYRO_TRY_ASSIGN(const base::ByteView bytes, take(size));
    PYRO_TRY_ASSIGN(entry_, wire::FileEntry::decode(bytes));
    return base::success();
  }

 private:
  static base::Error damaged() {
    return base::make_error(PYRO_ERROR_INTERNAL, "what is kept of the workspace at its creation is damaged");
  }
  Result<base::ByteView> take(std::size_t size) {
    if (buffer_.size() - begin_ < size) {
      buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(begin_));
      begin_ = 0;
      PYRO_TRY_ASSIGN(const base::Bytes more, base::read_range(fd_, offset_, kDiffBufferBytes, "the baseline"));
      offset_ += more.size();
      buffer_.insert(buffer_.end(), more.begin(), more.end());
      if (buffer_.size() < size) {
        return damaged();
      }
    }
    const auto bytes = base::ByteView(buffer_).subspan(begin_, size);
    begin_ += size;
    return bytes;
  }

  int fd_;
  std::uint64_t offset_ = 0;
  base::Bytes buffer_;
  std::size_t begin_ = 0;
  std::optional<wire::FileEntry> entry_;
  bool ended_ = false;
};

bool is_changed(const wire::FileEntry& before, const wire::FileEntry& now) {
  if (before.type != now.type || before.mode != now.mode || before.target != now.target) {
    return true;
  }
  // The change time as well: commands can set the other one back.
  return now.type == wire::FileType::file &&
         (before.size != now.size || before.mtime_ns != now.mtime_ns || before.ctime_ns != now.ctime_ns);
}

}  // namespace

Status write_baseline(int directory) {
  PYRO_TRY_ASSIGN(tree::NewFile file, tree::NewFile::create(directory, kBaselineName));
  PYRO_TRY_ASSIGN(tree::Walker walker, walk_workspace());
  base::ByteWriter out;
  out.raw(base::as_bytes(kMagic));
  while (true) {
    PYRO_TRY_ASSIGN(const bool more, walker.next());
    if (more) {
      const auto& item = walker.item();
      out.text(base::as_text(make_entry(item.directory, item.name, item.path, item.info).encode()));
    } else {
      out.u32(kEnd);
    }
    if (!more || out.view().size() >= kDiffBufferBytes) {
      PYRO_TRY(file.write(out.view(), kBaselineName));
      out = {};
    }
    if (!more) {
      break;
    }
  }
  if (::fsync(file.fd()) != 0) {
    return tree::file_error(errno, "cannot write", kBaselineName);
  }
  return file.place(kBaselineName, false, kBaselineName);
}

VerbResult diff(const wire::FileRequest& request) {
  Baseline baseline(kFileToolFd);
  PYRO_TRY(baseline.open());
  PYRO_TRY_ASSIGN(tree::Walker walker, walk_workspace());
  EntryWriter out(request.max_entries);
  wire::FileReport report;
  std::optional<wire::FileEntry> now;
  const auto advance = [&]() -> Status {
    now.reset();
    PYRO_TRY_ASSIGN(const bool more, walker.next());
    if (more) {
      const auto& item = walker.item();
      now = make_entry(item.directory, item.name, item.path, item.info);
    }
    return base::success();
  };
  const auto tell = [&](wire::FileEntry entry, wire::FileChange change) -> Status {
    entry.change = change;
    PYRO_TRY_ASSIGN(const bool added, out.add(entry));
    report.truncated = !added;
    return base::success();
  };
  PYRO_TRY(advance());
  while ((now || baseline.entry() != nullptr) && !report.truncated) {
    const wire::FileEntry* before = baseline.entry();
    if (before == nullptr || (now && tree::comes_before(now->path, before->path))) {
      PYRO_TRY(tell(*now, wire::FileChange::added));
      PYRO_TRY(advance());
    } else if (!now || tree::comes_before(before->path, now->path)) {
      PYRO_TRY(tell(*before, wire::FileChange::removed));
      PYRO_TRY(baseline.next());
    } else {
      if (is_changed(*before, *now)) {
        PYRO_TRY(tell(*now, wire::FileChange::changed));
      }
      PYRO_TRY(advance());
      PYRO_TRY(baseline.next());
    }
  }
  PYRO_TRY(out.flush());
  report.entries = out.count();
  return report;
}

}  // namespace pyro::guest::verbs
