// pyro-image: builds, imports, exports and checks environments, for libpyro. It reads one request from stdin, answers
// on stdout (docs/architecture/image.md), and ends with everything it started when stdin does: that is how it learns
// that its client is gone.
//
// This process only watches; the work is done by a worker (worker.hpp).
#include "base/build_id.hpp"
#include "base/io.hpp"
#include "image/operations.hpp"
#include "image/report.hpp"
#include "image/request.hpp"
#include "image/store.hpp"
#include "image/worker.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string_view>

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyro::image {
namespace {

using OperationFunction = base::Result<Outcome> (*)(const Job&);

struct Plan {
  OperationFunction run = nullptr;
  Isolation isolation = Isolation::none;
  /// Where namespaces are only good for what earlier builds left, do without if they cannot be had.
  bool isolation_optional = false;
};

base::Result<Plan> plan_for(const Request& request) {
  switch (request.operation) {
    case Operation::list:
      return Plan{list_environments};
    case Operation::inspect:
      return Plan{inspect_environment};
    case Operation::verify:
      return Plan{verify_operation};
    case Operation::export_environment:
      return Plan{export_environment};
    case Operation::scratch:
      return Plan{make_scratch};
    case Operation::prune:
      return Plan{prune_store, Isolation::namespaces, true};
    case Operation::build:
      return Plan{build_environment, Isolation::namespaces};
    case Operation::import_environment: {
      PYRO_TRY_ASSIGN(const bool bundle, is_bundle(request.path));
      return bundle ? Plan{import_bundle} : Plan{import_root, Isolation::namespaces};
    }
  }
  return base::make_error(PYRO_ERROR_INTERNAL, "unplanned operation");
}

/// One line from stdin; nothing if the client went away first.
std::optional<std::string> read_request_line() {
  std::string line;
  while (line.size() <= kMaxRequestBytes) {
    char c = 0;
    const ssize_t got = ::read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got <= 0) {
      return std::nullopt;
    }
    if (c == '\n') {
      return line;
    }
    line += c;
  }
  return line;
}

/// Waits until the worker ends (true) or the client is gone (false).
bool wait_for_end(int pidfd) {
  std::array<pollfd, 2> watched = {{{STDIN_FILENO, POLLIN, 0}, {pidfd, POLLIN, 0}}};
  while (true) {
    if (::poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) {
      return false;
    }
    if (watched[1].revents != 0) {
      return true;
    }
    if (watched[0].revents != 0) {
      std::array<char, 256> ignored;
      const ssize_t got = ::read(STDIN_FILENO, ignored.data(), ignored.size());
      if (got == 0 || (got < 0 && errno != EINTR && errno != EAGAIN)) {
        return false;
      }
    }
  }
}

/// Removes what a killed worker left, with the ids it had.
void clean_up(const Store& store, Isolation isolation) {
  const auto sweeper = start_worker(isolation, [&] {
    store.sweep();
    return 0;
  });
  if (sweeper.ok()) {
    int status = 0;
    ::waitpid(sweeper->pid, &status, 0);
  }
}

/// Runs the request in a worker, which reports the outcome itself. What is returned is what kept it from doing so.
base::Status serve(const std::string& line, Report& report) {
  PYRO_TRY_ASSIGN(const Request request, parse_request(line, base::build_id()));
  PYRO_TRY_ASSIGN(const Store store, Store::open(request.home, ::getpid()));
  PYRO_TRY_ASSIGN(Plan plan, plan_for(request));
  const auto body = [&] {
    auto outcome = plan.run(Job{request, store, report});
    if (outcome.ok()) {
      report.done(*outcome);
    } else {
      report.error(store.explain(std::move(outcome).error()));
    }
    return 0;
  };
  auto worker = start_worker(plan.isolation, body);
  if (!worker.ok() && plan.isolation_optional) {
    plan.isolation = Isolation::none;
    worker = start_worker(plan.isolation, body);
  }
  if (!worker.ok()) {
    return std::move(worker).error();
  }
  const bool ended = wait_for_end(worker->pidfd.get());
  const int status = end_worker(*worker);
  if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    clean_up(store, plan.isolation);
  }
  if (ended && WIFSIGNALED(status)) {
    return base::make_error(WTERMSIG(status) == SIGKILL ? PYRO_ERROR_LIMIT : PYRO_ERROR_INTERNAL,
                            "the worker of pyro-image was killed by signal {}{}", WTERMSIG(status),
                            WTERMSIG(status) == SIGKILL ? " (out of memory?)" : "");
  }
  if (ended && WEXITSTATUS(status) != 0) {
    return base::make_error(PYRO_ERROR_UNSUPPORTED,
                            "cannot set up the namespaces of the build: the host or container forbids mounts in them; "
                            "build as root, or import an exported environment");
  }
  return base::success();
}

}  // namespace
}  // namespace pyro::image

int main(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "--version") {
    std::printf("pyro-image %s\n", pyro::base::build_id());
    return 0;
  }
  if (argc > 1 || ::isatty(STDIN_FILENO) != 0) {
    std::fputs("pyro-image is a helper of libpyro: use 'pyro env'. By hand only: pyro-image --version\n", stderr);
    return 2;
  }
  // A client may have ignored SIGCHLD, which would hide how children end; and a client that is gone is noticed by
  // stdin, not by death in the middle of a write.
  ::signal(SIGCHLD, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  try {
    if (const auto line = pyro::image::read_request_line()) {
      pyro::image::Report report(STDOUT_FILENO);
      const auto served = pyro::image::serve(*line, report);
      if (!served.ok()) {
        report.error(served.error());
      }
    }
    return 0;
  } catch (...) {
    // Out of memory: the client sees the end of the answers and says so.
    return 1;
  }
}
