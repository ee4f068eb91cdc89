// pyro_doctor() as an operation: the measurement of /dev/kvm, then the checks. Thread rule: as Op.
#pragma once

#include "client/kvm_probe.hpp"
#include "client/op.hpp"

namespace pyro::client {

class DoctorOp final : public Op {
 public:
  using Op::Op;

 private:
  base::Status step() override;
  void stop() noexcept override {
    if (probe_.has_value()) {
      probe_->stop();
    }
  }

  std::optional<ProbeRun> probe_;
};

}  // namespace pyro::client
