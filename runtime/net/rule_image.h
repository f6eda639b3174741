// The rules of an egress policy ready to be loaded: the messages that nucleus-net once made of the policy, and the
// digest of what the kernel told back when nucleus-net had compared it with the policy. Whoever loads them compares the
// digest, and needs to know neither the policy nor how rules are made. For containers whose rules depend on the policy
// alone (runtime/container/ready_rules.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "runtime/net/facts.h"
#include "runtime/net/netlink.h"

namespace nucleus::net {

struct RuleImage {
  std::string batch;   // of nf_tables: its table first, which has no owner; one message is acknowledged, the last
  std::string digest;  // of PresentRules
  std::size_t rules = 0;
  std::size_t elements = 0;
};

std::string Format(const RuleImage& image);
// Nothing where it is not one.
std::optional<RuleImage> ParseRuleImage(std::string_view bytes);

// The image's messages with the owner put into its table. EPROTO where there is no table.
Result<std::string> WithOwner(std::string_view batch, const std::string& owner);

// Into the network namespace of the socket, which has no rules yet; and reads them back. EPROTO where the kernel does
// not have what the image says.
Result<LoadedTable> LoadRules(Socket socket, const RuleImage& image, const std::string& owner);
// The second half: what is there now.
Result<LoadedTable> CompareRules(Socket& socket, const RuleImage& image, const std::string& owner);

}  // namespace nucleus::net
