// Files of a task as people read them.
#pragma once

#include <pyro/pyro.hpp>

#include <string>
#include <vector>

namespace pyro::cli {

/// A line each, as ls -l has it.
std::string file_lines(const std::vector<FileInfo>& files);
/// A line each: "A path", "C path", "R path".
std::string change_lines(const std::vector<FileInfo>& files);

}  // namespace pyro::cli
