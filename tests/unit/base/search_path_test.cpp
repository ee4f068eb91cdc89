#include "base/search_path.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <doctest/doctest.h>
#include <sys/stat.h>

namespace pyro::base {

TEST_CASE("search path: a program → found in absolute folders only, and only if it can be executed") {
  std::string folder = (std::filesystem::temp_directory_path() / "pyro-unit-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  const std::string tool = folder + "/tool";
  std::ofstream(tool) << "";
  CHECK(find_in_path(folder, "tool").empty());
  ::chmod(tool.c_str(), 0755);
  CHECK(find_in_path("relative::/nonexistent:" + folder, "tool") == tool);
  CHECK(find_in_path(folder + ":/bin", "tool") == tool);
  CHECK(find_in_path("", "tool").empty());
  std::filesystem::create_directory(folder + "/folder");
  CHECK(find_in_path(folder, "folder").empty());
  std::filesystem::remove_all(folder);
}

}  // namespace pyro::base
