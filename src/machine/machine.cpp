#include "machine/machine.hpp"

#include <utility>

namespace pyro::machine {

std::unique_ptr<Machine> make_machine(boost::asio::io_context& io, MachineConfig config) {
  return config.use_kvm ? make_kvm_machine(io, std::move(config)) : make_qemu_machine(io, std::move(config));
}

MachineEnd describe_reset(const std::string& panic_reason, std::string detail) {
  if (!panic_reason.empty()) {
    return {MachineEnd::Kind::panicked, "the guest kernel panicked: " + panic_reason};
  }
  return {MachineEnd::Kind::reset, std::move(detail)};
}

}  // namespace pyro::machine
