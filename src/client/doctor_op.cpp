#include "client/doctor_op.hpp"

#include "client/doctor.hpp"

namespace pyro::client {

base::Status DoctorOp::step() {
  std::optional<KvmProbe> kvm;
  if (!probe_.has_value()) {
    kvm = known_probe(context());
    if (!kvm.has_value()) {
      probe_.emplace(context_ptr(), poller());
    }
  }
  if (probe_.has_value()) {
    kvm = probe_->poll();
  }
  if (kvm.has_value()) {
    Event event;
    event.kind = PYRO_EVENT_DONE;
    event.doctor = make_report(context(), *kvm);
    emit(std::move(event));
  }
  return base::success();
}

}  // namespace pyro::client
