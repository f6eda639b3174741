#include <algorithm>
#include <charconv>

#include "oci-config/read.h"

namespace nucleus::oci {

void Read(JsonReader& in, IdMapping& out) {
  out = {};
  in.Object({{"containerID", out.container_id}, {"hostID", out.host_id}, {"size", out.size}});
  in.Check(out.size > 0, "size", "must be greater than 0");
}

void CheckMappings(JsonReader& in, std::string_view property, const std::vector<IdMapping>& mappings) {
  const auto overlaps = [](std::uint32_t a, std::uint32_t a_size, std::uint32_t b, std::uint32_t b_size) {
    return std::uint64_t{a} < std::uint64_t{b} + b_size && std::uint64_t{b} < std::uint64_t{a} + a_size;
  };
  // The kernel takes 340 of them.
  constexpr std::size_t kMost = 340;
  in.Check(mappings.size() <= kMost, property, "more than 340 mappings");
  for (std::size_t i = 0; i < mappings.size() && !in.failed(); ++i) {
    const std::string where = std::string{property} + "[" + std::to_string(i) + "]";
    const IdMapping& one = mappings[i];
    in.Check(
        std::uint64_t{one.container_id} + one.size <= UINT32_MAX && std::uint64_t{one.host_id} + one.size <= UINT32_MAX,
        where, "reaches beyond the last id");
    for (std::size_t j = 0; j < i; ++j) {
      const IdMapping& other = mappings[j];
      in.Check(!overlaps(one.container_id, one.size, other.container_id, other.size) &&
                   !overlaps(one.host_id, one.size, other.host_id, other.size),
               where, "overlaps another mapping");
    }
  }
}

bool IsNumberList(std::string_view text) {
  const auto number = [](std::string_view digits, unsigned& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size() && !digits.empty();
  };
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const std::size_t dash = part.find('-');
    unsigned first = 0;
    unsigned last = 0;
    if (!number(part.substr(0, dash), first)) {
      return false;
    }
    if (dash != std::string_view::npos && (!number(part.substr(dash + 1), last) || last < first)) {
      return false;
    }
    if (comma == std::string_view::npos) {
      return true;
    }
    text.remove_prefix(comma + 1);
  }
}

}  // namespace nucleus::oci
