// System call filters, one per kind of thread of pyro-vm. They are allow-lists, generated at build time
// from the table in jail/seccomp_rules.cpp: what is not in the table ends the whole process.
// Thread rule: install_filter() binds the calling thread only (and what it would start).
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <span>

struct sock_filter;

namespace pyro::jail {

/// Which work a thread does, and so which filter it gets.
enum class ThreadKind : std::uint8_t {
  /// The main loop of a pyro-vm that runs the VM itself (kvm engine).
  main,
  /// One vCPU: KVM_RUN and doorbells.
  vcpu,
  /// Reads and writes of the VM's disks.
  block,
  /// The main loop of a pyro-vm whose engine is a child process (software engine).
  supervisor,
};

/// The one signal that threads of pyro-vm may send each other, to get a vCPU out of KVM_RUN: glibc's
/// SIGRTMIN, as a constant.
inline constexpr int kKickSignal = 34;

struct FilterOptions {
  /// supervisor: the one process that the thread may signal, and only with SIGKILL. -1: none.
  int engine_pidfd = -1;
};

/// Puts the calling thread under its filter, for good. To be called as a thread's first act; on the main
/// thread last, after every other thread exists. Needs no_new_privs (confine_early()). A second filter
/// can only take more away.
base::Status install_filter(ThreadKind kind, const FilterOptions& options = {});

/// The filter's program as generated, with placeholders where install_filter() puts run-time values.
std::span<const sock_filter> filter_program(ThreadKind kind) noexcept;

}  // namespace pyro::jail
