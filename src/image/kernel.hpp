// The guest kernel out of Debian's cloud kernel package: the kernel itself, and its modules as an initramfs.
#pragma once

#include "base/bytes.hpp"
#include "base/fd.hpp"
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

/// A kernel of the store that a build or an import will need later. Nothing in the store needs it yet, so a prune may
/// remove it until the commit; its files are held open here, and put back.
class KernelHold {
 public:
  /// `is_cached`: it has a record of its own, which is put back too. Errors: ENVIRONMENT if its files are not there.
  static base::Result<KernelHold> open(const Store& store, Kernel kernel, bool is_cached);

  [[nodiscard]] const Kernel& kernel() const noexcept { return kernel_; }
  /// Puts back what was removed. Call with the store lock, and keep that until the commit.
  base::Status restore(const Store& store, const TempDir& temp, Report& report) const;

 private:
  Kernel kernel_;
  bool is_cached_ = false;
  base::Fd image_;
  base::Fd initramfs_;
};

/// The kernels in the store whose files are sound.
std::vector<KernelHold> cached_kernels(const Store& store);

/// Takes the kernel out of the package file `deb` and puts it into the store, into its cache too. Takes the store lock.
base::Result<KernelHold> add_kernel(const Store& store, const TempDir& temp, const std::string& deb,
                                    const state::Package& package, Report& report);

}  // namespace pyro::image
