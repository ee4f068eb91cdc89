#include "image/digest.hpp"

#include <array>
#include <cerrno>
#include <vector>

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

namespace pyro::image {

namespace {
/// Large enough that the calls cost nothing beside the hashing.
constexpr std::size_t kReadBytes = 1u << 20;
}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  bool good = md != nullptr && EVP_DigestInit_ex(md, EVP_sha256(), nullptr) == 1;
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { EVP_MD_CTX_free(md); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(base::ByteView bytes) {
  context_->good = context_->good && EVP_DigestUpdate(context_->md, bytes.data(), bytes.size()) == 1;
}

base::Result<state::Digest> Sha256::finish() {
  std::array<unsigned char, 32> digest{};
  if (!context_->good || EVP_DigestFinal_ex(context_->md, digest.data(), nullptr) != 1) {
    return base::make_error(PYRO_ERROR_INTERNAL, "cannot compute SHA-256: libcrypto refuses it");
  }
  std::string hex;
  for (const unsigned char byte : digest) {
    hex += fmt::format("{:02x}", byte);
  }
  return state::Digest::from_hex(hex);
}

base::Result<state::Digest> digest_of(std::string_view text) {
  Sha256 hash;
  hash.update(base::as_bytes(text));
  return hash.finish();
}

base::Result<state::BlobRef> digest_of_file(int fd, const std::string& what, const BytesRead& on_read) {
  Sha256 hash;
  std::vector<std::byte> buffer(kReadBytes);
  state::BlobRef blob;
  while (true) {
    const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(blob.size));
    if (got < 0) {
      if (errno == EINTR) {
        continue;
      }
      return base::errno_error(errno, "cannot read " + what);
    }
    if (got == 0) {
      break;
    }
    hash.update({buffer.data(), static_cast<std::size_t>(got)});
    blob.size += static_cast<std::uint64_t>(got);
    if (on_read) {
      on_read(blob.size);
    }
  }
  PYRO_TRY_ASSIGN(blob.digest, hash.finish());
  return blob;
}

}  // namespace pyro::image
