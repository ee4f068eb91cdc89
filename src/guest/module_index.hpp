// The index of kernel modules in the initramfs (/modules/modules.dep), one line each:
//   name=file: dependency dependency…
// Names are as the kernel's, with '_'. Pure code: no I/O. Thread rule: one thread.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace pyro::guest {

class ModuleIndex {
 public:
  /// PYRO_ERROR_BOOT if a line has another form or a file is not a plain name.
  static base::Result<ModuleIndex> parse(std::string_view text);
  /// Files to load for `module`, dependencies first, each once over the life of the index. A module that
  /// is not listed is built into the kernel: nothing to load.
  std::vector<std::string> load_order(std::string_view module);

 private:
  struct Module {
    std::string file;
    std::vector<std::string> dependencies;
    bool given = false;
  };
  void collect(std::string_view module, std::vector<std::string>& out);
  std::map<std::string, Module, std::less<>> modules_;
};

/// The size of a module without the signature that a distribution appends to it; its whole size if it has
/// none. Checking eight RSA signatures takes an emulated processor four times as long as all else that the
/// agent does at boot, and vouches for nothing here: agent, kernel and modules come from the same files.
std::size_t size_without_signature(base::ByteView module) noexcept;

}  // namespace pyro::guest
