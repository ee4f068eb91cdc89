// The environment calls as an operation: one request to pyro-image, its progress, its answer.
// Thread rule: as Op.
#pragma once

#include "client/image_child.hpp"
#include "client/op.hpp"

namespace pyro::client {

/// What pyro_env_X may be given, by X.
struct ImageCall {
  const char* op;
  bool needs_name;
  bool needs_path;
};

inline constexpr ImageCall kEnvList{"list", false, false};
inline constexpr ImageCall kEnvBuild{"build", true, false};
inline constexpr ImageCall kEnvInspect{"inspect", true, false};
inline constexpr ImageCall kEnvImport{"import", true, true};
inline constexpr ImageCall kEnvExport{"export", true, true};
inline constexpr ImageCall kEnvPrune{"prune", false, false};

/// Errors: INVALID.
base::Result<ImageRequest> make_image_request(const ImageCall& call, const pyro_env_options& options);

class ImageOp final : public Op {
 public:
  ImageOp(ContextPtr context, Poller poller, ImageRequest request)
      : Op(std::move(context), std::move(poller)), request_(std::move(request)) {}

 private:
  base::Status step() override;
  void stop() noexcept override;

  ImageRequest request_;
  std::unique_ptr<ImageChild> child_;
};

}  // namespace pyro::client
