// The table on the host's side of a link that nucleus made: what the container sends is looked at frame by frame where
// the container has no hand, whatever capabilities it has. It knows no connections (the netdev family has none): flows
// that names have opened are remembered in sets. Source: nft(8), "netdev".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/egress/nft/table.h"
#include "runtime/egress/rules/compiled.h"
#include "runtime/egress/rules/inner.h"

namespace nucleus::egress {

// Of the link's other end, the container's.
struct OuterLink {
  std::string device;                  // the host's end
  std::string mac;                     // 6 bytes
  std::array<std::string, 2> address;  // by family, in bytes; empty: none
};

// Of a packet that a container sends to a member, whose address it is known to have: what lets it through to that one
// (uplink/nat.h) looks for it.
inline constexpr std::uint32_t kMemberMark = 0x00800000;

// One for each container; up to 31 characters of the ID are in it, and the device's name.
std::string OuterTableName(const std::string& device);

nft::Table OuterTable(const Compiled& compiled, const TableOptions& options, const OuterLink& link);

}  // namespace nucleus::egress
