#include "vmm/aml.hpp"

namespace pyro::vmm::aml {

namespace {

// Opcodes (ACPI 6.4, table 20.2) and resource descriptor tags (6.4.2, 6.4.3).
constexpr unsigned char kZeroOp = 0x00;
constexpr unsigned char kOneOp = 0x01;
constexpr unsigned char kNameOp = 0x08;
constexpr unsigned char kBytePrefix = 0x0a;
constexpr unsigned char kWordPrefix = 0x0b;
constexpr unsigned char kDWordPrefix = 0x0c;
constexpr unsigned char kStringPrefix = 0x0d;
constexpr unsigned char kQWordPrefix = 0x0e;
constexpr unsigned char kScopeOp = 0x10;
constexpr unsigned char kBufferOp = 0x11;
constexpr unsigned char kPackageOp = 0x12;
constexpr unsigned char kExtOpPrefix = 0x5b;
constexpr unsigned char kDeviceOp = 0x82;
constexpr unsigned char kIoPortTag = 0x47;
constexpr unsigned char kEndTag = 0x79;
constexpr unsigned char kMemory32FixedTag = 0x86;
constexpr unsigned char kExtendedInterruptTag = 0x89;

Code byte(unsigned value) {
  return Code(1, static_cast<char>(value));
}

Code little_endian(std::uint64_t value, int width) {
  Code out;
  for (int i = 0; i < width; ++i) {
    out += byte(static_cast<unsigned>(value >> (8 * i)) & 0xff);
  }
  return out;
}

// PkgLength counts itself (20.2.4): 6 bits in one byte, or 4 bits and one to three bytes more.
Code with_length(const Code& body) {
  if (body.size() + 1 < 0x40) {
    return byte(static_cast<unsigned>(body.size()) + 1) + body;
  }
  int more = 1;
  while (body.size() + 1 + static_cast<std::size_t>(more) >= std::size_t{1} << (4 + 8 * more)) {
    ++more;
  }
  const std::size_t length = body.size() + 1 + static_cast<std::size_t>(more);
  return byte((static_cast<unsigned>(more) << 6) | (length & 0xf)) + little_endian(length >> 4, more) + body;
}

}  // namespace

Code name(std::string_view name, const Code& value) {
  return byte(kNameOp) + Code(name) + value;
}

Code scope(std::string_view name, const Code& body) {
  return byte(kScopeOp) + with_length(Code(name) + body);
}

Code device(std::string_view name, const Code& body) {
  return byte(kExtOpPrefix) + byte(kDeviceOp) + with_length(Code(name) + body);
}

Code integer(std::uint64_t value) {
  if (value == 0) {
    return byte(kZeroOp);
  }
  if (value == 1) {
    return byte(kOneOp);
  }
  if (value <= 0xff) {
    return byte(kBytePrefix) + little_endian(value, 1);
  }
  if (value <= 0xffff) {
    return byte(kWordPrefix) + little_endian(value, 2);
  }
  if (value <= 0xffffffff) {
    return byte(kDWordPrefix) + little_endian(value, 4);
  }
  return byte(kQWordPrefix) + little_endian(value, 8);
}

Code text(std::string_view value) {
  return byte(kStringPrefix) + Code(value) + byte(0);
}

// Three letters of five bits, four hexadecimal digits; stored in big-endian order (19.3.4).
Code eisa_id(std::string_view id) {
  std::uint32_t value = 0;
  for (const char letter : id.substr(0, 3)) {
    value = value << 5 | (static_cast<std::uint32_t>(letter - 0x40) & 0x1f);
  }
  value = value << 16 | static_cast<std::uint32_t>(std::stoul(std::string(id.substr(3)), nullptr, 16));
  return byte(kDWordPrefix) + little_endian(__builtin_bswap32(value), 4);
}

Code package(std::initializer_list<Code> elements) {
  Code body = byte(static_cast<unsigned>(elements.size()));
  for (const Code& element : elements) {
    body += element;
  }
  return byte(kPackageOp) + with_length(body);
}

Code resources(std::initializer_list<Code> descriptors) {
  Code body;
  for (const Code& descriptor : descriptors) {
    body += descriptor;
  }
  // A checksum of zero means that there is none (6.4.2.9).
  body += byte(kEndTag) + byte(0);
  return byte(kBufferOp) + with_length(integer(body.size()) + body);
}

Code memory32_fixed(std::uint32_t address, std::uint32_t size_bytes) {
  const unsigned read_write = 1;
  return byte(kMemory32FixedTag) + little_endian(9, 2) + byte(read_write) + little_endian(address, 4) +
         little_endian(size_bytes, 4);
}

Code io_ports(std::uint16_t first, std::uint8_t count) {
  const unsigned decodes_16_bits = 1;
  const unsigned alignment = 1;
  return byte(kIoPortTag) + byte(decodes_16_bits) + little_endian(first, 2) + little_endian(first, 2) +
         byte(alignment) + byte(count);
}

Code edge_interrupt(std::uint32_t gsi) {
  // Bit 0: consumer; bit 1: edge; bit 2 (active low) and bit 3 (shared) are clear (6.4.3.6).
  const unsigned flags = 0x3;
  const unsigned count = 1;
  return byte(kExtendedInterruptTag) + little_endian(6, 2) + byte(flags) + byte(count) + little_endian(gsi, 4);
}

}  // namespace pyro::vmm::aml
