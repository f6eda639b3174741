// What the runtime asks of nucleus-net (runtime/egress/helper) over a socket, descriptor 3, in the messages of
// runtime/container/channel.h: kGo with a file of bounded size, which is the request. What follows:
//
//   setup    → kGo with the container's network namespace, kGo with a pidfd of its init (kGo with its user namespace
//              where `rootless`); where it makes an uplink ← kUplink (text: the record for `remove`), → kGo; ← kReady
//              (text: JSON of what is in force; code 1: it stays as long as the container does), → kGo. Without the
//              last kGo all is undone.
//   remove   → kGo with the namespace where a table is to be taken out of it; ← kReady
//   show     → kGo with the namespace, kGo with the outer filter's namespace; the text is on descriptor 1; ← kReady
//   replace  → kGo with another request, the next one; then as setup, for a container that is there: rules alone
//
// or ← kError instead of anything. Both sides are of one build.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace nucleus::net {

struct HelperRequest {
  std::string operation;  // "setup", "remove", "show", "replace"
  std::string id;
  std::string mode;  // of dev.nucleus.network
  std::string publish;
  std::string members;
  bool filtered = false;
  bool end_with_gate = false;
  bool direct = false;
  bool own_stack = false;  // the container's network is not the kernel's: names are asked at kGateBesideStack
  bool rootless = false;
  bool json = false;            // of show
  std::string policy;           // the document; empty with `filtered`: deny everything
  std::string policy_name;      // for its errors
  std::string policy_digest;    // SHA-256, hex
  std::string record;           // of the uplink, for remove
  std::string run_directory;    // leases of all containers of this host
  std::string state_directory;  // of the container
  std::string state_root;       // for the event stream
  std::string events;           // --events; "fd:4" for one that was handed over
  std::string image_directory;  // of setup: where the rules are kept ready-made (rule_image.h); empty: nowhere
  std::string image_key;        // under which
  std::uint32_t generation = 1;
};

// Of `mode`.
inline bool MakesUplink(std::string_view mode) {
  return mode == "bridge" || mode == "userspace";
}

std::string Format(const HelperRequest& request);
Result<HelperRequest> ParseHelperRequest(std::string_view text);

inline constexpr std::size_t kMaxHelperRequest = std::size_t{32} << 20;
inline constexpr int kHelperChannel = 3;
inline constexpr int kHelperEvents = 4;
// Of the link alone, by which a stack of the container's own has no other way to the gate.
inline constexpr const char* kGateBesideStack = "169.254.53.1";
// In the container's state directory.
inline constexpr const char* kNetSocket = "net.sock";
inline constexpr const char* kRefusedFile = "refused.ndjson";
inline constexpr const char* kRefusedOldFile = "refused.ndjson.1";
inline constexpr const char* kResolvConf = "resolv.conf";
inline constexpr const char* kBrokerToken = "broker-token";

}  // namespace nucleus::net
