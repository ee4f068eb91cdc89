// asio.hpp - completion tokens for libpyro: co_await, futures or callbacks, on any Asio executor.
//
//   pyro::AsyncPyro pyro(co_await asio::this_coro::executor);
//   const pyro::RunOptions request{.environment = "debian:12", .command = "uname -r"};
//   pyro::Result result = co_await pyro.async_run_in_vm(request, asio::use_awaitable);
//
// For Boost.Asio 1.74 and newer; define PYRO_ASIO_STANDALONE before the first include for Asio without
// Boost. The executor waits for the operation's descriptor; no thread is made.
//
// Errors        Completion signatures are void(std::exception_ptr, T): co_await and futures throw
//               pyro::Error, as the blocking calls do. Nothing is thrown from the initiating functions.
// Cancellation  Per-operation cancellation (Asio 1.19, Boost 1.77, and newer): see each function.
//               Destroying the io_context ends the VMs of what is still waiting in it.
// Threads       As operations: one at a time. On a multi-threaded executor use a strand.
//
// Licensed under the Apache License, Version 2.0.
#pragma once

#include <pyro/pyro.hpp>

#if defined(PYRO_ASIO_STANDALONE)
#include <asio/any_io_executor.hpp>
#include <asio/compose.hpp>
#include <asio/error.hpp>
#include <asio/posix/stream_descriptor.hpp>
#include <asio/post.hpp>
#include <asio/version.hpp>
#else
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/compose.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/version.hpp>
#endif

#include <fcntl.h>

#include <cerrno>
#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <utility>

namespace pyro {

// What the library itself needs; not part of the API.
namespace detail {

#if defined(PYRO_ASIO_STANDALONE)
namespace net = ::asio;
inline constexpr bool kAsioCancels = ASIO_VERSION >= 101900;
#else
namespace net = ::boost::asio;
inline constexpr bool kAsioCancels = BOOST_ASIO_VERSION >= 101900;
#endif

/// Lets a composed operation be cancelled with every type of cancellation, not only terminally.
template <typename Self>
void accept_cancellation([[maybe_unused]] Self& self) {
  if constexpr (kAsioCancels) {
    self.reset_cancellation_state([](auto type) { return type; });
  }
}

/// Whether the wait that has just completed was cancelled. No argument: it was a post, which is never.
template <typename... Code>
[[nodiscard]] bool was_cancelled(const Code&... code) {
  return ((code == net::error::operation_aborted) || ...);
}

/// A duplicate of an operation's descriptor: Asio wants to own what it watches.
inline int duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) {
    throw Error(ErrorCode::limit, "cannot watch the operation: " + std::system_category().message(errno) +
                                      "; raise the limit of open files");
  }
  return copy;
}

/// Completes a composed operation with the value of `produce()`, or with what it throws.
template <typename Value, typename Self, typename Produce>
void complete_with(Self& self, Produce&& produce) {
  std::exception_ptr failure;
  Value value{};
  try {
    value = std::forward<Produce>(produce)();
  } catch (...) {
    failure = std::current_exception();
  }
  self.complete(failure, std::move(value));
}

}  // namespace detail

/// An operation (RunOperation, EnvironmentOperation, DoctorOperation) on an executor. Move-only; an
/// asynchronous call under way must not outlive it.
template <typename Op>
class AsyncOperation {
 public:
  using value_type = typename Op::value_type;
  using executor_type = detail::net::any_io_executor;

  /// Throws Error limit if there is no free descriptor.
  AsyncOperation(executor_type executor, Op operation)
      : operation_(std::move(operation)), watch_(std::move(executor), detail::duplicate(operation_.fd())) {}

  [[nodiscard]] executor_type get_executor() noexcept { return watch_.get_executor(); }

  /// The operation, for write_stdin(), signal() and so on: those never wait. Since 0.1.
  [[nodiscard]] Op& operation() noexcept { return operation_; }

  /// Waits until next() or write_stdin() of the operation may have something to do; may complete for
  /// nothing. Signature: void(error_code). Cancelling it leaves the operation alone. Since 0.1.
  template <typename Token>
  auto async_wait_ready(Token&& token) {
    return watch_.async_wait(Watch::wait_read, std::forward<Token>(token));
  }

  /// Takes the next event: void(std::exception_ptr, const Event*). nullptr: at the end; or, while
  /// operation().wants_input(), there may be room for the rest of it. The event is borrowed until the
  /// next call. Cancelling the wait throws Error cancelled and leaves the operation alone: it may be
  /// called again, or the operation cancelled with operation().cancel(). Since 0.1.
  template <typename Token>
  auto async_next(Token&& token) {
    return detail::net::async_compose<Token, void(std::exception_ptr, const Event*)>(NextStep{this}, token, watch_);
  }

  /// Takes the remaining events and gives the value: void(std::exception_ptr, value_type). Cancelling
  /// it cancels the operation and destroys its VM; it then throws Error cancelled. Since 0.1.
  template <typename Token>
  auto async_wait(Token&& token) {
    return detail::net::async_compose<Token, void(std::exception_ptr, value_type)>(WaitStep{this}, token, watch_);
  }

 private:
  using Watch = detail::net::posix::stream_descriptor;

  struct NextStep {
    AsyncOperation* owner;
    bool waited = false;

    template <typename Self, typename... Code>
    void operator()(Self& self, const Code&... code) {
      if (!waited) {
        detail::accept_cancellation(self);
      } else if (detail::was_cancelled(code...)) {
        self.complete(std::make_exception_ptr(Error(ErrorCode::cancelled, "waiting for an event was cancelled")),
                      nullptr);
        return;
      } else if (finish(self)) {
        return;
      }
      waited = true;
      owner->wait_or_post(std::move(self));
    }

