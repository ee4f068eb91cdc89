// The ids of a user namespace in which the caller is root and its subordinate ids (subuid(5)) are everybody else.
#pragma once

#include "base/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include <sys/types.h>

namespace pyro::image {

/// Ids from 1 that Debian's packages and nobody (65534) need.
inline constexpr std::uint32_t kMappedIds = 65535;

struct IdRange {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

/// The first range of at least kMappedIds - 1 ids that /etc/subuid text has for a user, by name or number;
/// {0, 0} if there is none.
IdRange find_subordinate_range(std::string_view text, std::string_view user, uid_t uid);

/// The first id above all ranges in /etc/subuid text, at least 100000, as useradd(8) begins.
std::uint64_t next_free_id(std::string_view text);

/// Checks what map_ids() needs: newuidmap, newgidmap, ranges. Errors: UNSUPPORTED with what to do.
base::Status check_id_mapping();

/// Maps the ids of the user namespace of child `pid`, by way of newuidmap and newgidmap.
base::Status map_ids(pid_t pid);

}  // namespace pyro::image
