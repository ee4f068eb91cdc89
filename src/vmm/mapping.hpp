// Mapping: a mapping of memory, unmapped with its owner.
// Thread rule: an owner is one thread's; the memory itself is anybody's.
#pragma once

#include "base/result.hpp"

#include <cstddef>

namespace pyro::vmm {

class Mapping {
 public:
  Mapping() noexcept = default;
  /// Maps `size_bytes` as mmap() does, at an address of the kernel's choice.
  static base::Result<Mapping> map(std::size_t size_bytes, int protection, int flags, int fd, const char* what);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();

  [[nodiscard]] void* get() const noexcept { return address_; }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }

 private:
  Mapping(void* address, std::size_t size_bytes) noexcept : address_(address), size_bytes_(size_bytes) {}

  void* address_ = nullptr;
  std::size_t size_bytes_ = 0;
};

}  // namespace pyro::vmm
