#include "runtime/telemetry/trace_context.h"

#include <sys/random.h>

#include <algorithm>
#include <span>

namespace nucleus::telemetry {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";
constexpr unsigned kSampled = 1;
// A TRACESTATE beyond this is dropped, as the recommendation allows from 512 characters on.
constexpr std::size_t kLongestState = 512;

std::string ToHex(std::span<const std::uint8_t> bytes) {
  std::string text;
  for (const std::uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 0xf];
  }
  return text;
}

// Lower case alone is allowed.
bool FromHex(std::string_view text, std::span<std::uint8_t> bytes) {
  if (text.size() != bytes.size() * 2) {
    return false;
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const std::size_t high = kDigits.find(text[2 * i]);
    const std::size_t low = kDigits.find(text[2 * i + 1]);
    if (high == std::string_view::npos || low == std::string_view::npos) {
      return false;
    }
    bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return true;
}

bool IsZero(std::span<const std::uint8_t> bytes) {
  return std::ranges::all_of(bytes, [](std::uint8_t byte) { return byte == 0; });
}

bool IsStateText(std::string_view text) {
  return text.size() <= kLongestState && std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

template <class Id>
Result<Id> NewId() {
  Id id{};
  do {
    if (::getrandom(id.data(), id.size(), 0) != static_cast<ssize_t>(id.size())) {
      return std::unexpected(SysError("getrandom", ""));
    }
  } while (IsZero(id));
  return id;
}

}  // namespace

std::optional<TraceContext> ParseTraceParent(std::string_view parent, std::string_view state) {
  constexpr std::size_t kLength = 55;  // of version 00; a later one may have more, after a dash
  if (parent.size() < kLength || parent[2] != '-' || parent[35] != '-' || parent[52] != '-') {
    return std::nullopt;
  }
  std::array<std::uint8_t, 1> version{};
  std::array<std::uint8_t, 1> flags{};
  TraceContext context;
  const bool good = FromHex(parent.substr(0, 2), version) && FromHex(parent.substr(3, 32), context.trace) &&
                    FromHex(parent.substr(36, 16), context.span) && FromHex(parent.substr(53, 2), flags);
  constexpr std::uint8_t kNoVersion = 0xff;
  const bool tail = version[0] == 0 ? parent.size() == kLength : parent.size() == kLength || parent[kLength] == '-';
  if (!good || !tail || version[0] == kNoVersion || IsZero(context.trace) || IsZero(context.span)) {
    return std::nullopt;
  }
  context.sampled = (flags[0] & kSampled) != 0;
  context.state = IsStateText(state) ? std::string{state} : "";
  return context;
}

std::string FormatTraceParent(const TraceContext& context) {
  return "00-" + HexOf(context.trace) + "-" + HexOf(context.span) + (context.sampled ? "-01" : "-00");
}

Result<TraceId> NewTraceId() {
  return NewId<TraceId>();
}

Result<SpanId> NewSpanId() {
  return NewId<SpanId>();
}

std::string HexOf(const TraceId& id) {
  return ToHex(id);
}

std::string HexOf(const SpanId& id) {
  return ToHex(id);
}

}  // namespace nucleus::telemetry
