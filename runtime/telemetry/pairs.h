// NAME=VALUE,NAME=VALUE, as OTEL_RESOURCE_ATTRIBUTES and OTEL_EXPORTER_OTLP_HEADERS have it.
// Source: OpenTelemetry specification, "Resource SDK" and "OpenTelemetry Protocol Exporter"; W3C Baggage, section 3.3.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace nucleus::telemetry {

using Pairs = std::vector<std::pair<std::string, std::string>>;

// Names and values without blanks around them and with their %XX decoded, in their order; empty members are left out.
// An error says what is wrong and with which member, and nothing of a value: it may be a key to something.
Result<Pairs> ParsePairs(std::string_view text);

}  // namespace nucleus::telemetry
