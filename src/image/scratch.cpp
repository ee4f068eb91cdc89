#include "image/command.hpp"
#include "image/operations.hpp"
#include "image/tree.hpp"

#include "base/io.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::image {

namespace {

/// The same for every scratch disk, so that the same size gives the same bytes.
constexpr const char* kScratchVolumeId = "7079726f-7363-4261-8463-680000000001";
/// Large enough for what one guest writes at once, small enough that a small disk keeps its space.
constexpr std::uint32_t kSmallDiskMib = 512;
constexpr int kSmallJournalMib = 4;
constexpr int kJournalMib = 16;

/// Named one by one, since the host's mke2fs.conf is not read. uninit_bg leaves the bitmaps and inode tables of unused
/// groups unwritten; checksums of all metadata would cost an emulated guest more than they are worth on a disk that
/// lives as long as the guest.
constexpr const char* kFeatures =
    "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,large_file,huge_file,uninit_bg,"
    "dir_nlink,extra_isize";

/// Instead of the host's, which may change what is made.
constexpr std::string_view kConfig = "[fs_types]\n\text3 = {\n\t}\n";

Command mke2fs_command(const std::string& file, const std::string& config, std::uint32_t mib) {
  const bool is_small = mib < kSmallDiskMib;
  Command command;
  // Discarding a sparse file reads back as zeros, which mke2fs knows: inode tables and journal are marked as zeroed
  // without being written, so the guest has nothing to finish in the background and the file stays sparse.
  command.argv = {
      "mke2fs",
      "-q",
      "-F",
      "-b",
      "4096",
      "-I",
      "256",
      "-m",
      "0",
      "-L",
      "pyro-scratch",
      "-U",
      kScratchVolumeId,
      "-O",
      kFeatures,
      "-i",
      is_small ? "4096" : "16384",
      "-J",
      fmt::format("size={}", is_small ? kSmallJournalMib : kJournalMib),
      "-E",
      fmt::format("hash_seed={},lazy_itable_init=1,lazy_journal_init=1,discard,root_owner=0:0", kScratchVolumeId),
      file};
  command.env = {{"E2FSPROGS_FAKE_TIME", std::to_string(kSourceDateEpoch)},
                 {"SOURCE_DATE_EPOCH", std::to_string(kSourceDateEpoch)},
                 {"MKE2FS_CONFIG", config}};
  return command;
}

/// mke2fs reserves blocks for the journal that read as zeros all the same: gives them back. A file system that cannot do
/// that has a larger file, nothing worse.
void make_sparse(int fd, off_t size) {
  for (off_t hole = 0; hole < size;) {
    hole = ::lseek(fd, hole, SEEK_HOLE);
    if (hole < 0 || hole >= size) {
      return;
    }
    // ENXIO: no data up to the end.
    const off_t data = ::lseek(fd, hole, SEEK_DATA);
    const off_t end = data < 0 ? size : data;
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, hole, end - hole) != 0) {
      return;
    }
    hole = end;
  }
}

bool is_scratch_image(const std::string& path, std::uint64_t bytes) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         static_cast<std::uint64_t>(info.st_size) == bytes;
}

}  // namespace

base::Result<Outcome> make_scratch(const Job& job) {
  const std::uint64_t bytes = std::uint64_t{job.request.mib} << 20;
  const std::string target = job.store.path(state::scratch_path(job.request.mib));
  Outcome outcome;
  outcome.path = target;
  PYRO_TRY_ASSIGN(const FileLock lock, job.store.lock("scratch", LockKind::exclusive, job.report));
  if (is_scratch_image(target, bytes) && !job.request.force) {
    return outcome;
  }
  PYRO_TRY(require_tool("mke2fs", "e2fsprogs"));
  job.report.progress("scratch", fmt::format("making a scratch disk of {} MiB", job.request.mib));
  PYRO_TRY_ASSIGN(const TempDir temp, job.store.make_temp(job.report));
  const std::string file = temp.file("scratch.img");
  {
    PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
    if (::ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
      return base::errno_error(errno, "cannot make a file of " + std::to_string(job.request.mib) + " MiB in " +
                                          job.store.path(state::kScratchDir));
    }
  }
  const std::string config = temp.file("mke2fs.conf");
  PYRO_TRY(base::write_file_atomically(config, kConfig, 0600));
  PYRO_TRY(run_tool(mke2fs_command(file, config, job.request.mib)));
  PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(file, O_RDWR | O_NOFOLLOW));
  make_sparse(fd.get(), static_cast<off_t>(bytes));
  if (::fchmod(fd.get(), 0444) != 0 || ::fsync(fd.get()) != 0 || ::rename(file.c_str(), target.c_str()) != 0) {
    return base::errno_error(errno, "cannot write " + target);
  }
  return outcome;
}

}  // namespace pyro::image
