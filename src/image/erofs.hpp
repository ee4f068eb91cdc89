// Root images: uncompressed EROFS that every engine can use, the same bytes for the same tree.
#pragma once

#include "base/result.hpp"
#include "image/report.hpp"

#include <string>

namespace pyro::image {

/// Makes the image `file` of the tree `root`, padded to 2 MiB. Errors: UNSUPPORTED (no mkfs.erofs), LIMIT, ENVIRONMENT.
base::Status make_erofs(const std::string& root, const std::string& file, Report& report);

}  // namespace pyro::image
