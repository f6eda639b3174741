// Which groups of addresses a name belongs to.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runtime/egress/gate/gate.h"

namespace nucleus::gate {

class Names {
 public:
  explicit Names(std::span<const Name> names);

  // Sorted, each once; empty: the name is not allowed. `name` is in lower case without a final dot.
  [[nodiscard]] std::vector<std::uint32_t> Groups(std::string_view name) const;

  // The most groups that any name can have.
  [[nodiscard]] std::size_t MostGroups() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Table = std::unordered_map<std::string, std::vector<std::uint32_t>, Hash, std::equal_to<>>;
  Table exact_;
  Table below_;
};

}  // namespace nucleus::gate
