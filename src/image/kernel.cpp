#include "image/kernel.hpp"

#include "base/io.hpp"
#include "image/archive_reader.hpp"
#include "image/verify.hpp"
#include "state/json.hpp"

#include <cerrno>
#include <filesystem>

#include <archive_entry.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include <boost/json.hpp>

namespace pyro::image {

namespace json = boost::json;

namespace {

/// Debian's largest kernel is 12 MiB compressed and 60 MiB uncompressed.
constexpr std::size_t kMaxKernelBytes = 256u << 20;
/// The largest module of a distribution kernel has 8 MiB.
constexpr std::size_t kMaxModuleBytes = 64u << 20;
constexpr std::size_t kMaxWordBytes = 256;

// Offsets in the setup header (boot.rst, "The Real-Mode Kernel Header").
constexpr std::size_t kSetupSectsOffset = 0x1f1;
constexpr std::size_t kMagicOffset = 0x202;
constexpr std::size_t kProtocolOffset = 0x206;
constexpr std::size_t kPayloadOffset = 0x248;
/// payload_offset and payload_length exist since 2.08.
constexpr std::uint16_t kPayloadProtocol = 0x0208;
constexpr std::size_t kSectorBytes = 512;
/// Behind the compressed kernel stands its uncompressed size.
constexpr std::size_t kPayloadTrailerBytes = 4;

base::ByteReader reader_at(base::ByteView bytes, std::size_t offset) {
  return base::ByteReader(offset <= bytes.size() ? bytes.subspan(offset) : base::ByteView());
}

base::ByteView find_payload(base::ByteView image) {
  if (base::as_text(reader_at(image, kMagicOffset).raw(4)) != "HdrS" ||
      reader_at(image, kProtocolOffset).u16() < kPayloadProtocol) {
    return {};
  }
  // 0 stands for 4, for historical reasons.
  const std::size_t setup_sects = reader_at(image, kSetupSectsOffset).u8();
  base::ByteReader header = reader_at(image, kPayloadOffset);
  const std::size_t offset = header.u32();
  const std::size_t length = header.u32();
  const std::size_t start = ((setup_sects == 0 ? 4 : setup_sects) + 1) * kSectorBytes + offset;
  if (length <= kPayloadTrailerBytes || start > image.size() || length > image.size() - start) {
    return {};
  }
  return image.subspan(start, length - kPayloadTrailerBytes);
}

struct KernelFiles {
  std::string version;
  base::Bytes image;
  ModuleSet modules;
};

base::Result<Module> read_module(archive* tar, const std::string& file) {
  PYRO_TRY_ASSIGN(base::Bytes content, read_entry(tar, kMaxModuleBytes, file));
  Module module;
  module.file = file;
  if (file.ends_with(".ko")) {
    PYRO_TRY_ASSIGN(module.info, read_module_info(content, file));
  } else {
    PYRO_TRY_ASSIGN(const base::Bytes plain, decompress(content, kMaxModuleBytes, file));
    PYRO_TRY_ASSIGN(module.info, read_module_info(plain, file));
  }
  module.content = std::move(content);
  return module;
}

base::Result<KernelFiles> read_package(const std::string& deb_path) {
  PYRO_TRY_ASSIGN(const DebReader deb, DebReader::open(deb_path));
  KernelFiles files;
  constexpr std::string_view image_prefix = "boot/vmlinuz-";
  while (true) {
    PYRO_TRY_ASSIGN(archive_entry * entry, next_entry(deb.tar(), deb_path));
    if (entry == nullptr) {
      break;
    }
    if (archive_entry_filetype(entry) != AE_IFREG) {
      continue;
    }
    const std::string name = relative_name(entry);
    const std::string file = name.substr(name.find_last_of('/') + 1);
    if (name.starts_with(image_prefix)) {
      files.version = name.substr(image_prefix.size());
      PYRO_TRY_ASSIGN(files.image, read_entry(deb.tar(), kMaxKernelBytes, name));
    } else if (file.ends_with(".ko") || file.ends_with(".ko.xz") || file.ends_with(".ko.zst")) {
      PYRO_TRY_ASSIGN(Module module, read_module(deb.tar(), file));
      const std::string module_key = module.info.name;
      files.modules.emplace(module_key, std::move(module));
    }
  }
  if (files.image.empty() || files.modules.empty()) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "{} has no kernel or no modules in it", deb_path);
  }
  return files;
}

