// Whether a container's egress rules can be loaded ready-made, by its own init, with no nucleus-net: where they depend
// on the policy alone, because the namespace is the container's own and new, and nucleus makes and serves nothing in
// it. Inside runtime/container only.
#pragma once

#include <optional>
#include <string>

#include "runtime/container/bundle.h"
#include "runtime/net/rule_image.h"

namespace nucleus::container {

// Where they are kept between containers, and under which key: the policy, the kernel, and the program that made them.
struct RulesPlace {
  std::string directory;
  std::string key;
};

// Nothing where this bundle's rules need more than its policy, or this user has no such place.
std::optional<RulesPlace> PlaceOfRules(const Bundle& bundle);

// What is kept there, where the init can load it.
std::optional<net::RuleImage> FindRules(const RulesPlace& place);

// They did not do: the next container's are made anew.
void ForgetRules(const RulesPlace& place);

}  // namespace nucleus::container
