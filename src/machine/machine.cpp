#include "machine/machine.hpp"

#include <utility>

namespace pyro::machine {

std::unique_ptr<Machine> make_machine(boost::asio::io_context& io, MachineConfig config) {
  return config.use_kvm ? make_kvm_machine(io, std::move(config)) : make_qemu_machine(io, std::move(config));
}

}  // namespace pyro::machine
