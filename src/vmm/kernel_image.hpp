// Loading a kernel and its initrd into guest memory: an uncompressed x86-64 ELF kernel (System V ABI), or a bzImage by its
// 64-bit entry point (Documentation/x86/boot.rst). The files are an environment's, and checked as hostile.
// Thread rule: pure but for reading the file; before the guest runs.
#pragma once

#include "base/bytes.hpp"
#include "base/fd.hpp"
#include "base/result.hpp"
#include "memory/guest_memory.hpp"

#include <cstdint>
#include <span>

namespace pyro::vmm {

struct LoadedKernel {
  /// Where the first vCPU begins, in 64-bit mode with the zero page's address in RSI.
  std::uint64_t entry_gpa = 0;
  /// Nothing else may lie between layout::kKernelGpa and this.
  std::uint64_t end_gpa = 0;
  /// The setup header of a bzImage (from offset 0x1f1 on), as it goes into the zero page; empty for ELF.
  base::Bytes setup_header;
};

/// Errors: ENVIRONMENT if the file is no kernel of these two kinds; LIMIT if it does not fit into memory.
base::Result<LoadedKernel> load_kernel(int fd, const memory::GuestMemory& memory);

/// A piece of an initrd: the first `size_bytes` of a file, and what comes after them.
struct InitrdPart {
  base::Fd file;
  std::uint64_t size_bytes = 0;
  base::Bytes tail;
};

struct LoadedInitrd {
  std::uint64_t gpa = 0;
  std::uint64_t size_bytes = 0;
};

/// Loads an initrd, one piece after the other, at the end of low memory. Errors: as load_kernel.
base::Result<LoadedInitrd> load_initrd(std::span<const InitrdPart> parts, const memory::GuestMemory& memory,
                                       std::uint64_t kernel_end_gpa);

}  // namespace pyro::vmm
