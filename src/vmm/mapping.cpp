#include "vmm/mapping.hpp"

#include <cerrno>
#include <string>
#include <utility>

#include <sys/mman.h>

namespace pyro::vmm {

base::Result<Mapping> Mapping::map(std::size_t size_bytes, int protection, int flags, int fd, const char* what) {
  void* address = ::mmap(nullptr, size_bytes, protection, flags, fd, 0);
  if (address == MAP_FAILED) {
    return base::errno_error(errno, std::string("cannot map ") + what);
  }
  return Mapping(address, size_bytes);
}

Mapping::Mapping(Mapping&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

Mapping::~Mapping() {
  if (address_ != nullptr) {
    ::munmap(address_, size_bytes_);
  }
}

}  // namespace pyro::vmm
