// Identity of this build: library, supervisor, image program and agent refuse a foreign one.
#pragma once

namespace pyro::base {

/// "<version>-<digest of all sources>". Static.
const char* build_id() noexcept;

}  // namespace pyro::base
