// A writer for the few AML objects that our DSDT is made of (ACPI 6.4, chapter 20: AML; 6.4: resources).
// Each function gives the bytes of one object; nesting is concatenation.
// Thread rule: pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace pyro::vmm::aml {

/// Bytes of AML.
using Code = std::string;

/// `name`: a name segment of exactly four characters, or such a one behind a root '\'.
Code name(std::string_view name, const Code& value);
Code scope(std::string_view name, const Code& body);
Code device(std::string_view name, const Code& body);

Code integer(std::uint64_t value);
Code text(std::string_view value);
/// A compressed EISA id such as "PNP0501".
Code eisa_id(std::string_view id);
Code package(std::initializer_list<Code> elements);
/// A buffer of resource descriptors, closed by an end tag.
Code resources(std::initializer_list<Code> descriptors);

// Resource descriptors.
Code memory32_fixed(std::uint32_t address, std::uint32_t size_bytes);
Code io_ports(std::uint16_t first, std::uint8_t count);
/// Interrupt(ResourceConsumer, Edge, ActiveHigh, Exclusive).
Code edge_interrupt(std::uint32_t gsi);

}  // namespace pyro::vmm::aml
