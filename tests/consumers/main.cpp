// A C++20 program that uses the header-only API as others would. No VM.
#include <pyro/pyro.hpp>

#include <cstdio>

int main() {
  pyro::Pyro pyro;
  try {
    pyro.run_in_vm({.environment = "", .command = "true"});
  } catch (const pyro::Error& error) {
    std::printf("%s\n", error.what());
    std::printf("libpyro %s\n", pyro_version_string());
    return error.code() == PYRO_ERROR_INVALID ? 0 : 1;
  }
  return 1;
}
