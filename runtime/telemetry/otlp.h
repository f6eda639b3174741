// Finished spans as the body of a request to /v1/traces.
// Source: OTLP specification 1.5, "JSON Protobuf Encoding"; opentelemetry/proto/trace/v1/trace.proto.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/telemetry/trace_context.h"

namespace nucleus::telemetry {

using Attributes = std::vector<std::pair<std::string, std::variant<std::string, std::int64_t>>>;

struct Span {
  std::string name;
  SpanId id{};
  std::optional<SpanId> parent;
  bool remote_parent = false;  // of another process
  std::uint64_t start_ns = 0;  // since the epoch
  std::uint64_t end_ns = 0;
  Attributes attributes;
  bool failed = false;
  std::string error;  // of one that has failed
};

// `context`: the trace that they are of, and its state. `version`: nucleus's.
std::string EncodeSpans(const Attributes& resource, std::string_view version, const TraceContext& context,
                        const std::vector<Span>& spans);

}  // namespace nucleus::telemetry
