// Kernels and initrds as an environment has them, into the memory of a small VM.
// Invariant: what was loaded lies in RAM, above what the monitor itself puts there, and nothing overlaps.
#include <cstdint>
#include <cstdlib>

#include <sys/mman.h>
#include <unistd.h>

#include "vmm/boot.hpp"
#include "vmm/kernel_image.hpp"
#include "vmm/layout.hpp"

namespace {

using namespace pyro;
using vmm::layout::kMib;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

const memory::GuestMemory& guest_memory() {
  static const memory::GuestMemory memory = [] {
    constexpr memory::Range range{0, 32 * kMib};
    auto made = memory::GuestMemory::create(std::span(&range, 1), memory::GuestMemory::Backing::anonymous);
    require(made.ok());
    return std::move(*made);
  }();
  return memory;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const int file = ::memfd_create("kernel", MFD_CLOEXEC);
  require(::ftruncate(file, 0) == 0 && ::pwrite(file, data, size, 0) == static_cast<ssize_t>(size));
  const auto kernel = vmm::load_kernel(file, guest_memory());
  if (!kernel.ok()) {
    require(kernel.error().code == PYRO_ERROR_ENVIRONMENT || kernel.error().code == PYRO_ERROR_LIMIT);
    return 0;
  }
  require(kernel->end_gpa >= vmm::layout::kKernelGpa && kernel->end_gpa <= guest_memory().size_bytes());
  require(kernel->entry_gpa >= vmm::layout::kKernelGpa && kernel->entry_gpa < kernel->end_gpa);
  static std::vector<vmm::InitrdPart> parts(1);
  parts[0].file = base::Fd(::dup(file));
  parts[0].size_bytes = size;
  const auto initrd = vmm::load_initrd(parts, guest_memory(), kernel->end_gpa);
  if (initrd.ok()) {
    require(initrd->gpa >= kernel->end_gpa && initrd->gpa + initrd->size_bytes <= guest_memory().size_bytes());
  }
  return 0;
}
