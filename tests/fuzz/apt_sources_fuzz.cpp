// apt's source files of a host, in both formats.
// Invariant: what is selected and written out is read back as the same number of sources, all of Debian's archive: no
// value can add a stanza or a field of its own.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "image/apt_sources.hpp"

namespace {

using namespace pyro::image;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void check(const std::vector<AptSource>& sources) {
  const std::vector<AptSource> selected = select_debian_sources(sources);
  const std::vector<AptSource> read_back = parse_deb822_sources(write_deb822(selected));
  require(read_back.size() == selected.size());
  for (std::size_t i = 0; i < selected.size(); ++i) {
    require(read_back[i].size() == selected[i].size());
    require(read_back[i].at("Types") == "deb" && read_back[i].at("Components") == "main");
    require(read_back[i].at("URIs") == selected[i].at("URIs"));
    require(read_back[i].at("Suites") == selected[i].at("Suites"));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check(parse_one_line_sources(text));
  check(parse_deb822_sources(text));
  return 0;
}
