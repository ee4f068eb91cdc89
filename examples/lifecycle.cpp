// The life cycle of a VM, step by step, from C++: made, started, used once, gone.
//
//   c++ -std=c++20 lifecycle.cpp $(pkg-config --cflags --libs pyro) && ./a.out [ENVIRONMENT]
#include <pyro/pyro.hpp>

#include <exception>
#include <iostream>

int main(int argc, char** argv) {
  try {
    const pyro::Pyro pyro;
    const pyro::VmInfo vm = pyro.create_vm({.environment = argc > 1 ? argv[1] : "debian:12"});
    std::cout << "VM " << vm.id << " is " << to_string(vm.state) << "\n";
    std::cout << "it is " << to_string(pyro.start_vm(vm.id).state) << "\n";
    const pyro::Result result = pyro.exec_vm(vm.id, {.command = "uname -s"});
    std::cout << "exit code " << result.exit_code << ", output " << result.stdout_data;
    std::cout << "VMs that are left of it: " << (pyro.delete_vm(vm.id) ? 1 : 0) << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
  return 0;
}
