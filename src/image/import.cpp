#include "image/build.hpp"
#include "image/command.hpp"
#include "image/extract.hpp"
#include "image/operations.hpp"
#include "image/tree.hpp"

#include "base/bytes.hpp"
#include "base/io.hpp"

#include <cerrno>
#include <clocale>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::image {

namespace {

/// Kept free on the disk of the store whatever is imported.
constexpr std::uint64_t kReserveBytes = 64u << 20;
/// A result of the unpacking process: numbers and a message.
constexpr std::size_t kMaxResultBytes = 64 * 1024;

base::Bytes encode_result(const base::Result<ExtractCounts>& result) {
  base::ByteWriter out;
  out.u32(static_cast<std::uint32_t>(result.ok() ? PYRO_OK : result.error().code));
  out.text(result.ok() ? std::string() : result.error().message);
  out.i32(result.ok() ? 0 : result.error().sys_errno);
  const ExtractCounts counts = result.ok() ? result.value() : ExtractCounts{};
  out.u64(counts.entries);
  out.u64(counts.bytes);
  out.u64(counts.skipped);
  return std::move(out).take();
}

base::Result<ExtractCounts> decode_result(const std::string& bytes, const std::string& what) {
  base::ByteReader in(base::as_bytes(bytes));
  const auto status = base::to_status(in.u32());
  base::Error error{status.value_or(PYRO_ERROR_INTERNAL), in.text(), in.i32()};
  ExtractCounts counts;
  counts.entries = in.u64();
  counts.bytes = in.u64();
  counts.skipped = in.u64();
  if (!in.finished()) {
    return base::make_error(PYRO_ERROR_INVALID, "cannot unpack {}: the unpacking process died", what);
  }
  if (status != PYRO_OK) {
    error.message = fmt::format("cannot import {}: {}", what, error.message);
    return error;
  }
  return counts;
}

/// Unpacks the archive behind `fd` into `root`, in a process that sees nothing else. Meanwhile `produce` runs, which
/// may be what writes the other end of `fd`.
base::Result<ExtractCounts> unpack(const Job& job, base::Fd fd, const std::string& root,
                                   const std::function<base::Status()>& produce) {
  const std::string& what = job.request.path;
  const std::uint64_t free = free_bytes(root);
  ExtractLimits limits;
  // The tree and then its image must both fit.
  limits.max_bytes = free > kReserveBytes ? (free - kReserveBytes) / 2 : 0;
  PYRO_TRY_ASSIGN(base::FdPair answer, base::make_pipe());
  PYRO_TRY(fork_child([&] {
    answer.first.reset();
    // Names are bytes in UTF-8 as far as they are anything.
    std::setlocale(LC_CTYPE, "C.UTF-8");
    base::Status confined = confine_to(root);
    const auto result =
        confined.ok() ? extract_here(fd.get(), what, limits,
                                     [&](const ExtractCounts& counts) {
                                       job.report.progress("unpack", fmt::format("unpacking: {} files, {} MiB",
                                                                                 counts.entries, counts.bytes >> 20));
                                     })
                      : base::Result<ExtractCounts>(confined.error());
    return base::write_all(answer.second.get(), encode_result(result), "to a pipe").ok() ? 0 : 1;
  }));
  answer.second.reset();
  fd.reset();
  const base::Status produced = produce();
  PYRO_TRY_ASSIGN(const std::string bytes, base::read_all(answer.first.get(), kMaxResultBytes, "a result"));
  PYRO_TRY_ASSIGN(const ExtractCounts counts, decode_result(bytes, what));
  PYRO_TRY(produced);
  return counts;
}

/// A directory goes through a tar stream too, so that there is one way in.
base::Result<ExtractCounts> unpack_directory(const Job& job, const std::string& root) {
  PYRO_TRY(require_tool("tar", "tar"));
  PYRO_TRY_ASSIGN(base::FdPair stream, base::make_pipe());
  base::Fd write_end = std::move(stream.second);
  return unpack(job, std::move(stream.first), root, [&]() -> base::Status {
    Command tar;
    tar.argv = {"tar",
                "--create",
                "--file=-",
                "--format=posix",
                "--numeric-owner",
                "--one-file-system",
                "--sparse",
                "--xattrs",
                "--xattrs-include=user.*",
                "--xattrs-include=security.capability",
                "--warning=no-file-ignored",
                "--directory=" + job.request.path,
                "."};
    tar.stdout_fd = write_end.get();
    auto status = run_tool(tar);
    write_end.reset();
    if (!status.ok()) {
      return base::make_error(PYRO_ERROR_INVALID, "cannot read all of {}: {}", job.request.path,
                              status.error().message);
    }
    return status;
  });
}

}  // namespace

base::Result<Outcome> import_root(const Job& job) {
  const std::string& name = job.request.name;
  const std::string& path = job.request.path;
  PYRO_TRY(require_tool("mkfs.erofs", "erofs-utils"));
  PYRO_TRY_ASSIGN(const FileLock name_lock, job.store.lock("name-" + name, LockKind::exclusive, job.report));
  PYRO_TRY(check_name_is_free(job));
  job.store.sweep();
  PYRO_TRY_ASSIGN(const TempDir temp, job.store.make_temp(job.report));
  const std::string root = temp.file("root");
  if (::mkdir(root.c_str(), 0755) != 0 || ::chmod(root.c_str(), 0755) != 0) {
    return base::errno_error(errno, "cannot create directory " + root);
  }
  job.report.progress("unpack", "unpacking " + path);
  PYRO_TRY_ASSIGN(base::Fd fd, base::open_file(path, O_RDONLY | O_NONBLOCK));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    return base::errno_error(errno, "cannot read " + path);
  }
  auto unpacked = S_ISDIR(info.st_mode) ? unpack_directory(job, root)
                                        : unpack(job, std::move(fd), root, [] { return base::success(); });
  PYRO_TRY_ASSIGN(const ExtractCounts counts, std::move(unpacked));
  if (counts.skipped > 0) {
    job.report.progress("skipped", fmt::format("left out {} device nodes and sockets", counts.skipped));
  }
  PYRO_TRY(prepare_imported_tree(root));
  PYRO_TRY_ASSIGN(const KernelHold kernel, kernel_for_import(job, temp));
  state::Manifest manifest;
  manifest.description = fmt::format("imported root file system ({} files)", counts.entries);
  return register_tree(job, temp, root, kernel, std::move(manifest));
}

}  // namespace pyro::image
