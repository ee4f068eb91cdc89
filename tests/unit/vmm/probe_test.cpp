#include "vmm/probe.hpp"

#include <csignal>
#include <string>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "base/clock.hpp"

namespace pyro::vmm {

TEST_SUITE("vmm") {
  TEST_CASE("probe: on any host → one of the four states, in words, within two seconds") {
    const auto begin_ms = base::monotonic_ms();
    const auto probe = probe_kvm();
    const auto took_ms = base::monotonic_ms() - begin_ms;
    REQUIRE(probe.ok());
    MESSAGE("kvm is ", std::string(kvm_state_name(probe->state)), ": ", probe->detail);
    CHECK(took_ms < 2000);
    CHECK_FALSE(probe->detail.empty());
    struct stat info {};
    const bool present = ::stat("/dev/kvm", &info) == 0;
    if (!present) {
      CHECK(probe->state == PYRO_KVM_ABSENT);
    }
    // A KVM that is not the processor's own (module kvm_pvm) must not be taken for one.
    if (present && ::stat("/sys/module/kvm_pvm", &info) == 0 && ::stat("/sys/module/kvm_intel", &info) != 0 &&
        ::stat("/sys/module/kvm_amd", &info) != 0) {
      CHECK(probe->state != PYRO_KVM_ACCELERATED);
    }
  }

  TEST_CASE("probe: run twice → the same state, and no handler or mask is left behind") {
    struct sigaction before {};
    ::sigaction(SIGRTMIN, nullptr, &before);
    const auto first = probe_kvm();
    const auto second = probe_kvm();
    REQUIRE(first.ok());
    REQUIRE(second.ok());
    CHECK(first->state == second->state);
    struct sigaction after {};
    ::sigaction(SIGRTMIN, nullptr, &after);
    const bool same_handler = before.sa_handler == after.sa_handler;
    CHECK(same_handler);
    sigset_t mask;
    ::pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    CHECK(sigismember(&mask, SIGRTMIN) == 0);
  }

  TEST_CASE("probe: every state → the name that the supervisor prints") {
    CHECK(std::string(kvm_state_name(PYRO_KVM_ABSENT)) == "absent");
    CHECK(std::string(kvm_state_name(PYRO_KVM_NO_PERMISSION)) == "no_permission");
    CHECK(std::string(kvm_state_name(PYRO_KVM_EMULATING)) == "emulating");
    CHECK(std::string(kvm_state_name(PYRO_KVM_ACCELERATED)) == "accelerated");
  }
}

}  // namespace pyro::vmm
