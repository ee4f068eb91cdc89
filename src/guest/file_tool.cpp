#include "guest/file_tool.hpp"

#include "base/io.hpp"
#include "guest/boot.hpp"
#include "guest/file_verbs.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace pyro::guest {

namespace {

constexpr const char* kBaselinePath = "/scratch/baseline";

verbs::VerbResult perform(const wire::FileRequest& request) {
  switch (request.verb) {
    case wire::FileVerb::read:
      return verbs::read(request);
    case wire::FileVerb::write:
      return verbs::write(request);
    case wire::FileVerb::list:
      return verbs::list(request);
    case wire::FileVerb::stat:
      return verbs::stat(request);
    case wire::FileVerb::make_dir:
      return verbs::make_dir(request);
    case wire::FileVerb::remove:
      return verbs::remove(request);
    case wire::FileVerb::upload:
      return verbs::upload(request);
    case wire::FileVerb::download:
      return verbs::download(request);
    case wire::FileVerb::diff:
      return verbs::diff(request);
  }
  return base::make_error(PYRO_ERROR_INTERNAL, "an operation on files without a meaning");
}

}  // namespace

base::Fd open_for_file_tool(const wire::FileRequest& request) {
  if (request.sets_baseline) {
    return base::Fd(::open(kScratchPath, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  if (request.verb == wire::FileVerb::diff) {
    return base::Fd(::open(kBaselinePath, O_RDONLY | O_CLOEXEC));
  }
  return {};
}

void run_file_tool(const wire::FileRequest& request) {
  // A tree that is removed costs a descriptor for each of its levels.
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  auto done = perform(request);
  wire::FileReport report;
  if (done.ok()) {
    report = *done;
  } else {
    report.status = done.error().code;
    report.message = done.error().message;
  }
  const bool told = base::write_all(2, report.encode(), "the report").ok();
  ::_exit(told ? 0 : 1);
}

}  // namespace pyro::guest
