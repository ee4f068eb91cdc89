#include "image/request.hpp"

#include "state/environment.hpp"
#include "state/json.hpp"

#include <climits>

#include <boost/json.hpp>

namespace pyro::image {

namespace {

struct Row {
  std::string_view word;
  Operation operation;
  bool needs_name;
  bool needs_path;
};

constexpr Row kRows[] = {
    {"list", Operation::list, false, false},
    {"build", Operation::build, true, false},
    {"inspect", Operation::inspect, true, false},
    {"import", Operation::import_environment, true, true},
    {"export", Operation::export_environment, true, true},
    {"prune", Operation::prune, false, false},
    {"verify", Operation::verify, true, false},
    {"scratch", Operation::scratch, false, false},
};

const Row* find_row(std::string_view word) {
  for (const Row& row : kRows) {
    if (row.word == word) {
      return &row;
    }
  }
  return nullptr;
}

base::Status check_path(std::string_view what, std::string_view path) {
  if (path.empty()) {
    return base::make_error(PYRO_ERROR_INVALID, "{} is missing", what);
  }
  if (path.front() != '/') {
    return base::make_error(PYRO_ERROR_INVALID, "{} '{}' is not an absolute path", what, path);
  }
  return base::success();
}

}  // namespace

base::Result<Request> parse_request(std::string_view line, std::string_view build_id) {
  PYRO_TRY_ASSIGN(const boost::json::value value, state::parse_json(line, kMaxRequestBytes, "request"));
  state::JsonObjectReader reader(value, "request", PYRO_ERROR_INVALID);
  const std::string peer = reader.text("build_id", 256);
  const std::string word = reader.text("op", 32);
  Request request;
  request.home = reader.text("home", PATH_MAX);
  request.name = reader.text_or("name", 1024, "");
  request.path = reader.text_or("path", PATH_MAX, "");
  request.verify = reader.flag_or("verify", false);
  request.force = reader.flag_or("force", false);
  request.all = reader.flag_or("all", false);
  request.mib = static_cast<std::uint32_t>(reader.number_or("mib", 0, UINT32_MAX, 0));
  const base::Status readable = reader.finish();
  // The build id first: a foreign client may well send members that this program does not know.
  if (!peer.empty() && peer != build_id) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "pyro-image is of build {}, the library of build {}: install both from one build, or point "
                            "PYRO_LIBEXEC to the folder of the right one",
                            build_id, peer);
  }
  PYRO_TRY(readable);

  const Row* row = find_row(word);
  if (row == nullptr) {
    return base::make_error(PYRO_ERROR_INVALID, "pyro-image knows no operation '{}'", word);
  }
  request.operation = row->operation;
  PYRO_TRY(check_path("the home folder", request.home));
  if (row->needs_name || !request.name.empty()) {
    PYRO_TRY(state::check_environment_name(request.name));
  }
  if (row->needs_path) {
    PYRO_TRY(check_path("the path", request.path));
  }
  if (row->operation == Operation::scratch &&
      (request.mib < state::kMinScratchMib || request.mib > state::kMaxScratchMib)) {
    return base::make_error(PYRO_ERROR_INVALID, "a scratch disk of {} MiB: it must have {} to {}", request.mib,
                            state::kMinScratchMib, state::kMaxScratchMib);
  }
  return request;
}

}  // namespace pyro::image