    template <typename Self>
    bool finish(Self& self) {
      const Event* event = nullptr;
      std::exception_ptr failure;
      try {
        event = owner->operation_.next(std::chrono::milliseconds(0));
      } catch (...) {
        failure = std::current_exception();
      }
      if (event == nullptr && failure == nullptr && !owner->operation_.ended() && !owner->operation_.wants_input()) {
        return false;
      }
      self.complete(failure, event);
      return true;
    }
  };

  /// A command that prints without end must not keep the executor to itself.
  static constexpr int kEventsPerTurn = 64;

  struct WaitStep {
    AsyncOperation* owner;
    bool waited = false;

    template <typename Self, typename... Code>
    void operator()(Self& self, const Code&... code) {
      if (!waited) {
        detail::accept_cancellation(self);
        waited = true;
      } else if (std::exception_ptr failure = advance(detail::was_cancelled(code...))) {
        self.complete(failure, value_type{});
        return;
      } else if (owner->operation_.ended()) {
        detail::complete_with<value_type>(self, [this] { return owner->operation_.result(); });
        return;
      }
      owner->wait_or_post(std::move(self));
    }

    /// Takes the events that are there.
    std::exception_ptr advance(bool cancel) {
      try {
        if (cancel) {
          owner->operation_.cancel();
        }
        for (int taken = 0; taken < kEventsPerTurn; ++taken) {
          const Event* event = owner->operation_.next(std::chrono::milliseconds(0));
          if (event == nullptr) {
            break;
          }
          owner->operation_.collect(*event);
        }
      } catch (...) {
        return std::current_exception();
      }
      return nullptr;
    }
  };

  /// Continues when there may be something to do. Never inline: a completion handler must not run
  /// inside the function that initiated it.
  template <typename Self>
  void wait_or_post(Self&& self) {
    if (operation_.ended()) {
      detail::net::post(watch_.get_executor(), std::forward<Self>(self));
    } else {
      watch_.async_wait(Watch::wait_read, std::forward<Self>(self));
    }
  }

  Op operation_;
  Watch watch_;  // after operation_: destroyed before it, so that nothing watches a closed descriptor
};

using AsyncRunOperation = AsyncOperation<RunOperation>;
using AsyncEnvironmentOperation = AsyncOperation<EnvironmentOperation>;
using AsyncDoctorOperation = AsyncOperation<DoctorOperation>;

/// A Pyro with asynchronous calls on an executor. The executor's context must outlive what waits in it.
class AsyncPyro : public Pyro {
 public:
  using executor_type = detail::net::any_io_executor;

  /// Throws Error: invalid, limit. Since 0.1.
  explicit AsyncPyro(executor_type executor) : executor_(std::move(executor)) {}
  AsyncPyro(executor_type executor, const OpenOptions& options) : Pyro(options), executor_(std::move(executor)) {}

  [[nodiscard]] const executor_type& get_executor() const noexcept { return executor_; }

  /// Runs one command in one new VM: void(std::exception_ptr, Result). Cancelling it destroys the VM
  /// and throws Error cancelled. This object may be destroyed meanwhile. Since 0.1.
  template <typename Token>
  auto async_run_in_vm(const RunOptions& options, Token&& token) const {
    return async_start<RunOperation>([this, options] { return start_run_in_vm(options); }, std::forward<Token>(token));
  }
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
  // Before version 13 GCC destroys a braced aggregate in a co_await expression twice: name the options first.
  template <typename Token>
  auto async_run_in_vm(RunOptions&& options, Token&& token) const = delete;
#endif

  /// As build_environment(): void(std::exception_ptr, EnvironmentList). Cancelling it stops the build
  /// and throws Error cancelled. The other environment calls: AsyncOperation over start_..._environment(). Since 0.1.
  template <typename Token>
  auto async_build_environment(std::string name, BuildOptions options, Token&& token) const {
    return async_start<EnvironmentOperation>(
        [this, name = std::move(name), options] { return start_build_environment(name, options); },
        std::forward<Token>(token));
  }

  /// As doctor(): void(std::exception_ptr, DoctorReport). Since 0.1.
  template <typename Token>
  auto async_doctor(Token&& token) const {
    return async_start<DoctorOperation>([this] { return start_doctor(); }, std::forward<Token>(token));
  }

 private:
  /// Starts an operation, waits for its end and owns it meanwhile.
  template <typename Op, typename Start>
  struct StartStep {
    using Value = typename Op::value_type;

    executor_type executor;
    Start start;
    std::unique_ptr<AsyncOperation<Op>> running{};
    std::exception_ptr failure{};

    template <typename Self>
    void operator()(Self& self) {
      if (failure != nullptr) {
        self.complete(std::exchange(failure, nullptr), Value{});
        return;
      }
      try {
        running = std::make_unique<AsyncOperation<Op>>(executor, start());
      } catch (...) {
        failure = std::current_exception();
        const executor_type where = executor;
        detail::net::post(where, std::move(self));
        return;
      }
      detail::accept_cancellation(self);
      AsyncOperation<Op>& operation = *running;
      operation.async_wait(std::move(self));
    }

    template <typename Self>
    void operator()(Self& self, std::exception_ptr result_failure, Value value) {
      running.reset();
      self.complete(std::move(result_failure), std::move(value));
    }
  };

  template <typename Op, typename Start, typename Token>
  auto async_start(Start start, Token&& token) const {
    return detail::net::async_compose<Token, void(std::exception_ptr, typename Op::value_type)>(
        StartStep<Op, Start>{executor_, std::move(start)}, token, executor_);
  }

  executor_type executor_;
};

}  // namespace pyro
