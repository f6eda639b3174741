#include "runtime/telemetry/otlp.h"

#include "base/json_writer.h"

namespace nucleus::telemetry {
namespace {

constexpr int kInternal = 1;     // Span.SpanKind
constexpr int kStatusError = 2;  // Status.StatusCode
// SpanFlags: the trace is sampled; whether the parent is of another process is known, and it is.
constexpr std::uint64_t kSampled = 0x1;
constexpr std::uint64_t kRemoteKnown = 0x100;
constexpr std::uint64_t kRemote = 0x200;

// 64-bit numbers are strings in this form of JSON.
void WriteAttributes(JsonWriter& out, const Attributes& attributes) {
  out.Key("attributes").BeginArray();
  for (const auto& [key, value] : attributes) {
    out.BeginObject();
    out.Key("key").String(key);
    out.Key("value").BeginObject();
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      out.Key("intValue").String(std::to_string(*number));
    } else {
      out.Key("stringValue").String(std::get<std::string>(value));
    }
    out.EndObject();
    out.EndObject();
  }
  out.EndArray();
}

void WriteSpan(JsonWriter& out, const TraceContext& context, const Span& span) {
  out.BeginObject();
  out.Key("traceId").String(HexOf(context.trace));
  out.Key("spanId").String(HexOf(span.id));
  if (!context.state.empty()) {
    out.Key("traceState").String(context.state);
  }
  if (span.parent) {
    out.Key("parentSpanId").String(HexOf(*span.parent));
  }
  out.Key("flags").Uint(kSampled | kRemoteKnown | (span.remote_parent ? kRemote : 0));
  out.Key("name").String(span.name);
  out.Key("kind").Int(kInternal);
  out.Key("startTimeUnixNano").String(std::to_string(span.start_ns));
  out.Key("endTimeUnixNano").String(std::to_string(span.end_ns));
  WriteAttributes(out, span.attributes);
  out.Key("status").BeginObject();
  if (span.failed) {
    out.Key("code").Int(kStatusError);
    out.Key("message").String(span.error);
  }
  out.EndObject();
  out.EndObject();
}

}  // namespace

std::string EncodeSpans(const Attributes& resource, std::string_view version, const TraceContext& context,
                        const std::vector<Span>& spans) {
  JsonWriter out;
  out.BeginObject();
  out.Key("resourceSpans").BeginArray();
  out.BeginObject();
  out.Key("resource").BeginObject();
  WriteAttributes(out, resource);
  out.EndObject();
  out.Key("scopeSpans").BeginArray();
  out.BeginObject();
  out.Key("scope").BeginObject();
  out.Key("name").String("nucleus");
  out.Key("version").String(version);
  out.EndObject();
  out.Key("spans").BeginArray();
  for (const Span& span : spans) {
    WriteSpan(out, context, span);
  }
  out.EndArray();
  out.EndObject();
  out.EndArray();
  out.EndObject();
  out.EndArray();
  out.EndObject();
  return out.Take();
}

}  // namespace nucleus::telemetry
