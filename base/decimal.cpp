#include "base/decimal.h"

#include <cmath>
#include <cstdlib>
#include <string>

namespace nucleus {

std::optional<Decimal> ParseDecimal(std::string_view text) {
  std::size_t at = 0;
  const auto skip_digits = [&] {
    const std::size_t before = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
      ++at;
    }
    return at - before;
  };
  const auto skip = [&](std::string_view any) {
    const bool found = at < text.size() && any.find(text[at]) != std::string_view::npos;
    at += found ? 1 : 0;
    return found;
  };
  skip("-");
  std::size_t digits = skip_digits();
  if (skip(".")) {
    digits += skip_digits();
  }
  if (digits == 0) {
    return std::nullopt;
  }
  // An exponent without digits is none: "1em" is 1 and a unit.
  const std::size_t end = at;
  if (skip("eE")) {
    skip("+-");
    at = skip_digits() == 0 ? end : at;
  }
  // Of these characters alone strtod makes a decimal number; the locale is C's.
  const double value = std::strtod(std::string{text.substr(0, at)}.c_str(), nullptr);
  return std::isfinite(value) ? std::optional{Decimal{.value = value, .size = at}} : std::nullopt;
}

}  // namespace nucleus
