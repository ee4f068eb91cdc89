#include "guest/modules.hpp"

#include "base/io.hpp"
#include "guest/module_image.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <dirent.h>
#include <fcntl.h>
#include <linux/module.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace pyro::guest {

namespace {

constexpr const char* kDirectory = "/modules";
constexpr std::size_t kMaxIndexBytes = 1024 * 1024;

}  // namespace

base::Result<ModuleLoader> ModuleLoader::open() {
  ModuleLoader loader;
  auto text = base::read_file(fmt::format("{}/modules.dep", kDirectory), kMaxIndexBytes);
  if (!text.ok()) {
    if (text.error().sys_errno == ENOENT) {
      return loader;
    }
    return std::move(text).error();
  }
  PYRO_TRY_ASSIGN(loader.index_, ModuleIndex::parse(*text));
  return loader;
}

namespace {

// Without its signature, trace calls and unwind tables if the kernel takes it so; errno says why not. See
// size_without_signature() and guest/module_image.hpp.
bool insert(const base::Fd& fd, bool compressed) {
  if (!compressed) {
    struct stat info {};
    ::fstat(fd.get(), &info);
    const auto size = static_cast<std::size_t>(info.st_size);
    void* const image = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd.get(), 0);
    if (image != MAP_FAILED) {
      const std::span module(static_cast<std::byte*>(image), size);
      remove_trace_calls(module);
      remove_unwind_tables(module);
      const std::size_t used = size_without_signature(module);
      const bool done = ::syscall(SYS_init_module, image, used, "") == 0 || errno == EEXIST;
      ::munmap(image, size);
      if (done) {
        return true;
      }
    }
  }
  const int flags = compressed ? MODULE_INIT_COMPRESSED_FILE : 0;
  return ::syscall(SYS_finit_module, fd.get(), "", flags) == 0 || errno == EEXIST;
}

}  // namespace

base::Status ModuleLoader::load(std::string_view module) {
  return load_files(index_.load_order(module));
}

void ModuleLoader::keep_only(std::string_view module) {
  rest_ = index_.load_order(module);
  delete_files();
}

base::Status ModuleLoader::load_rest() {
  const auto status = load_files(std::exchange(rest_, {}));
  delete_files();
  return status;
}

base::Status ModuleLoader::load_files(const std::vector<std::string>& files) {
  for (const auto& file : files) {
    const std::string path = fmt::format("{}/{}", kDirectory, file);
    PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(path, O_RDONLY));
    if (!insert(fd, !file.ends_with(".ko"))) {
      auto error = base::errno_error(errno, "cannot load the kernel module " + path);
      error.message += "; kernel and modules of the environment do not belong together";
      return error;
    }
  }
  return base::success();
}

void ModuleLoader::delete_files() {
  DIR* directory = ::opendir(kDirectory);
  if (directory == nullptr) {
    return;
  }
  while (const dirent* entry = ::readdir(directory)) {
    if (std::find(rest_.begin(), rest_.end(), entry->d_name) == rest_.end()) {
      ::unlinkat(::dirfd(directory), entry->d_name, 0);
    }
  }
  ::closedir(directory);
}

}  // namespace pyro::guest
