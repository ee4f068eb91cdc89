// The tables of the registry, and how those of an older version become today's.
// Thread rule: as Database.
#pragma once

#include "registry/database.hpp"

namespace pyro::registry {

/// "pyro", in the header of the file (PRAGMA application_id).
inline constexpr std::int64_t kApplicationId = 0x7079726f;
/// PRAGMA user_version. Version 1 had no journal places and marks.
inline constexpr std::int64_t kSchemaVersion = 2;

/// Makes the tables of a new file, or brings older ones up to date, in one transaction. Touches nothing of a newer
/// version. Errors: UNSUPPORTED (newer), STATE (damaged, or something else), TIMEOUT.
base::Status prepare_schema(const Database& database);

/// Refuses a newer version that is whole enough to say so. Errors: UNSUPPORTED.
base::Status check_not_newer(const Database& database);

}  // namespace pyro::registry
