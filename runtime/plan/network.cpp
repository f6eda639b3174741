#include "runtime/plan/network.h"

#include <linux/capability.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>

namespace nucleus::plan {
namespace {

constexpr const char* kNetworkKey = "annotations[\"dev.nucleus.network\"]: ";
constexpr const char* kMembersKey = "annotations[\"dev.nucleus.network.members\"]: ";
constexpr const char* kEgressKey = "annotations[\"dev.nucleus.policy.egress\"]: ";

bool MakesUplink(oci::NetworkMode mode) {
  return mode == oci::NetworkMode::kBridge || mode == oci::NetworkMode::kUserspace;
}

// The other rules stand where the container has no hand; without rights over any namespace of its own, the runtime can
// put them nowhere.
bool GuardedOutside(oci::NetworkMode mode, const Host& host) {
  return MakesUplink(mode) && host.euid == 0;
}

// Names are the gate's to answer, at one address, whatever the image or the caller has put there.
void MountResolvConf(const Options& options, const Host& host, Plan& plan) {
  MountOptions mount;
  mount.bind = true;
  mount.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  plan.rootfs.mounts.emplace_back(BindMount{.source = options.resolv_conf,
                                            .target = "/etc/resolv.conf",
                                            .options = std::move(mount),
                                            .private_source = host.euid == 0 && plan.namespaces.Has(CLONE_NEWUSER)});
}

}  // namespace

Result<oci::Spec> ApplyNetwork(const oci::Annotations& annotations, const oci::Spec& spec) {
  oci::Spec result = spec;
  auto& namespaces = result.linux_.namespaces;
  const auto found = std::ranges::find(namespaces, oci::NamespaceType::kNetwork, &oci::Namespace::type);
  if (found == namespaces.end()) {
    namespaces.push_back({.type = oci::NamespaceType::kNetwork, .path = {}});
  } else if (!found->path.empty()) {
    return std::unexpected(Failure(
        std::string{kNetworkKey} + "makes the network namespace, but linux.namespaces has the path " + found->path,
        EINVAL));
  }
  if (annotations.network == oci::NetworkMode::kNone && !spec.linux_.net_devices.empty()) {
    return std::unexpected(Failure(std::string{kNetworkKey} + "\"none\", but linux.netDevices has devices", EINVAL));
  }
  return result;
}

Result<> CheckNetworkCapabilities(const oci::Annotations& annotations, bool filtered, const Host& host,
                                  const confine::CapabilitySets& sets) {
  if (!filtered || GuardedOutside(annotations.network, host)) {
    return {};
  }
  const std::uint64_t all = sets.bounding | sets.effective | sets.permitted | sets.inheritable | sets.ambient;
  for (const auto& [capability, name] : {std::pair{CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {CAP_NET_RAW, "CAP_NET_RAW"}}) {
    if ((all >> capability & 1) != 0) {
      return std::unexpected(
          Failure(std::string{"process.capabilities: "} + name +
                      " goes around the egress policy, which stands inside of the container's network namespace here; "
                      "drop it, or let nucleus make the uplink (dev.nucleus.network: bridge or userspace, as root)",
                  EPERM));
    }
  }
  return {};
}

Result<> PlanNetwork(const oci::Annotations& annotations, const policies::Policies& policies, const Options& options,
                     const Host& host, Plan& plan) {
  const bool uplink = MakesUplink(annotations.network);
  if (annotations.network == oci::NetworkMode::kBridge && host.rootless()) {
    return std::unexpected(Failure(
        std::string{kNetworkKey} + "\"bridge\" is for the host's root alone; \"userspace\" needs no privilege", EPERM));
  }
  // A mode without a policy denies everything: where there is an uplink, by rules; elsewhere there must be none.
  const bool filtered = policies.egress || (policies.mode && uplink);
  plan.deny_uplinks = policies.mode && !filtered;
  if (policies.egress && !plan.namespaces.Has(CLONE_NEWNET)) {
    return std::unexpected(Failure(
        std::string{kEgressKey} + "needs a network namespace in linux.namespaces: the host's is not touched", EINVAL));
  }
  // Who a member's packets come from is what the rules outside make sure of.
  if (annotations.members.number != 0 && !filtered) {
    return std::unexpected(Failure(
        std::string{kMembersKey} + "takes dev.nucleus.policy.egress, or a mode, which denies all else", EINVAL));
  }
  if (!filtered && !uplink) {
    return {};
  }
  if (plan.process) {
    TRY(CheckNetworkCapabilities(annotations, filtered, host, plan.confinement.capabilities));
  }
  Network network;
  network.mode = annotations.network;
  network.publish = annotations.publish;
  network.filtered = filtered;
  network.names = !annotations.members.others.empty();
  network.direct = uplink && !GuardedOutside(annotations.network, host);
  network.end_with_gate = policies.mode && *policies.mode != oci::Mode::kAgent;
  if (policies.egress) {
    network.names = network.names || (!policies.egress->dns_servers.empty() &&
                                      std::ranges::any_of(policies.egress->allow,
                                                          [](const auto& rule) { return !rule.domain.empty(); }));
    network.broker = policies.egress->broker;
    network.log = policies.egress->log;
  }
  if (network.names && plan.process) {
    if (!plan.namespaces.Has(CLONE_NEWNS)) {
      return std::unexpected(Failure(std::string{annotations.members.others.empty() ? kEgressKey : kMembersKey} +
                                         "a domain needs a mount namespace in linux.namespaces, for /etc/resolv.conf",
                                     EINVAL));
    }
    MountResolvConf(options, host, plan);
  }
  plan.network = std::move(network);
  return {};
}

}  // namespace nucleus::plan
