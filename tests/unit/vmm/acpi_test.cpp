#include "vmm/acpi.hpp"

#include "vmm/aml.hpp"
#include "vmm/layout.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include <doctest/doctest.h>

namespace pyro::vmm {

namespace {

std::vector<VirtioSlot> slots(std::uint32_t count) {
  std::vector<VirtioSlot> result;
  for (std::uint32_t i = 0; i < count; ++i) {
    result.push_back({layout::kVirtioMmioGpa + i * layout::kVirtioMmioStride, layout::kFirstVirtioGsi + i});
  }
  return result;
}

unsigned sum(std::string_view bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), 0U,
                         [](unsigned total, char c) { return total + static_cast<unsigned char>(c); }) &
         0xff;
}

const AcpiTable& find(const std::vector<AcpiTable>& tables, std::string_view signature) {
  const auto found =
      std::find_if(tables.begin(), tables.end(), [&](const AcpiTable& table) { return table.signature == signature; });
  REQUIRE(found != tables.end());
  return *found;
}

std::uint64_t number_at(std::string_view bytes, std::size_t offset, std::size_t width) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < width; ++i) {
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[offset + i])) << (8 * i);
  }
  return value;
}

// What ACPI's own disassembler makes of a table.
std::string disassemble(const AcpiTable& table) {
  namespace fs = std::filesystem;
  std::string folder = (fs::temp_directory_path() / "pyro-acpi-XXXXXX").string();
  REQUIRE(::mkdtemp(folder.data()) != nullptr);
  std::ofstream(folder + "/table.aml", std::ios::binary) << table.bytes;
  const int status = std::system(("cd " + folder + " && iasl -d table.aml >log 2>&1").c_str());
  std::ostringstream text;
  text << std::ifstream(folder + "/log").rdbuf() << std::ifstream(folder + "/table.dsl").rdbuf();
  fs::remove_all(folder);
  REQUIRE_MESSAGE(status == 0, "iasl (package acpica-tools) refuses ", table.signature, ":\n", text.str());
  return text.str();
}

}  // namespace

TEST_SUITE("vmm") {
  TEST_CASE("acpi: tables for the largest guest → inside their area, disjoint, with right checksums and pointers") {
    const auto tables = make_acpi_tables(layout::kMaxVcpus, slots(layout::kMaxVirtioDevices));
    REQUIRE(tables.ok());
    std::uint64_t end_gpa = layout::kAcpiGpa;
    for (const AcpiTable& table : tables.value()) {
      CHECK(table.gpa >= end_gpa);
      end_gpa = table.gpa + table.bytes.size();
      CHECK(sum(table.bytes) == 0);
    }
    CHECK(end_gpa <= layout::kAcpiGpa + layout::kAcpiMaxBytes);

    const std::string& rsdp = tables->front().bytes;
    CHECK(tables->front().gpa == layout::kAcpiGpa);
    CHECK(sum(rsdp.substr(0, 20)) == 0);
    const AcpiTable& xsdt = find(*tables, "XSDT");
    CHECK(number_at(rsdp, 24, 8) == xsdt.gpa);
    CHECK(number_at(xsdt.bytes, 36, 8) == find(*tables, "FACP").gpa);
    CHECK(number_at(xsdt.bytes, 44, 8) == find(*tables, "APIC").gpa);
    CHECK(number_at(find(*tables, "FACP").bytes, 140, 8) == find(*tables, "DSDT").gpa);
  }

  TEST_CASE("acpi: disassembled by iasl → what a guest is meant to find") {
    const auto tables = make_acpi_tables(2, slots(2));
    REQUIRE(tables.ok());

    const std::string dsdt = disassemble(find(*tables, "DSDT"));
    CHECK(dsdt.find("Device (COM1)") != std::string::npos);
    CHECK(dsdt.find("EisaId (\"PNP0501\")") != std::string::npos);
    CHECK(dsdt.find("Device (VR00)") != std::string::npos);
    CHECK(dsdt.find("Device (VR01)") != std::string::npos);
    CHECK(dsdt.find("\"LNRO0005\"") != std::string::npos);
    CHECK(dsdt.find("0xD0001000") != std::string::npos);
    // Level-triggered interrupts would be lost with irqfds.
    CHECK(dsdt.find("Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive") != std::string::npos);
    CHECK(dsdt.find("Level") == std::string::npos);
    CHECK(dsdt.find("Name (\\_S5") != std::string::npos);

    const std::string fadt = disassemble(find(*tables, "FACP"));
    CHECK(fadt.find("Hardware Reduced (V5) : 1") != std::string::npos);
    CHECK(fadt.find("CMOS RTC Not Present (V5) : 1") != std::string::npos);
    CHECK(fadt.find("VGA Not Present (V4) : 1") != std::string::npos);
    CHECK(fadt.find("8042 Present on ports 60/64 (V2) : 0") != std::string::npos);
    CHECK(fadt.find("Reset Register Supported (V2) : 1") != std::string::npos);

    const std::string madt = disassemble(find(*tables, "APIC"));
    CHECK(madt.find("[Processor Local APIC]") != std::string::npos);
    CHECK(madt.find("[I/O APIC]") != std::string::npos);
  }

  TEST_CASE("aml: bodies around each limit of a package length → the length that the specification gives") {
    // 20.2.4: one byte up to 63, two up to 4095, three beyond.
    for (const std::size_t size : {std::size_t{57}, std::size_t{58}, std::size_t{4087}, std::size_t{4088}}) {
      const aml::Code code = aml::scope("ABCD", std::string(size, '\x01'));
      const auto lead = static_cast<unsigned char>(code[1]);
      const unsigned more = lead >> 6;
      std::uint64_t length = more == 0 ? lead & 0x3fU : lead & 0xfU;
      for (unsigned i = 0; i < more; ++i) {
        length |= static_cast<std::uint64_t>(static_cast<unsigned char>(code[2 + i])) << (4 + 8 * i);
      }
      CHECK(length == code.size() - 1);
    }
  }

  TEST_CASE("aml: integers of each width → the shortest form") {
    CHECK(aml::integer(0) == std::string("\x00", 1));
    CHECK(aml::integer(1) == "\x01");
    CHECK(aml::integer(0xff) == "\x0a\xff");
    CHECK(aml::integer(0x1234) == "\x0b\x34\x12");
    CHECK(aml::integer(0x12345678) == "\x0c\x78\x56\x34\x12");
    CHECK(aml::integer(0x1'0000'0000) == std::string("\x0e\x00\x00\x00\x00\x01\x00\x00\x00", 9));
    CHECK(aml::eisa_id("PNP0501") == "\x0c\x41\xd0\x05\x01");
  }
}

}  // namespace pyro::vmm
