#include "runtime/sys/number_list.h"

#include <algorithm>
#include <charconv>

namespace nucleus::sys {

Result<std::vector<unsigned>> ParseNumberList(const std::string& list) {
  // Bounds what a hostile list can make us hold.
  constexpr unsigned kMost = 65536;
  const auto malformed = [&list] {
    return std::unexpected(Failure("\"" + list + "\" is not a list of numbers and ranges below 65536", EINVAL));
  };
  std::vector<unsigned> numbers;
  const char* at = list.data();
  const char* const end = list.data() + list.size();
  for (;;) {
    unsigned first = 0;
    auto parsed = std::from_chars(at, end, first);
    unsigned last = first;
    if (parsed.ec == std::errc{} && parsed.ptr < end && *parsed.ptr == '-') {
      parsed = std::from_chars(parsed.ptr + 1, end, last);
    }
    if (parsed.ec != std::errc{} || last >= kMost || first > last || (parsed.ptr < end && *parsed.ptr != ',')) {
      return malformed();
    }
    for (unsigned number = first; number <= last; ++number) {
      numbers.push_back(number);
    }
    if (parsed.ptr == end) {
      break;
    }
    at = parsed.ptr + 1;
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

}  // namespace nucleus::sys
