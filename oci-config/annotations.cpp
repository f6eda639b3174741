#include "oci-config/annotations.h"

#include <algorithm>
#include <array>
#include <utility>

namespace nucleus::oci {
namespace {

constexpr std::string_view kPrefix = "dev.nucleus.";
constexpr std::string_view kGvisorPrefix = "dev.nucleus.gvisor.";

// Bounded, whatever the keys of a hostile document are.
std::string Where(std::string_view key) {
  constexpr std::size_t kMax = 256;
  return "annotations[\"" + std::string{key.substr(0, kMax)} + (key.size() > kMax ? "..." : "") + "\"]: ";
}

template <class T>
Result<T> Word(std::string_view key, std::string_view value,
               std::initializer_list<std::pair<std::string_view, T>> words) {
  std::string known;
  for (const auto& [word, meaning] : words) {
    if (word == value) {
      return meaning;
    }
    known += (known.empty() ? "" : ", ") + std::string{word};
  }
  return std::unexpected(Failure(Where(key) + "must be one of " + known, EINVAL));
}

// PATH@sha256:HEX; the digest is looked for from the end, a path may hold an '@' itself.
Result<Pin> ParsePin(std::string_view key, std::string_view value) {
  constexpr std::string_view kMark = "@sha256:";
  constexpr std::size_t kHexDigits = 64;
  Pin pin;
  const std::size_t mark = value.rfind(kMark);
  if (mark == std::string_view::npos) {
    if (value.find('@') != std::string_view::npos) {
      return std::unexpected(Failure(Where(key) + "the digest must be @sha256: and 64 lower-case hex digits", EINVAL));
    }
    pin.path = value;
  } else {
    pin.path = value.substr(0, mark);
    pin.digest = value.substr(mark + kMark.size());
    const bool hex = std::all_of(pin.digest.begin(), pin.digest.end(),
                                 [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (pin.digest.size() != kHexDigits || !hex) {
      return std::unexpected(Failure(Where(key) + "the digest must be @sha256: and 64 lower-case hex digits", EINVAL));
    }
  }
  if (pin.path.empty()) {
    return std::unexpected(Failure(Where(key) + "the path is empty", EINVAL));
  }
  if (!pin.path.starts_with('/') && ("/" + pin.path + "/").find("/../") != std::string::npos) {
    return std::unexpected(Failure(Where(key) + "the path must not leave the bundle", EINVAL));
  }
  return pin;
}

using Reader = Result<> (*)(std::string_view key, const std::string& value, Annotations& out);

template <std::optional<Pin> Annotations::* member>
Result<> ReadPin(std::string_view key, const std::string& value, Annotations& out) {
  out.*member = TRY(ParsePin(key, value));
  return {};
}

Result<> ReadMode(std::string_view key, const std::string& value, Annotations& out) {
  out.mode = TRY(Word<Mode>(key, value,
                            {{ModeName(Mode::kAgent), Mode::kAgent},
                             {ModeName(Mode::kStrictAgent), Mode::kStrictAgent},
                             {ModeName(Mode::kProduction), Mode::kProduction}}));
  return {};
}

Result<> ReadRuntime(std::string_view key, const std::string& value, Annotations& out) {
  out.runtime = TRY(Word<Runtime>(key, value, {{"native", Runtime::kNative}, {"gvisor", Runtime::kGvisor}}));
  return {};
}

Result<> ReadRootfsMode(std::string_view key, const std::string& value, Annotations& out) {
  out.rootfs_mode = TRY(Word<RootfsMode>(
      key, value, {{"bind", RootfsMode::kBind}, {"copy", RootfsMode::kCopy}, {"overlay", RootfsMode::kOverlay}}));
  return {};
}

Result<> ReadNetwork(std::string_view key, const std::string& value, Annotations& out) {
  out.network = TRY(Word<NetworkMode>(key, value,
                                      {{"oci", NetworkMode::kOci},
                                       {"none", NetworkMode::kNone},
                                       {"bridge", NetworkMode::kBridge},
                                       {"userspace", NetworkMode::kUserspace}}));
  return {};
}

Result<> ReadPublish(std::string_view key, const std::string& value, Annotations& out) {
  Result<std::vector<PublishedPort>> ports = ParsePublish(value);
  if (!ports) {
    return std::unexpected(Failure(Where(key) + ports.error().message, ports.error().code));
  }
  out.publish = *std::move(ports);
  return {};
}

Result<> ReadMembers(std::string_view key, const std::string& value, Annotations& out) {
  Result<Members> members = ParseMembers(value);
  if (!members) {
    return std::unexpected(Failure(Where(key) + members.error().message, members.error().code));
  }
  out.members = *std::move(members);
  return {};
}

Result<> ReadTrace(std::string_view key, const std::string& value, Annotations& out) {
  if (!value.starts_with('/')) {
    return std::unexpected(Failure(Where(key) + "must be an absolute path", EINVAL));
  }
  out.seccomp_trace = value;
  return {};
}

// Normal, so that it can be compared with other places.
Result<> ReadCredentials(std::string_view key, const std::string& value, Annotations& out) {
  const std::string slashed = value + "/";
  if (!value.starts_with('/') || value.ends_with('/') || slashed.find("//") != std::string::npos ||
      slashed.find("/./") != std::string::npos || slashed.find("/../") != std::string::npos) {
    return std::unexpected(
        Failure(Where(key) + "must be an absolute path in the container, without \"//\", \".\" and \"..\"", EINVAL));
  }
  out.credentials = value;
  return {};
}

Result<> ReadGvisorPlatform(std::string_view key, const std::string& value, Annotations& out) {
  out.gvisor_platform = TRY(Word<GvisorPlatform>(
      key, value,
      {{"systrap", GvisorPlatform::kSystrap}, {"kvm", GvisorPlatform::kKvm}, {"ptrace", GvisorPlatform::kPtrace}}));
  return {};
}

Result<> ReadGvisorNetwork(std::string_view key, const std::string& value, Annotations& out) {
  out.gvisor_network = TRY(Word<GvisorNetwork>(
      key, value,
      {{"none", GvisorNetwork::kNone}, {"sandbox", GvisorNetwork::kSandbox}, {"host", GvisorNetwork::kHost}}));
  return {};
}

Result<> ReadLockdown(std::string_view key, const std::string& value, Annotations& out) {
  out.require_lockdown = TRY(Word<Lockdown>(
      key, value, {{"integrity", Lockdown::kIntegrity}, {"confidentiality", Lockdown::kConfidentiality}}));
  return {};
}

Result<> ReadInit(std::string_view key, const std::string& value, Annotations& out) {
  out.init = TRY(Word<bool>(key, value, {{"on", true}, {"off", false}}));
  return {};
}

struct Row {
  std::string_view key;
  Reader read;
  bool (*asked_for)(const Annotations&);  // with something other than the default
  bool supported = false;
};

constexpr auto kTable = std::to_array<Row>({
    {"dev.nucleus.mode", ReadMode, [](const Annotations& a) { return a.mode.has_value(); }, true},
    {"dev.nucleus.runtime", ReadRuntime, [](const Annotations& a) { return a.runtime != Runtime::kNative; }, true},
    {"dev.nucleus.policy.seccomp", ReadPin<&Annotations::seccomp_policy>,
     [](const Annotations& a) { return a.seccomp_policy.has_value(); }, true},
    {"dev.nucleus.policy.capabilities", ReadPin<&Annotations::capabilities_policy>,
     [](const Annotations& a) { return a.capabilities_policy.has_value(); }, true},
    {"dev.nucleus.policy.landlock", ReadPin<&Annotations::landlock_policy>,
     [](const Annotations& a) { return a.landlock_policy.has_value(); }, true},
    {"dev.nucleus.policy.egress", ReadPin<&Annotations::egress_policy>,
     [](const Annotations& a) { return a.egress_policy.has_value(); }, true},
    {"dev.nucleus.rootfs.manifest", ReadPin<&Annotations::rootfs_manifest>,
     [](const Annotations& a) { return a.rootfs_manifest.has_value(); }, true},
    {"dev.nucleus.rootfs.closure", ReadPin<&Annotations::rootfs_closure>,
     [](const Annotations& a) { return a.rootfs_closure.has_value(); }, true},
    {"dev.nucleus.rootfs.mode", ReadRootfsMode, [](const Annotations& a) { return a.rootfs_mode != RootfsMode::kBind; },
     true},
    {"dev.nucleus.network", ReadNetwork, [](const Annotations& a) { return a.network != NetworkMode::kOci; }, true},
    {"dev.nucleus.network.publish", ReadPublish, [](const Annotations& a) { return !a.publish.empty(); }, true},
    {"dev.nucleus.network.members", ReadMembers, [](const Annotations& a) { return a.members.number != 0; }, true},
    {"dev.nucleus.seccomp.trace", ReadTrace, [](const Annotations& a) { return !a.seccomp_trace.empty(); }, true},
    {"dev.nucleus.gvisor.platform", ReadGvisorPlatform,
     [](const Annotations& a) { return a.gvisor_platform.has_value(); }, true},
    {"dev.nucleus.gvisor.network", ReadGvisorNetwork,
     [](const Annotations& a) { return a.gvisor_network != GvisorNetwork::kNone; }, true},
    {"dev.nucleus.gvisor.runsc", ReadPin<&Annotations::gvisor_runsc>,
     [](const Annotations& a) { return a.gvisor_runsc.has_value(); }, true},
    {"dev.nucleus.require.lockdown", ReadLockdown, [](const Annotations& a) { return a.require_lockdown.has_value(); },
     true},
    {"dev.nucleus.credentials", ReadCredentials, [](const Annotations& a) { return !a.credentials.empty(); }, true},
    {"dev.nucleus.init", ReadInit, [](const Annotations& a) { return a.init.value_or(false); }, true},
});

}  // namespace

std::string_view ModeName(Mode mode) {
  switch (mode) {
    case Mode::kAgent:
      return "agent";
    case Mode::kStrictAgent:
      return "strict-agent";
    case Mode::kProduction:
      break;
  }
  return "production";
}

std::string_view RootfsModeName(RootfsMode mode) {
  switch (mode) {
    case RootfsMode::kBind:
      return "bind";
    case RootfsMode::kCopy:
      return "copy";
    case RootfsMode::kOverlay:
      break;
  }
  return "overlay";
}

Result<Annotations> ParseAnnotations(const StringMap& annotations) {
  Annotations result;
  for (auto entry = annotations.lower_bound(std::string{kPrefix});
       entry != annotations.end() && entry->first.starts_with(kPrefix); ++entry) {
    const auto* row = std::find_if(kTable.begin(), kTable.end(),
                                   [&entry](const Row& candidate) { return candidate.key == entry->first; });
    if (row == kTable.end()) {
      return std::unexpected(Failure(Where(entry->first) + "unknown key", EINVAL));
    }
    TRY(row->read(entry->first, entry->second, result));
  }
  if (!result.publish.empty() && result.network != NetworkMode::kBridge && result.network != NetworkMode::kUserspace) {
    return std::unexpected(
        Failure(Where("dev.nucleus.network.publish") + "takes dev.nucleus.network bridge or userspace", EINVAL));
  }
  if (result.members.number != 0 && result.network != NetworkMode::kBridge) {
    return std::unexpected(Failure(Where("dev.nucleus.network.members") + "takes dev.nucleus.network bridge", EINVAL));
  }
  return result;
}

Result<> RefuseUnsupported(const Annotations& annotations) {
  for (const Row& row : kTable) {
    if (!row.supported && row.asked_for(annotations)) {
      return std::unexpected(Failure(Where(row.key) + "not supported yet", ENOTSUP));
    }
    if (annotations.runtime == Runtime::kNative && row.key.starts_with(kGvisorPrefix) && row.asked_for(annotations)) {
      return std::unexpected(Failure(Where(row.key) + "takes dev.nucleus.runtime gvisor", EINVAL));
    }
  }
  return {};
}

std::vector<std::string> KnownAnnotations() {
  std::vector<std::string> keys;
  keys.reserve(kTable.size());
  for (const Row& row : kTable) {
    keys.emplace_back(row.key);
  }
  return keys;
}

}  // namespace nucleus::oci
