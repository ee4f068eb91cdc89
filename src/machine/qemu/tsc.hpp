// The frequency of the host's time stamp counter, which a guest under TCG reads as its own.
#pragma once

#include <cstdint>

namespace pyro::machine {

/// In kHz, measured against CLOCK_MONOTONIC_RAW over one millisecond (a few parts per million).
///
/// The guest kernel is told, because it cannot find out reliably: its calibration against an emulated
/// timer fails when the host is busy, and without a TSC frequency the kernel then waits for ever.
std::uint64_t measure_tsc_khz() noexcept;

}  // namespace pyro::machine
