#include "image/erofs.hpp"

#include "base/io.hpp"
#include "image/command.hpp"
#include "image/tree.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace pyro::image {

namespace {

/// virtio-pmem maps the image in huge pages.
constexpr off_t kPaddingBytes = 2 << 20;
/// One for all: images are told by their digest.
constexpr const char* kRootVolumeId = "7079726f-726f-4f74-8000-65726f667331";

}  // namespace

base::Status make_erofs(const std::string& root, const std::string& file, Report& report) {
  report.progress("image", "making the root image");
  Command command;
  // noinline_data: the kernel maps only files whose last block lies in a block of its own directly (DAX).
  command.argv = {"mkfs.erofs",
                  "--quiet",
                  fmt::format("-T{}", kSourceDateEpoch),
                  fmt::format("-U{}", kRootVolumeId),
                  "-Enoinline_data",
                  file,
                  root};
  PYRO_TRY(run_tool(command));
  PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(file, O_RDWR | O_NOFOLLOW));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) {
    return base::errno_error(errno, "cannot read " + file);
  }
  const off_t padded = (info.st_size + kPaddingBytes - 1) / kPaddingBytes * kPaddingBytes;
  if (::ftruncate(fd.get(), padded) != 0) {
    return base::errno_error(errno, "cannot write " + file);
  }
  return base::success();
}

}  // namespace pyro::image
