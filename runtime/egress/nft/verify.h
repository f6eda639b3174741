// What the kernel has is compared with what was asked for. An expression, a set or a rule that it took and dropped, or
// that somebody changed in between, is found here and not by a packet.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/egress/nft/socket.h"
#include "runtime/egress/nft/table.h"
#include "runtime/net/facts.h"

namespace nucleus::nft {

struct Expected {
  std::uint32_t family = 0;
  std::string table;
  std::string owner;
  std::vector<Set> sets;
  std::vector<Chain> chains;
  std::vector<std::pair<std::string, std::string>> rules;  // chain, text
};

// Taken from the table before it is loaded.
Expected Expect(const Table& table);

using Loaded = net::LoadedTable;

// EPROTO and what differs where they are not the same: chains with hook, policy and device, rules in order, elements of
// the sets that do not time out.
Result<Loaded> Verify(Socket& socket, const Expected& expected);

}  // namespace nucleus::nft
