// Finding the guest's devices by what they are called, never by their number.
// Thread rule: functions without state.
#pragma once

#include "base/fd.hpp"

#include <string>

namespace pyro::guest {

/// The device file of the disk with this serial number. Waits for it to appear.
base::Result<std::string> find_disk(const std::string& serial);
/// Whether the machine has a device of this virtio id; known as soon as the transport's driver is loaded.
bool has_virtio_device(unsigned id);
/// The first persistent-memory device. Waits for it to appear.
base::Result<std::string> find_persistent_memory();
/// The console port of this name, opened for non-blocking reads and writes. Waits for it to appear, and
/// until the host has its end open.
base::Result<base::Fd> open_port(const std::string& name);
/// True if the host has its end of the port open.
bool host_is_connected(int port) noexcept;

}  // namespace pyro::guest
