#pragma once

#include <string>
#include <vector>

namespace pyro::jail {

/// `texts` as exec() and posix_spawn() take them, with a null pointer at the end. They point into `texts`; the calls take
/// char* const* for history's sake and do not write.
inline std::vector<char*> argument_pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (const auto& text : texts) {
    out.push_back(const_cast<char*>(text.c_str()));
  }
  out.push_back(nullptr);
  return out;
}

}  // namespace pyro::jail
