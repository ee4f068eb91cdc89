// SHA-256 of files and texts.
#pragma once

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "state/environment.hpp"

#include <functional>
#include <memory>
#include <string>

namespace pyro::image {

/// SHA-256 of bytes that come in pieces. One thread.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void update(base::ByteView bytes);
  /// The digest of all bytes so far; the object is used up.
  [[nodiscard]] base::Result<state::Digest> finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

base::Result<state::Digest> digest_of(std::string_view text);

/// Called with the number of bytes read so far.
using BytesRead = std::function<void(std::uint64_t)>;

/// Digest and size of the file behind `fd` from its beginning. `what` names it in messages.
base::Result<state::BlobRef> digest_of_file(int fd, const std::string& what, const BytesRead& on_read = {});

}  // namespace pyro::image
