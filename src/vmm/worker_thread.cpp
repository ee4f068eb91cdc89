#include "vmm/worker_thread.hpp"

#include "vmm/eventfd.hpp"

#include <system_error>

namespace pyro::vmm {

base::Result<std::unique_ptr<WorkerThread>> WorkerThread::create() {
  PYRO_TRY_ASSIGN(Doorbells doorbells, Doorbells::create());
  PYRO_TRY_ASSIGN(base::Fd stop, make_eventfd());
  std::unique_ptr<WorkerThread> worker(new WorkerThread(std::move(doorbells), std::move(stop)));
  PYRO_TRY(worker->doorbells_.add(worker->stop_.get(), [] {}));
  return worker;
}

WorkerThread::~WorkerThread() {
  if (thread_.joinable()) {
    stopping_ = true;
    signal_eventfd(stop_.get());
    thread_.join();
  }
}

base::Status WorkerThread::start(std::function<bool()> enter, std::function<void(const char*)> on_failure) {
  try {
    thread_ = std::thread([this, enter = std::move(enter), on_failure = std::move(on_failure)] {
      ::pthread_setname_np(::pthread_self(), "pyro-block");
      try {
        const bool entered = enter();
        while (entered && !stopping_) {
          doorbells_.service(-1);
        }
      } catch (const std::exception& error) {
        on_failure(error.what());
      }
    });
  } catch (const std::system_error& error) {
    return base::make_error(PYRO_ERROR_LIMIT, "cannot start the thread for disks: {}", error.what());
  }
  return base::success();
}

}  // namespace pyro::vmm
