// Whose part a command is: the context that a caller hands down as TRACEPARENT and TRACESTATE.
// Source: W3C Trace Context, sections 3.2 and 3.3; OpenTelemetry specification, "Environment Variables as Context
// Propagation Carriers".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace nucleus::telemetry {

using TraceId = std::array<std::uint8_t, 16>;
using SpanId = std::array<std::uint8_t, 8>;

struct TraceContext {
  TraceId trace{};
  SpanId span{};
  bool sampled = true;
  std::string state;  // TRACESTATE, as it is
};

// VERSION-TRACE-SPAN-FLAGS in hex. Nothing where it is malformed: then a trace begins anew.
std::optional<TraceContext> ParseTraceParent(std::string_view parent, std::string_view state);
std::string FormatTraceParent(const TraceContext& context);

// Random, and never all zero, which means "none".
Result<TraceId> NewTraceId();
Result<SpanId> NewSpanId();

// Lower-case digits.
std::string HexOf(const TraceId& id);
std::string HexOf(const SpanId& id);

}  // namespace nucleus::telemetry
