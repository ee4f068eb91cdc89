#include "client/image_op.hpp"

#include "state/environment.hpp"

#include <cerrno>
#include <cstdlib>

#include <unistd.h>

namespace pyro::client {

namespace {

// pyro-image stands in "/": a path is made absolute where the caller stands.
base::Result<std::string> absolute_path(const std::string& path) {
  if (path.front() == '/') {
    return path;
  }
  char* current = ::getcwd(nullptr, 0);
  if (current == nullptr) {
    return base::errno_error(errno, "cannot tell the current directory to make " + path + " absolute");
  }
  std::string out = std::string(current) + "/" + path;
  std::free(current);
  return out;
}

}  // namespace

base::Result<ImageRequest> make_image_request(const ImageCall& call, const pyro_env_options& options) {
  ImageRequest request;
  request.op = call.op;
  if (options.name != nullptr) {
    request.name = options.name;
    PYRO_TRY(state::check_environment_name(request.name));
  } else if (call.needs_name) {
    return base::make_error(PYRO_ERROR_INVALID, "there is no name: {} needs the environment's, such as \"debian:12\"",
                            call.op);
  }
  if (call.needs_path) {
    if (options.path == nullptr || *options.path == '\0') {
      return base::make_error(PYRO_ERROR_INVALID, "there is no path: {} needs one", call.op);
    }
    PYRO_TRY_ASSIGN(request.path, absolute_path(options.path));
  }
  for (const auto& [name, value] :
       {std::pair{"verify", options.verify}, std::pair{"force", options.force}, std::pair{"all", options.all}}) {
    if (value > 1) {
      return base::make_error(PYRO_ERROR_INVALID, "{} is {}: 0 and 1 are possible", name, value);
    }
  }
  request.verify = options.verify == 1;
  request.force = options.force == 1;
  request.all = options.all == 1;
  return request;
}

base::Status ImageOp::step() {
  if (!child_) {
    PYRO_TRY_ASSIGN(child_, ImageChild::start(context_ptr(), poller(), request_));
  }
  PYRO_TRY_ASSIGN(const auto answer, child_->poll([this](Event event) { emit(std::move(event)); }));
  if (answer.has_value()) {
    Event event;
    event.kind = PYRO_EVENT_DONE;
    PYRO_TRY_ASSIGN(event.environments, decode_environments(*answer));
    emit(std::move(event));
  }
  return base::success();
}

void ImageOp::stop() noexcept {
  if (child_) {
    child_->stop();
  }
}

}  // namespace pyro::client
