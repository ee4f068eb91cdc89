// The guest kernel out of Debian's cloud kernel package: the kernel itself, and its modules as an initramfs.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "image/initramfs.hpp"
#include "image/store.hpp"
#include "state/environment.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace pyro::image {

/// A kernel with its modules, in the store.
struct Kernel {
  state::Package package;
  /// Release, such as "6.1.0-0-cloud-amd64".
  std::string version;
  state::BlobRef image;
  state::BlobRef initramfs;

  [[nodiscard]] std::string encode() const;
  /// Errors: ENVIRONMENT.
  static base::Result<Kernel> decode(std::string_view text);
};

/// The uncompressed kernel in a bzImage if its compression is known and it can be started so (PVH), which saves every
/// start the unpacking; else `image` as it is. (Documentation/arch/x86/boot.rst)
base::Bytes unpack_kernel(base::Bytes image);

/// The kernels in the store whose files are sound.
std::vector<Kernel> cached_kernels(const Store& store);

/// Takes the kernel out of the package file `deb` and puts it into the store, into its cache too. Takes the store lock.
base::Result<Kernel> add_kernel(const Store& store, const TempDir& temp, const std::string& deb,
                                const state::Package& package, Report& report);

}  // namespace pyro::image
