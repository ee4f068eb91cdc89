// Making the registry again, as an operation. Thread rule: as Op.
#pragma once

#include "client/op.hpp"

namespace pyro::client {

class RebuildRegistryOp final : public Op {
 public:
  using Op::Op;

 private:
  base::Status step() override;
  void stop() noexcept override {}
};

}  // namespace pyro::client
