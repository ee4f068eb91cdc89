// Trees as tar streams.
#include "base/io.hpp"
#include "guest/file_tool.hpp"
#include "guest/file_verbs.hpp"
#include "tree/extractor.hpp"
#include "tree/file_error.hpp"
#include "tree/packer.hpp"
#include "tree/paths.hpp"

#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace pyro::guest::verbs {

using base::Fd;
using base::Result;
using tree::file_error;

namespace {

// What a pipe of a command holds.
constexpr std::size_t kTreeBufferBytes = 256 * 1024;

Result<tree::Extractor> make_extractor(const wire::FileRequest& request) {
  std::string path = request.path;
  if (request.single_file && !path.ends_with('/') && !tree::is_directory(path)) {
    const tree::SplitPath parts = tree::split(path);
    if (request.parents) {
      PYRO_TRY(make_directories(parts.directory, 0755));
    }
    PYRO_TRY_ASSIGN(Fd directory, tree::open_directory(parts.directory));
    return tree::Extractor(std::move(directory), parts.name, limits_of(request), path);
  }
  if (request.parents) {
    PYRO_TRY(make_directories(path, 0755));
  } else if (!request.single_file && ::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return file_error(errno, "cannot make the directory", path);
  }
  PYRO_TRY_ASSIGN(Fd directory, tree::open_directory(path));
  if (request.single_file) {
    return tree::Extractor(std::move(directory), std::string(), limits_of(request), path);
  }
  return tree::Extractor(std::move(directory), limits_of(request), path);
}

wire::FileReport report_of(const tree::Counts& counts) {
  wire::FileReport report;
  report.entries = counts.entries;
  report.bytes = counts.bytes;
  report.skipped = counts.skipped;
  report.changed = counts.changed;
  return report;
}

Result<tree::Packer> make_packer(const wire::FileRequest& request) {
  Fd file(::open(request.path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat info {};
  if (!file.valid() || ::fstat(file.get(), &info) != 0) {
    return file_error(errno, "cannot read", request.path);
  }
  if (S_ISDIR(info.st_mode)) {
    return tree::Packer::of_directory(std::move(file), limits_of(request), true, request.path);
  }
  if (!S_ISREG(info.st_mode)) {
    return base::make_error(PYRO_ERROR_STATE, "cannot download {}: it is neither a directory nor a regular file",
                            tree::shown(request.path));
  }
  return tree::Packer::of_file(std::move(file), tree::split(request.path).name, limits_of(request), request.path);
}

}  // namespace

VerbResult upload(const wire::FileRequest& request) {
  PYRO_TRY_ASSIGN(tree::Extractor extractor, make_extractor(request));
  std::vector<std::byte> buffer(kTreeBufferBytes);
  while (!extractor.has_ended()) {
    const ssize_t got = ::read(0, buffer.data(), buffer.size());
    if (got < 0 && errno != EINTR) {
      return base::errno_error(errno, "cannot read the input");
    }
    if (got == 0) {
      break;
    }
    if (got > 0) {
      PYRO_TRY(extractor.feed(base::ByteView(buffer).first(static_cast<std::size_t>(got))));
    }
  }
  PYRO_TRY(extractor.finish());
  if (request.sets_baseline) {
    PYRO_TRY(write_baseline(kFileToolFd));
  }
  return report_of(extractor.counts());
}

VerbResult download(const wire::FileRequest& request) {
  PYRO_TRY_ASSIGN(tree::Packer packer, make_packer(request));
  base::Bytes buffer;
  while (!packer.has_ended()) {
    buffer.clear();
    PYRO_TRY(packer.fill(buffer, kTreeBufferBytes));
    PYRO_TRY(base::write_all(1, buffer, "the output"));
  }
  return report_of(packer.counts());
}

}  // namespace pyro::guest::verbs
