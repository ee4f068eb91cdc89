// Two microVMs at once on one thread, with Boost.Asio coroutines; one of them is given up on.
#include <pyro/asio.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <iostream>

namespace asio = boost::asio;
using asio::use_awaitable;

namespace {

asio::awaitable<void> compute(const pyro::AsyncPyro& pyro) {
  const pyro::RunOptions request{.environment = "debian:12", .command = {"python3", "-c", "print(2 ** 64)"}};
  const pyro::Result result = co_await pyro.async_run_in_vm(request, use_awaitable);
  std::cout << "exit code " << result.exit_code << ", output " << result.stdout_data;
}

// Whichever of the two is first cancels the other. A cancelled call destroys its VM.
asio::awaitable<void> give_up_after(const pyro::AsyncPyro& pyro, std::chrono::milliseconds patience) {
  using namespace asio::experimental::awaitable_operators;
  const pyro::RunOptions request{.environment = "debian:12", .command = "sleep 1000"};
  asio::steady_timer timer(pyro.get_executor(), patience);
  const auto outcome = co_await (pyro.async_run_in_vm(request, use_awaitable) || timer.async_wait(use_awaitable));
  std::cout << (outcome.index() == 1 ? "gave up\n" : "slept well\n");
}

asio::awaitable<void> run_both() {
  using namespace asio::experimental::awaitable_operators;
  const pyro::AsyncPyro pyro(co_await asio::this_coro::executor);
  co_await pyro.async_build_environment("debian:12", {}, use_awaitable);  // nothing to do if it is there
  co_await (compute(pyro) && give_up_after(pyro, std::chrono::seconds(1)));
}

}  // namespace

int main() {
  try {
    asio::io_context io;
    asio::co_spawn(io, run_both(), [](const std::exception_ptr& failure) {
      if (failure) {
        std::rethrow_exception(failure);  // out of io.run()
      }
    });
    io.run();
    return 0;
  } catch (const std::exception& error) {  // pyro::Error among them
    std::cerr << error.what() << '\n';
    return 1;
  }
}
