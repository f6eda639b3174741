// All that nf_tables has in one network namespace, told by the kernel and brought into a form that does not depend on
// the namespace, so that one digest says whether two of them have the same rules.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "runtime/net/netlink.h"

namespace nucleus::net {

struct PresentRules {
  std::uint64_t handle = 0;  // of the table
  std::string owner;         // kept with it
  std::string digest;        // SHA-256, hex, of everything but these two
};

// Of a namespace with one table: with none, or more, it is EPROTO. Chains with hook and policy, rules in order, sets
// and their elements are in the digest; counters are not.
Result<PresentRules> ReadRules(Socket& socket);

// EPROTO: the kernel does not have what was loaded.
std::unexpected<Error> RulesDiffer(const std::string& what);

}  // namespace nucleus::net
