// Why a guest stopped running, and the one place where whoever notices says so.
// Thread rule: any thread.
#pragma once

#include "base/fd.hpp"

#include <mutex>
#include <optional>
#include <string>

namespace pyro::vmm {

struct RunEnd {
  enum class Kind {
    powered_off,   // the guest asked for it
    reset,         // the guest asked for a reset
    triple_fault,  // a vCPU shut itself down
    not_emulated,  // the guest's kernel did what KVM cannot do for it
    failed,        // KVM could not go on
  };
  Kind kind = Kind::failed;
  std::string detail;
};

class RunEndReport {
 public:
  static base::Result<RunEndReport> create();
  RunEndReport(RunEndReport&& other) noexcept : event_(std::move(other.event_)) {}

  /// The first report counts; those of the other vCPUs are its consequences.
  void report(RunEnd end) noexcept;
  /// What was reported, if anything was.
  [[nodiscard]] std::optional<RunEnd> get() const;
  /// An eventfd: readable as soon as there is a report.
  [[nodiscard]] int fd() const noexcept { return event_.get(); }

 private:
  explicit RunEndReport(base::Fd event) noexcept : event_(std::move(event)) {}

  base::Fd event_;
  mutable std::mutex mutex_;
  std::optional<RunEnd> end_;
};

}  // namespace pyro::vmm
