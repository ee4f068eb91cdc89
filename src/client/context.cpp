#include "client/context.hpp"

#include "client/vm_index.hpp"

namespace pyro::client {

Context::Context(Settings given)
    : settings(std::move(given)), log(settings.log_level), index(std::make_unique<VmIndex>(settings.home, log)) {}

Context::~Context() = default;

}  // namespace pyro::client
