// The process that does the work. pyro-image itself only watches its client; a worker can therefore be ended at any
// point, and everything below it with it: it is killed when pyro-image dies, and where it is PID 1 of its own PID
// namespace, every process that a package script left behind dies with it, and its mounts vanish.
// Thread rule: for single-threaded processes (a worker is a fork that runs C++ code).
#pragma once

#include "base/fd.hpp"
#include "base/result.hpp"

#include <functional>

#include <sys/types.h>

namespace pyro::image {

enum class Isolation {
  /// A plain child: reads and writes files of the caller only.
  none,
  /// Own PID and mount namespaces; without root also a user namespace in which the caller is root and the
  /// caller's subordinate ids are all other users, so that packages keep their owners.
  namespaces,
};

struct Worker {
  pid_t pid = -1;
  /// Readable when it has ended.
  base::Fd pidfd;
};

/// Starts `body` in a worker; what it returns is the exit code. Errors: UNSUPPORTED with what is missing (user
/// namespaces, subordinate ids, newuidmap).
base::Result<Worker> start_worker(Isolation isolation, const std::function<int()>& body);

/// Kills the worker if it still runs, and waits for its end. Gives its wait status.
int end_worker(const Worker& worker);

}  // namespace pyro::image
