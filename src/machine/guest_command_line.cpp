#include "machine/guest_command_line.hpp"

#include <fmt/format.h>

namespace pyro::machine {

namespace {

// quiet, panic=-1: only a panic speaks, and ends the VM at once.
// mitigations=off init_on_alloc=0: the guest is one trust domain.
// no_timer_check cryptomgr.notests: skip self-tests, a third of the boot under emulation.
// rcu_expedited: with few processors, what waits for all of them asks them instead of waiting for their clock ticks.
constexpr const char* kCommon =
    "console=ttyS0 quiet panic=-1 mitigations=off init_on_alloc=0 tsc=reliable no_timer_check cryptomgr.notests "
    "rcupdate.rcu_expedited=1";

// Parts of the kernel's start that serve nothing here, nearly half of its instructions. Names that a kernel does not
// know it ignores (Documentation/admin-guide/kernel-parameters.txt, initcall_blacklist); of a name that several functions
// have it leaves out all, so each of these has to be the only one.
constexpr const char* kSkipped =
    "initcall_blacklist="
    // What tracefs shows, thousands of files (9 MiB). Tracepoints themselves work, for BPF programs.
    "tracer_init_tracefs,init_kprobe_trace,init_uprobe_trace,trace_eval_init,ftrace_check_for_weak_functions,"
    // Type information of the kernel, for functions that it offers to BPF programs; it is read when a program is loaded.
    // cubictcp_register is among them: TCP's congestion control is Reno. Modules that offer such functions load, with a
    // warning.
    "btf_module_init,cubictcp_register,bpf_rstat_kfunc_init,bpf_key_sig_kfuncs_init,kfunc_init,bpf_prog_test_run_init,"
    "bpf_tcp_ca_kfunc_init,"
    // /sys/kernel/slab (for caches made later, too), a self-test, and the keys that modules are signed with: a virtual
    // machine's modules are its own.
    "slab_sysfs_init,crypto_kdf108_init,load_system_certificate_list";

}  // namespace

std::string qemu_command_line(std::uint64_t tsc_khz) {
  // tsc_early_khz: see measure_tsc_khz().
  // lpj: skips a calibration; only scales udelay(), which no device of ours needs to be exact.
  // norandmaps: QEMU keeps translated code by its virtual address, so that a program at a random address is translated
  // again each time it starts: half the time of a short command.
  return fmt::format("{} {} tsc_early_khz={} lpj=4000000 norandmaps", kCommon, kSkipped, tsc_khz);
}

std::string kvm_command_line() {
  // pci=off: there is no bus to look for. 8250.nr_uarts: nor any serial port but the first.
  // reboot=a: by the reset register. Without being told, a kernel on hardware-reduced ACPI asks EFI, which is not here,
  // and then jumps into a BIOS, which is not either.
  return fmt::format("{} {} pci=off 8250.nr_uarts=1 reboot=a", kCommon, kSkipped);
}

}  // namespace pyro::machine
