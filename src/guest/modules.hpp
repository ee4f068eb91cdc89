// Loading kernel modules from the initramfs.
// Thread rule: one thread.
#pragma once

#include "base/result.hpp"
#include "guest/module_index.hpp"

namespace pyro::guest {

class ModuleLoader {
 public:
  /// Reads /modules/modules.dep; an initramfs without one belongs to a kernel that has all built in.
  static base::Result<ModuleLoader> open();
  /// Loads `module` and what it needs. One that is built in or loaded already is fine.
  base::Status load(std::string_view module);
  /// Deletes the files from the initramfs: their memory serves the commands better.
  void discard_files();

 private:
  ModuleIndex index_;
};

}  // namespace pyro::guest
