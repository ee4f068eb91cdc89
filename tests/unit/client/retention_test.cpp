// When what has ended is deleted: by the times that its records tell, so that no test waits for a clock.
#include "client/vm_info.hpp"

#include <doctest/doctest.h>

namespace pyro::client {

namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;

VmInfo stopped() {
  VmInfo info;
  info.state = PYRO_VM_STOPPED;
  info.record.retention_ms = 5000;
  info.last_use_ns = 100 * kSecondNs;
  return info;
}

}  // namespace

TEST_CASE("retention: it has ended → deleted so long after its last use; none → never") {
  VmInfo info = stopped();
  CHECK(delete_at(info) == 105);
  info.state = PYRO_VM_FAILED;
  CHECK(delete_at(info) == 105);
  info.record.retention_ms = 0;
  CHECK(delete_at(info) == 0);
}

TEST_CASE("retention: it runs or starts → never") {
  for (const pyro_vm_state state : {PYRO_VM_RUNNING, PYRO_VM_STARTING}) {
    VmInfo info = stopped();
    info.state = state;
    CHECK(delete_at(info) == 0);
  }
}

TEST_CASE("retention: a VM that expired → at once; a task that did → after its retention") {
  VmInfo info = stopped();
  info.reason = "expired: nobody used it for 600 s";
  CHECK(delete_at(info) == 105);
  info.record.kind = state::VmKind::vm;
  CHECK(delete_at(info) == 100);
  info.reason = "a client stopped it";
  CHECK(delete_at(info) == 105);
}

}  // namespace pyro::client