base::Result<state::BlobRef> add_bytes(const Store& store, const TempDir& temp, base::ByteView bytes,
                                       const std::string& what, Report& report) {
  const std::string file = temp.file("blob");
  {
    PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    PYRO_TRY(base::write_all(fd.get(), bytes, file));
  }
  return store.add_blob(file, what, report);
}

base::Result<base::Fd> open_blob(const Store& store, const state::BlobRef& blob, std::string_view what) {
  const std::string path = store.path(state::blob_path(blob.digest));
  auto fd = base::open_file(path, O_RDONLY | O_NOFOLLOW);
  if (!fd.ok()) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "the {} is missing: {}", what, fd.error().message);
  }
  return fd;
}

/// Puts a blob that was removed from the store back, from the descriptor that still holds it.
base::Status restore_blob(const Store& store, const TempDir& temp, const state::BlobRef& blob, int held,
                          const std::string& what, Report& report) {
  if (::access(store.path(state::blob_path(blob.digest)).c_str(), F_OK) == 0) {
    return base::success();
  }
  const std::string file = temp.file("restored");
  {
    PYRO_TRY_ASSIGN(const base::Fd fd, base::open_file(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0600));
    for (off_t offset = 0; static_cast<std::uint64_t>(offset) < blob.size;) {
      const ssize_t put = ::sendfile(fd.get(), held, &offset, blob.size - static_cast<std::uint64_t>(offset));
      if (put < 0 && errno != EINTR) {
        return base::errno_error(errno, "cannot write " + file);
      }
      if (put == 0) {
        break;
      }
    }
  }
  PYRO_TRY_ASSIGN(const state::BlobRef restored, store.add_blob(file, what, report));
  if (restored != blob) {
    return base::make_error(PYRO_ERROR_ENVIRONMENT, "the {} was changed while it was needed", what);
  }
  return base::success();
}

std::string record_path(const state::Package& package) {
  return fmt::format("{}/v{}-{}_{}", kKernelsDir, kInitramfsVersion, package.name, package.version);
}

json::object blob_object(const state::BlobRef& blob) {
  return {{"digest", blob.digest.text()}, {"size", static_cast<std::int64_t>(blob.size)}};
}

base::Result<state::BlobRef> read_blob(const json::value& value) {
  state::JsonObjectReader reader(value, "kernel record", PYRO_ERROR_ENVIRONMENT);
  const std::string digest = reader.text("digest", kMaxWordBytes);
  const std::int64_t size = reader.number("size", 1, state::kMaxBlobBytes);
  PYRO_TRY(reader.finish());
  state::BlobRef blob;
  PYRO_TRY_ASSIGN(blob.digest, state::Digest::parse(digest));
  blob.size = static_cast<std::uint64_t>(size);
  return blob;
}

}  // namespace

base::Bytes unpack_kernel(base::Bytes image) {
  const base::ByteView payload = find_payload(image);
  if (payload.empty()) {
    return image;
  }
  auto unpacked = decompress(payload, kMaxKernelBytes, "the kernel");
  return unpacked.ok() && has_pvh_entry(unpacked.value()) ? std::move(unpacked).value() : image;
}

std::string Kernel::encode() const {
  json::object out;
  out["format"] = state::kEnvironmentFormat;
  out["name"] = package.name;
  out["package_version"] = package.version;
  out["sha256"] = package.sha256;
  out["version"] = version;
  out["kernel"] = blob_object(image);
  out["initramfs"] = blob_object(initramfs);
  return json::serialize(out);
}

