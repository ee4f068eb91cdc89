// Operations on files: what the agent's child does instead of executing a program (wire/file_messages.hpp). By then it is
// inside the commands' namespaces and root, has become the user and closed what is the agent's; so paths mean what they
// mean to a command, links included, and nothing that a command left there can mislead more than a command itself.
// Thread rule: runs in a child of its own.
#pragma once

#include "base/fd.hpp"
#include "wire/file_messages.hpp"

namespace pyro::guest {

/// The descriptor that a tool finds next to its standard streams, if its request needs one.
inline constexpr int kFileToolFd = 4;

/// Opens what the tool is to have as kFileToolFd, while the agent's own files can still be reached; none for most.
base::Fd open_for_file_tool(const wire::FileRequest& request);

/// Does it: data on standard input and output, the report on standard error.
[[noreturn]] void run_file_tool(const wire::FileRequest& request);

}  // namespace pyro::guest
