// From an exec message to a running program. What depends on the guest's files (user, directory, program) happens in the
// child, inside the commands' namespaces: there it can neither mislead nor block the agent.
// Thread rule: one thread.
#pragma once

#include "guest/cgroups.hpp"
#include "guest/child_plan.hpp"
#include "guest/inner_namespace.hpp"
#include "wire/messages.hpp"

#include <memory>
#include <optional>
#include <string>

namespace pyro::guest {

struct Launched {
  Child child;
  /// End of file: the program runs. Before that, at most one report of why it does not.
  base::Fd report;
  /// The child may live in it until it has executed its program or ended.
  std::unique_ptr<ChildPlan> plan;
};

struct LaunchFailure {
  wire::ExecFailure failure = wire::ExecFailure::none;
  /// With failure `other`.
  pyro_status status = PYRO_OK;
  std::string message;
};

/// Starts the child. An error means that there is none, for want of processes or memory.
base::Result<Launched> launch(wire::Exec exec, const Stdio& stdio, const CommandCgroup& cgroup,
                              const InnerNamespace& inner);

/// Reads the report without blocking: nothing if it is not there yet, failure `none` if the program runs.
std::optional<LaunchFailure> read_report(const Launched& launched);

}  // namespace pyro::guest
