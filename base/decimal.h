// Decimal numbers with a fraction. std::from_chars for double brings tables of ten kilobytes into every program; the C
// library's own is there in any case.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace nucleus {

struct Decimal {
  double value = 0;
  std::size_t size = 0;  // how many characters it takes
};

// The number at the beginning of `text`, as far as it goes: "-1.5e3". Nothing where there is none, or too large a one.
std::optional<Decimal> ParseDecimal(std::string_view text);

}  // namespace nucleus