base::Result<Kernel> Kernel::decode(std::string_view text) {
  PYRO_TRY_ASSIGN(const json::value value,
                  state::parse_json(text, state::kMaxRecordBytes, "kernel record", PYRO_ERROR_ENVIRONMENT));
  state::JsonObjectReader reader(value, "kernel record", PYRO_ERROR_ENVIRONMENT);
  Kernel out;
  reader.number("format", state::kEnvironmentFormat, state::kEnvironmentFormat);
  out.package.name = reader.text("name", kMaxWordBytes);
  out.package.version = reader.text("package_version", kMaxWordBytes);
  out.package.sha256 = reader.text("sha256", kMaxWordBytes);
  out.version = reader.text("version", kMaxWordBytes);
  const json::value* image = reader.member("kernel");
  const json::value* initramfs = reader.member("initramfs");
  PYRO_TRY(reader.finish());
  PYRO_TRY_ASSIGN(out.image, read_blob(*image));
  PYRO_TRY_ASSIGN(out.initramfs, read_blob(*initramfs));
  return out;
}

base::Result<KernelHold> KernelHold::open(const Store& store, Kernel kernel, bool is_cached) {
  KernelHold hold;
  hold.kernel_ = std::move(kernel);
  hold.is_cached_ = is_cached;
  PYRO_TRY_ASSIGN(hold.image_, open_blob(store, hold.kernel_.image, "kernel"));
  PYRO_TRY_ASSIGN(hold.initramfs_, open_blob(store, hold.kernel_.initramfs, "initramfs"));
  return hold;
}

base::Status KernelHold::restore(const Store& store, const TempDir& temp, Report& report) const {
  PYRO_TRY(restore_blob(store, temp, kernel_.image, image_.get(), "kernel", report));
  PYRO_TRY(restore_blob(store, temp, kernel_.initramfs, initramfs_.get(), "initramfs", report));
  const std::string record = record_path(kernel_.package);
  if (is_cached_ && ::access(store.path(record).c_str(), F_OK) != 0) {
    PYRO_TRY(store.put_record(temp, record, kernel_.encode(), 0600));
  }
  return base::success();
}

std::vector<KernelHold> cached_kernels(const Store& store) {
  std::vector<KernelHold> kernels;
  std::error_code absent;
  for (const auto& entry : std::filesystem::directory_iterator(store.path(kKernelsDir), absent)) {
    const auto text = base::read_file(entry.path().string(), state::kMaxRecordBytes);
    const auto kernel = text.ok() ? Kernel::decode(text.value()) : text.error();
    if (!kernel.ok() || entry.path().string() != store.path(record_path(kernel->package)) ||
        !check_blob(store, kernel->image, "kernel").ok() || !check_blob(store, kernel->initramfs, "initramfs").ok()) {
      continue;
    }
    if (auto hold = KernelHold::open(store, kernel.value(), true); hold.ok()) {
      kernels.push_back(std::move(hold).value());
    }
  }
  return kernels;
}

base::Result<KernelHold> add_kernel(const Store& store, const TempDir& temp, const std::string& deb,
                                    const state::Package& package, Report& report) {
  report.progress("kernel", "unpacking the guest kernel");
  PYRO_TRY_ASSIGN(KernelFiles files, read_package(deb));
  Kernel kernel;
  kernel.package = package;
  kernel.version = files.version;
  const base::Bytes image = unpack_kernel(std::move(files.image));
  const base::Bytes initramfs = build_initramfs(select_modules(files.modules, wanted_modules()));
  PYRO_TRY_ASSIGN(const FileLock store_lock, store.lock(kStoreLock, LockKind::shared, report));
  PYRO_TRY_ASSIGN(kernel.image, add_bytes(store, temp, image, "kernel", report));
  PYRO_TRY_ASSIGN(kernel.initramfs, add_bytes(store, temp, initramfs, "initramfs", report));
  PYRO_TRY(store.put_record(temp, record_path(package), kernel.encode(), 0600));
  return KernelHold::open(store, std::move(kernel), true);
}

}  // namespace pyro::image
