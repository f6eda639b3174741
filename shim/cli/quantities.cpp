// Sizes and durations, as the flags of runc take them.

#include <charconv>
#include <limits>
#include <optional>

#include "base/decimal.h"
#include "shim/cli/command_line.h"

namespace nucleus::shim {

Result<std::int64_t> ParseSize(const std::string& text) {
  const auto malformed = [&text] {
    return std::unexpected(Failure("invalid size \"" + text + "\": a number with k, m, g or t, or -1", EINVAL));
  };
  if (text == "-1") {
    return -1;
  }
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc{}) {
    return malformed();
  }
  std::string unit{parsed.ptr, end};
  for (char& c : unit) {
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  // "64m", "64mb" and "64mib" are the same: all powers of 1024.
  if (unit.ends_with("b")) {
    unit.pop_back();
  }
  if (unit.size() == 2 && unit[1] == 'i') {
    unit.pop_back();
  }
  constexpr std::string_view kUnits = "kmgtp";
  unsigned shift = 0;
  if (!unit.empty()) {
    const std::size_t index = kUnits.find(unit);
    if (unit.size() != 1 || index == std::string_view::npos) {
      return malformed();
    }
    shift = static_cast<unsigned>(10 * (index + 1));
  }
  if (value > (static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) >> shift)) {
    return malformed();
  }
  return static_cast<std::int64_t>(value << shift);
}

Result<int> ParseDuration(const std::string& text) {
  const auto malformed = [&text] {
    return std::unexpected(Failure("invalid duration \"" + text + "\": as in 5s, 100ms or 1m30s", EINVAL));
  };
  double total = 0;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  while (at < end) {
    const std::optional<Decimal> parsed = ParseDecimal({at, end});
    if (!parsed || parsed->value < 0) {
      return malformed();
    }
    at += parsed->size;
    std::string_view unit{at, static_cast<std::size_t>(end - at)};
    unit = unit.substr(0, unit.find_first_of("0123456789."));
    const double factor = unit == "ms" ? 1 : unit == "s" ? 1000 : unit == "m" ? 60000 : unit == "h" ? 3600000 : 0;
    if (factor == 0) {
      return malformed();
    }
    total += parsed->value * factor;
    at += unit.size();
  }
  constexpr double kMost = 86400000;
  if (total < 1 || total > kMost) {
    return malformed();
  }
  return static_cast<int>(total);
}

}  // namespace nucleus::shim
