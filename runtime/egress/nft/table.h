// A whole table as a value: what is loaded in one transaction and compared with what the kernel has afterwards.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/egress/nft/objects.h"
#include "runtime/egress/nft/rule.h"

namespace nucleus::nft {

struct Table {
  std::uint32_t family = 0;  // NFPROTO_*
  std::string name;
  std::string owner;  // kept with the table, up to 200 bytes: whose it is
  std::vector<std::string> counters;
  std::vector<Set> sets;
  std::vector<Chain> chains;
  std::vector<Rule> rules;  // in order
};

}  // namespace nucleus::nft
