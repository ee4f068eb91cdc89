// Paths in pieces, and the directories that they name. Links are followed: what must not be, the extractor opens itself.
// Thread rule: functions without state.
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"

#include <string>
#include <string_view>

namespace pyro::tree {

/// What is in front of the last name of a path ("." if nothing is), and that name; it is empty behind a slash.
struct SplitPath {
  std::string directory;
  std::string name;
};
SplitPath split(const std::string& path);

/// The path without slashes at its end; "/" stays.
std::string without_slashes(std::string path);
/// The last name of that.
std::string last_name(const std::string& path);

/// Whether `path` is names with one slash between them, none of them "." or "..": what a Walker gives.
bool is_plain(std::string_view path);
/// The order in which a Walker gives paths: "a/b" comes behind "a" and before "a.txt".
bool comes_before(std::string_view left, std::string_view right);

bool is_directory(const std::string& path);
/// For reading. Errors: as file_error().
base::Result<base::Fd> open_directory(const std::string& path);

}  // namespace pyro::tree
