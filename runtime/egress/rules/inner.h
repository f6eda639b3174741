// The table in the container's own network namespace: refuses at once, logs, and knows connections. It holds for a
// container without CAP_NET_ADMIN and CAP_NET_RAW; for any other one there is a second table outside (outer.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/egress/nft/batch.h"
#include "runtime/egress/nft/table.h"
#include "runtime/egress/rules/compiled.h"

namespace nucleus::egress {

inline constexpr const char* kInnerTable = "nucleus";

struct TableOptions {
  std::string owner;             // the container's ID
  std::uint32_t generation = 1;  // of the policy; connections are known by it as well (ct mark)
  std::optional<std::uint16_t> log_group;
};

nft::Table InnerTable(const Compiled& compiled, const TableOptions& options);

// The sets of `next`, which have to be there before Replacement: the kernel makes the elements of a concatenation
// visible a moment after the rules of the same transaction, and a packet in between would be refused.
nft::Batch NewSets(const nft::Table& next);

// Replaces the rules of a table that InnerTable or OuterTable made by those of `next`, in one transaction: each packet
// meets all of the old rules or all of the new ones. `old_sets` are the sets that go.
nft::Batch Replacement(nft::Table& next, const std::vector<std::string>& old_sets);

}  // namespace nucleus::egress
