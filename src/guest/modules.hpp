// Loading kernel modules from the initramfs.
// Thread rule: one thread.
#pragma once

#include "base/result.hpp"
#include "guest/module_index.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pyro::guest {

class ModuleLoader {
 public:
  /// Reads /modules/modules.dep; an initramfs without one belongs to a kernel that has all built in.
  static base::Result<ModuleLoader> open();
  /// Loads `module` and what it needs. One that is built in or loaded already is fine.
  base::Status load(std::string_view module);
  /// Keeps what load_rest() needs of the initramfs's files for `module` and deletes the others: their memory serves the commands
  /// better.
  void keep_only(std::string_view module);
  /// Loads what was kept, and deletes it.
  base::Status load_rest();

 private:
  static base::Status load_files(const std::vector<std::string>& files);
  void delete_files();

  ModuleIndex index_;
  /// Files, dependencies first.
  std::vector<std::string> rest_;
};

}  // namespace pyro::guest
