#include "machine/qemu/qemu_command.hpp"

#include "machine/guest_command_line.hpp"

#include <fmt/format.h>

namespace pyro::machine {

std::vector<std::string> qemu_readable_paths(std::string_view program) {
  std::vector<std::string> paths = {"/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/urandom"};
  if (!program.starts_with('/') || program.starts_with("/usr/")) {
    return paths;
  }
  paths.emplace_back(program);
  const std::string_view folder = program.substr(0, program.rfind('/'));
  if (folder.ends_with("/bin")) {
    // Not all of the prefix: it may be somebody's home.
    const std::string prefix(folder.substr(0, folder.size() - std::string_view("/bin").size()));
    for (const char* part : {"/lib", "/lib64", "/share/qemu"}) {
      paths.push_back(prefix + part);
    }
  }
  return paths;
}

std::vector<std::string> qemu_command(const QemuOptions& options, std::uint64_t tsc_khz) {
  // Nothing of a one-shot outlives its VM: flushes are not passed on.
  const std::string_view flush = options.keeps_disk ? "" : ",cache.no-flush=on";
  const auto blockdev = [flush](int fd_set, std::string_view name, bool read_only) {
    return fmt::format(
        "driver=file,node-name={},filename=/dev/fdset/{},locking=off,read-only={},auto-read-only=off,discard=unmap{}",
        name, fd_set, read_only ? "on" : "off", flush);
  };
  const auto fd_set = [](int number, QemuFd fd) { return fmt::format("fd={},set={}", static_cast<int>(fd), number); };
  const auto socket = [](std::string_view id, QemuFd fd) {
    return fmt::format("socket,id={},fd={}", id, static_cast<int>(fd));
  };
  return {
      "qemu-system-x86_64",
      "-nodefaults",
      "-no-user-config",
      "-no-reboot",
      "-display",
      "none",
      "-sandbox",
      "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
      // rtc=on: without a clock chip the kernel looks for one for more than a second.
      "-machine",
      "microvm,acpi=on,pcie=off,rtc=on,usb=off,auto-kernel-cmdline=off,x-option-roms=off",
      "-accel",
      fmt::format("tcg,thread=multi,tb-size={}", kTranslationBufferMib),
      "-cpu",
      "max",
      "-smp",
      std::to_string(options.vcpu_count),
      "-m",
      fmt::format("{}M", options.mem_mib),
      "-kernel",
      fmt::format("/proc/self/fd/{}", static_cast<int>(kQemuFdKernel)),
      "-initrd",
      fmt::format("/proc/self/fd/{}", static_cast<int>(kQemuFdInitrd)),
      "-append",
      qemu_command_line(tsc_khz),
      "-global",
      "virtio-mmio.force-legacy=false",
      "-add-fd",
      fd_set(1, kQemuFdRoot),
      "-add-fd",
      fd_set(2, kQemuFdScratch),
      "-add-fd",
      fd_set(3, kQemuFdDelta),
      "-blockdev",
      blockdev(1, "root-file", true),
      "-blockdev",
      "driver=raw,node-name=root,file=root-file,read-only=on",
      "-blockdev",
      blockdev(2, "scratch-file", true),
      "-blockdev",
      "driver=raw,node-name=scratch-base,file=scratch-file,read-only=on",
      "-blockdev",
      blockdev(3, "delta-file", false),
      "-blockdev",
      options.keeps_disk
          ? "driver=raw,node-name=scratch,file=delta-file,discard=unmap"
          : "driver=qcow2,node-name=scratch,file=delta-file,backing=scratch-base,discard=unmap,cache.no-flush=on",
      "-chardev",
      socket("console", kQemuFdConsole),
      "-serial",
      "chardev:console",
      "-chardev",
      socket("monitor", kQemuFdMonitor),
      "-mon",
      "chardev=monitor,mode=control",
      // An error of the host's disk is the guest's to see: QEMU's default stops the VM when that is full.
      "-device",
      "virtio-blk-device,drive=root,serial=root,werror=report,rerror=report",
      "-device",
      "virtio-blk-device,drive=scratch,serial=scratch,discard=on,werror=report,rerror=report",
      "-chardev",
      socket("agent", kQemuFdAgent),
      "-device",
      "virtio-serial-device,max_ports=2",
      "-device",
      "virtserialport,nr=1,chardev=agent,name=pyro.agent",
  };
}

}  // namespace pyro::machine
