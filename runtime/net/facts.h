// What is in force for a container's network, as its state and its events have it: from nucleus-net, or from the init
// that has loaded ready-made rules.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nucleus::net {

struct LoadedTable {
  std::uint64_t handle = 0;
  std::size_t rules = 0;
  std::size_t elements = 0;
};

struct Facts {
  std::string mode;
  std::string policy_digest;  // SHA-256, hex; empty: no policy
  std::uint32_t generation = 1;
  std::optional<LoadedTable> inside;
  std::optional<LoadedTable> outside;
  std::size_t names = 0;
};

// JSON.
std::string Format(const Facts& facts);

}  // namespace nucleus::net
