// Properties of systemd's units as values: what D-Bus calls them, and the text form that annotations have.
// Source: systemd.resource-control(5), org.freedesktop.systemd1(5), GVariant's text format.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "oci-config/spec.h"

namespace nucleus::systemd {

// A property with a value of a basic type ("s", "b", "t", ...: one item) or an array of those ("as", "au", "ay"); or of
// type "a(sasb)", one command to execute: its path, then its words.
struct Property {
  std::string name;
  std::string signature;           // D-Bus
  std::vector<std::string> items;  // numbers in decimal, booleans as "true" and "false"
  bool operator==(const Property&) const = default;
};

// What is counted in microseconds or in bytes and has no bound.
inline constexpr const char* kInfinity = "18446744073709551615";

Property Text(std::string name, std::string value);
Property Flag(std::string name, bool value);
Property Number(std::string name, std::uint64_t value);  // "t"

// GVariant's text: 'text', "text", true, 5 (an int32), uint64 5, 1.5, ['a', 'b'], @as []. The result has no name.
Result<Property> ParseVariant(std::string_view text);

// The annotations org.systemd.property.NAME. A value in seconds (`TimeoutStopSec`) becomes the one in microseconds that
// D-Bus has (`TimeoutStopUSec`). An error names the annotation: an unknown form of a name, a value that is none, or a
// property that is the runtime's own to set (PIDs, Slice, Delegate).
Result<std::vector<Property>> AnnotatedProperties(const oci::StringMap& annotations);

// Puts `property` in the place of the one with its name, else at the end.
void Set(std::vector<Property>& properties, Property property);

}  // namespace nucleus::systemd
