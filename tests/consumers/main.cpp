// A C++20 program that uses the header-only API as others would. No VM.
#include <pyro/pyro.hpp>

#include <cstdio>

int main() {
  pyro::Pyro pyro;
  try {
    const pyro::Result result = pyro.run_in_vm({.environment = "", .command = "true"});
    std::printf("ran without an environment: exit code %d\n", result.exit_code);
    return 1;
  } catch (const pyro::Error& error) {
    std::printf("%s\nlibpyro %s\n", error.what(), pyro::version().data());
    return error.code() == pyro::ErrorCode::invalid ? 0 : 1;
  }
}
