// What a client asks of pyro-image: one line of JSON on stdin.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace pyro::image {

/// A request holds two paths of at most PATH_MAX and a name.
inline constexpr std::size_t kMaxRequestBytes = 64 * 1024;

enum class Operation { list, build, inspect, import_environment, export_environment, prune, verify, scratch };

struct Request {
  Operation operation = Operation::list;
  /// $PYRO_HOME, absolute.
  std::string home;
  /// A valid environment name, or "" where the operation needs none.
  std::string name;
  /// Absolute, or "" where the operation needs none.
  std::string path;
  bool verify = false;
  bool force = false;
  bool all = false;
  /// scratch: the size.
  std::uint32_t mib = 0;
};

/// Reads and checks a request line. A build id other than `build_id` is PYRO_ERROR_UNSUPPORTED.
base::Result<Request> parse_request(std::string_view line, std::string_view build_id);

}  // namespace pyro::image
