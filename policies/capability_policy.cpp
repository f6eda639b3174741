#include "policies/capability_policy.h"

#include <algorithm>
#include <array>
#include <utility>

#include "policies/toml.h"

namespace nucleus::policies {
namespace {

// capabilities(7), in the order of their numbers.
constexpr auto kNames = std::to_array<std::string_view>({"CAP_CHOWN",
                                                         "CAP_DAC_OVERRIDE",
                                                         "CAP_DAC_READ_SEARCH",
                                                         "CAP_FOWNER",
                                                         "CAP_FSETID",
                                                         "CAP_KILL",
                                                         "CAP_SETGID",
                                                         "CAP_SETUID",
                                                         "CAP_SETPCAP",
                                                         "CAP_LINUX_IMMUTABLE",
                                                         "CAP_NET_BIND_SERVICE",
                                                         "CAP_NET_BROADCAST",
                                                         "CAP_NET_ADMIN",
                                                         "CAP_NET_RAW",
                                                         "CAP_IPC_LOCK",
                                                         "CAP_IPC_OWNER",
                                                         "CAP_SYS_MODULE",
                                                         "CAP_SYS_RAWIO",
                                                         "CAP_SYS_CHROOT",
                                                         "CAP_SYS_PTRACE",
                                                         "CAP_SYS_PACCT",
                                                         "CAP_SYS_ADMIN",
                                                         "CAP_SYS_BOOT",
                                                         "CAP_SYS_NICE",
                                                         "CAP_SYS_RESOURCE",
                                                         "CAP_SYS_TIME",
                                                         "CAP_SYS_TTY_CONFIG",
                                                         "CAP_MKNOD",
                                                         "CAP_LEASE",
                                                         "CAP_AUDIT_WRITE",
                                                         "CAP_AUDIT_CONTROL",
                                                         "CAP_SETFCAP",
                                                         "CAP_MAC_OVERRIDE",
                                                         "CAP_MAC_ADMIN",
                                                         "CAP_SYSLOG",
                                                         "CAP_WAKE_ALARM",
                                                         "CAP_BLOCK_SUSPEND",
                                                         "CAP_AUDIT_READ",
                                                         "CAP_PERFMON",
                                                         "CAP_BPF",
                                                         "CAP_CHECKPOINT_RESTORE"});

using Set = std::vector<std::string> oci::Capabilities::*;
constexpr auto kSets =
    std::to_array<std::pair<std::string_view, Set>>({{"bounding", &oci::Capabilities::bounding},
                                                     {"effective", &oci::Capabilities::effective},
                                                     {"inheritable", &oci::Capabilities::inheritable},
                                                     {"permitted", &oci::Capabilities::permitted},
                                                     {"ambient", &oci::Capabilities::ambient}});

std::vector<std::string> ReadKeep(TomlReader& in, const toml::table& table, std::string_view where) {
  std::vector<std::string> names;
  for (const TomlText& text : in.Texts(table, where, "keep").value_or(std::vector<TomlText>{})) {
    if (!IsCapability(text.value)) {
      in.Fail(text, "unknown capability \"" + text.value + "\"");
    }
    names.push_back(text.value);
  }
  return names;
}

}  // namespace

bool IsCapability(std::string_view name) {
  return std::ranges::find(kNames, name) != kNames.end();
}

Result<CapabilityPolicy> ParseCapabilityPolicy(std::string_view toml, const std::string& name) {
  TomlReader in{toml, name};
  CapabilityPolicy policy;
  in.OnlyKeys(in.root(), "", {"keep", "bounding", "effective", "inheritable", "permitted", "ambient"});
  const bool for_all = in.root().contains("keep");
  const std::vector<std::string> keep = ReadKeep(in, in.root(), "");
  for (const auto& [set, member] : kSets) {
    const toml::table* table = in.Table(in.root(), "", set);
    if (table == nullptr) {
      policy.keep.*member = keep;
      continue;
    }
    if (for_all) {
      in.Fail(*table, set, "not beside a keep for all sets");
    }
    in.OnlyKeys(*table, set, {"keep"});
    policy.keep.*member = ReadKeep(in, *table, set);
  }
  TRY(in.Finish());
  return policy;
}

oci::Capabilities Narrow(const std::optional<oci::Capabilities>& granted, const CapabilityPolicy& policy) {
  oci::Capabilities result;
  if (!granted) {
    return result;
  }
  for (const auto& [set, member] : kSets) {
    for (const std::string& name : *granted.*member) {
      if (std::ranges::find(policy.keep.*member, name) != (policy.keep.*member).end()) {
        (result.*member).push_back(name);
      }
    }
  }
  return result;
}

}  // namespace nucleus::policies
