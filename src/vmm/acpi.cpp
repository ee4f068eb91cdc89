#include "vmm/acpi.hpp"

#include "devices/serial.hpp"
#include "vmm/aml.hpp"
#include "vmm/layout.hpp"

#include <numeric>

namespace pyro::vmm {

namespace {

constexpr std::size_t kTableHeaderBytes = 36;
constexpr std::size_t kChecksumOffset = 9;
constexpr std::size_t kRsdpBytes = 36;
// RSDP 2.0: a checksum over the first 20 bytes, and one over all (ACPI 6.4, 5.2.5.3).
constexpr std::size_t kRsdpFirstBytes = 20;
constexpr std::size_t kRsdpChecksumOffset = 8;
constexpr std::size_t kRsdpExtendedChecksumOffset = 32;
constexpr std::string_view kOemId = "PYRO  ";
constexpr std::string_view kOemTableId = "PYROVM  ";
constexpr std::string_view kCreatorId = "PYRO";

// FADT (ACPI 6.4, 5.2.9).
constexpr std::size_t kFadtBytes = 276;
constexpr std::uint8_t kFadtRevision = 6;
constexpr std::uint8_t kFadtMinorVersion = 4;
constexpr std::size_t kFadtBootArchitecture = 109;
constexpr std::size_t kFadtFlags = 112;
constexpr std::size_t kFadtResetRegister = 116;
constexpr std::size_t kFadtResetValue = 128;
constexpr std::size_t kFadtMinorVersionOffset = 131;
constexpr std::size_t kFadtXDsdt = 140;
constexpr std::size_t kFadtSleepControl = 244;
constexpr std::size_t kFadtSleepStatus = 256;
// IAPC_BOOT_ARCH: no VGA, no clock chip; the bit for a keyboard controller stays clear (5.2.9.3).
constexpr std::uint16_t kBootArchitectureNoVga = 1 << 2;
constexpr std::uint16_t kBootArchitectureNoCmosRtc = 1 << 5;
// Flags: WBINVD works; no power or sleep button; a reset register; hardware-reduced (5.2.9).
constexpr std::uint32_t kFlagWbinvd = 1U << 0;
constexpr std::uint32_t kFlagPowerButton = 1U << 4;
constexpr std::uint32_t kFlagSleepButton = 1U << 5;
constexpr std::uint32_t kFlagResetRegister = 1U << 10;
constexpr std::uint32_t kFlagHardwareReduced = 1U << 20;

constexpr std::uint8_t kAddressSpaceIo = 1;
constexpr std::uint8_t kByteAccess = 1;

// MADT (5.2.12).
constexpr std::uint8_t kMadtRevision = 5;
constexpr std::uint8_t kMadtLocalApic = 0;
constexpr std::uint8_t kMadtIoApic = 1;
constexpr std::uint32_t kLocalApicEnabled = 1;

std::string take_text(base::ByteWriter writer) {
  const base::Bytes bytes = std::move(writer).take();
  return std::string(base::as_text(bytes));
}

// The value that makes all bytes sum up to zero.
char checksum(std::string_view bytes) {
  const unsigned sum = std::accumulate(bytes.begin(), bytes.end(), 0U,
                                       [](unsigned total, char c) { return total + static_cast<unsigned char>(c); });
  return static_cast<char>(0U - sum);
}

std::string table(std::string_view signature, std::uint8_t revision, std::string_view body) {
  base::ByteWriter writer;
  writer.raw(base::as_bytes(signature));
  writer.u32(static_cast<std::uint32_t>(kTableHeaderBytes + body.size()));
  writer.u8(revision);
  writer.u8(0);  // checksum
  writer.raw(base::as_bytes(kOemId));
  writer.raw(base::as_bytes(kOemTableId));
  writer.u32(1);  // OEM revision
  writer.raw(base::as_bytes(kCreatorId));
  writer.u32(1);  // creator revision
  writer.raw(base::as_bytes(body));
  std::string bytes = take_text(std::move(writer));
  bytes[kChecksumOffset] = checksum(bytes);
  return bytes;
}

void put(std::string& bytes, std::size_t offset, std::uint64_t value, std::size_t width) {
  for (std::size_t i = 0; i < width; ++i) {
    bytes[offset + i] = static_cast<char>(value >> (8 * i));
  }
}

// A generic address structure (5.2.3.2) for one I/O port.
void put_port(std::string& bytes, std::size_t offset, std::uint16_t port) {
  const std::uint8_t bits = 8;
  put(bytes, offset, kAddressSpaceIo, 1);
  put(bytes, offset + 1, bits, 1);
  put(bytes, offset + 3, kByteAccess, 1);
  put(bytes, offset + 4, port, 8);
}

std::string make_fadt(std::uint64_t dsdt_gpa) {
  // Offsets are those of the whole table: the header is cut off again for table().
  std::string bytes(kFadtBytes, '\0');
  put(bytes, kFadtBootArchitecture, kBootArchitectureNoVga | kBootArchitectureNoCmosRtc, 2);
  put(bytes, kFadtFlags, kFlagWbinvd | kFlagPowerButton | kFlagSleepButton | kFlagResetRegister | kFlagHardwareReduced,
      4);
  put_port(bytes, kFadtResetRegister, layout::kResetPort);
  put(bytes, kFadtResetValue, 1, 1);
  put(bytes, kFadtMinorVersionOffset, kFadtMinorVersion, 1);
  put(bytes, kFadtXDsdt, dsdt_gpa, 8);
  put_port(bytes, kFadtSleepControl, layout::kSleepControlPort);
  put_port(bytes, kFadtSleepStatus, layout::kSleepStatusPort);
  return table("FACP", kFadtRevision, std::string_view(bytes).substr(kTableHeaderBytes));
}

std::string make_madt(std::uint32_t vcpu_count) {
  base::ByteWriter writer;
  writer.u32(static_cast<std::uint32_t>(layout::kLapicGpa));
  writer.u32(0);  // flags: no PC-AT compatible PIC
  for (std::uint32_t id = 0; id < vcpu_count; ++id) {
    writer.u8(kMadtLocalApic);
    writer.u8(8);  // length
    writer.u8(static_cast<std::uint8_t>(id));
    writer.u8(static_cast<std::uint8_t>(id));
    writer.u32(kLocalApicEnabled);
  }
  writer.u8(kMadtIoApic);
  writer.u8(12);  // length
  writer.u8(0);   // id
  writer.u8(0);
  writer.u32(static_cast<std::uint32_t>(layout::kIoapicGpa));
  writer.u32(0);  // its first interrupt
  return table("APIC", kMadtRevision, take_text(std::move(writer)));
}

std::string make_dsdt(std::span<const VirtioSlot> devices) {
  using namespace aml;
  Code system_bus = device("COM1", name("_HID", eisa_id("PNP0501")) + name("_UID", integer(0)) +
                                       name("_CRS", resources({io_ports(layout::kSerialPort, devices::kSerialPorts),
                                                               edge_interrupt(layout::kSerialGsi)})));
  unsigned number = 0;
  for (const VirtioSlot& slot : devices) {
    system_bus += device(
        fmt::format("VR{:02}", number),
        name("_HID", text("LNRO0005")) + name("_UID", integer(number)) +
            name("_CRS", resources({memory32_fixed(static_cast<std::uint32_t>(slot.gpa), layout::kVirtioMmioStride),
                                    edge_interrupt(slot.gsi)})));
    ++number;
  }
  // S5 (soft off) with sleep type 5.
  const Code body =
      scope("\\_SB_", system_bus) + name("\\_S5_", package({integer(5), integer(0), integer(0), integer(0)}));
  return table("DSDT", 2, body);
}

std::string make_xsdt(std::initializer_list<std::uint64_t> tables) {
  base::ByteWriter writer;
  for (const std::uint64_t gpa : tables) {
    writer.u64(gpa);
  }
  return table("XSDT", 1, take_text(std::move(writer)));
}

std::string make_rsdp(std::uint64_t xsdt_gpa) {
  std::string bytes = "RSD PTR ";
  bytes.resize(kRsdpBytes, '\0');
  bytes.replace(9, kOemId.size(), kOemId);
  put(bytes, 15, 2, 1);  // revision
  put(bytes, 20, kRsdpBytes, 4);
  put(bytes, 24, xsdt_gpa, 8);
  bytes[kRsdpChecksumOffset] = checksum(std::string_view(bytes).substr(0, kRsdpFirstBytes));
  bytes[kRsdpExtendedChecksumOffset] = checksum(bytes);
  return bytes;
}

}  // namespace

base::Result<std::vector<AcpiTable>> make_acpi_tables(std::uint32_t vcpu_count, std::span<const VirtioSlot> devices) {
  constexpr std::uint64_t table_alignment = 16;
  std::uint64_t next_gpa = layout::kAcpiGpa + layout::align_up(kRsdpBytes, table_alignment);
  std::vector<AcpiTable> tables(1);
  const auto add = [&](std::string signature, std::string bytes) {
    const std::uint64_t gpa = next_gpa;
    next_gpa = layout::align_up(gpa + bytes.size(), table_alignment);
    tables.push_back({std::move(signature), gpa, std::move(bytes)});
    return gpa;
  };
  const std::uint64_t dsdt = add("DSDT", make_dsdt(devices));
  const std::uint64_t fadt = add("FACP", make_fadt(dsdt));
  const std::uint64_t madt = add("APIC", make_madt(vcpu_count));
  const std::uint64_t xsdt = add("XSDT", make_xsdt({fadt, madt}));
  tables.front() = {"RSD PTR ", layout::kAcpiGpa, make_rsdp(xsdt)};
  if (next_gpa > layout::kAcpiGpa + layout::kAcpiMaxBytes) {
    return base::make_error(PYRO_ERROR_INTERNAL, "ACPI tables of {} bytes", next_gpa - layout::kAcpiGpa);
  }
  return tables;
}

}  // namespace pyro::vmm
