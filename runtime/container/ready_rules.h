// Whether a container's egress rules can be loaded ready-made, with no nucleus-net: where they depend on the policy
// alone, because the namespace is the container's own and new, and nucleus makes and serves nothing in it. The runtime
// loads them while the init makes its way; where it may not, the init itself. Inside runtime/container only.
#pragma once

#include <optional>
#include <string>

#include "runtime/container/bundle.h"
#include "runtime/net/facts.h"
#include "runtime/net/rule_image.h"

namespace nucleus::container {

// Where they are kept between containers, and under which key: the policy, the kernel, and the program that made them.
struct RulesPlace {
  std::string directory;
  std::string key;
};

// Nothing where this bundle's rules need more than its policy, or this user has no such place.
std::optional<RulesPlace> PlaceOfRules(const Bundle& bundle);

// What is kept there, where it can be loaded.
std::optional<net::RuleImage> FindRules(const RulesPlace& place);

// May this process load rules into the network namespace of a process that it has cloned?
bool MayLoadRules();
// Into that of the process of `pidfd`.
Result<net::LoadedTable> LoadRulesInto(int pidfd, const net::RuleImage& image, const std::string& owner);

// They did not do: the next container's are made anew.
void ForgetRules(const RulesPlace& place);

}  // namespace nucleus::container
