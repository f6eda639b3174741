#include "runtime/plan/plan.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <array>

#include "runtime/plan/made_mounts.h"
#include "runtime/plan/mode.h"
#include "runtime/plan/network.h"
#include "runtime/plan/sysctl.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace nucleus::plan {
namespace {

struct NamespaceRow {
  oci::NamespaceType type;
  int flag;
  const char* file;
};

constexpr auto kNamespaces = std::to_array<NamespaceRow>({
    {oci::NamespaceType::kUser, CLONE_NEWUSER, "user"},
    {oci::NamespaceType::kPid, CLONE_NEWPID, "pid"},
    {oci::NamespaceType::kNetwork, CLONE_NEWNET, "net"},
    {oci::NamespaceType::kMount, CLONE_NEWNS, "mnt"},
    {oci::NamespaceType::kIpc, CLONE_NEWIPC, "ipc"},
    {oci::NamespaceType::kUts, CLONE_NEWUTS, "uts"},
    {oci::NamespaceType::kCgroup, CLONE_NEWCGROUP, "cgroup"},
    {oci::NamespaceType::kTime, CLONE_NEWTIME, "time"},
});

Namespaces PlanNamespaces(const oci::Linux& container) {
  Namespaces result;
  for (const oci::Namespace& entry : container.namespaces) {
    const int flag = NamespaceFlag(entry.type);
    if (entry.path.empty()) {
      result.create |= static_cast<std::uint64_t>(flag);
    } else {
      result.join.push_back({.type = flag, .path = entry.path});
    }
  }
  // A user namespace comes first: joining the others asks for the privileges that it gives.
  const auto user = std::find_if(result.join.begin(), result.join.end(),
                                 [](const NamespaceJoin& join) { return join.type == CLONE_NEWUSER; });
  if (user != result.join.end()) {
    std::rotate(result.join.begin(), user, user + 1);
  }
  return result;
}

bool IsOneself(const std::vector<oci::IdMapping>& mappings, std::uint32_t id) {
  return mappings.size() == 1 && mappings[0].size == 1 && mappings[0].host_id == id;
}

bool MapsRoot(const std::vector<oci::IdMapping>& mappings) {
  return std::ranges::any_of(
      mappings, [](const oci::IdMapping& mapping) { return mapping.container_id == 0 && mapping.size > 0; });
}

Result<> CheckMappings(const oci::Linux& container, const Namespaces& namespaces) {
  const bool mappings = !container.uid_mappings.empty() || !container.gid_mappings.empty();
  if (namespaces.Creates(CLONE_NEWUSER)) {
    if (container.uid_mappings.empty()) {
      return std::unexpected(Failure("linux.uidMappings: needed for a new user namespace"));
    }
    if (container.gid_mappings.empty()) {
      return std::unexpected(Failure("linux.gidMappings: needed for a new user namespace"));
    }
    // The init becomes the namespace's root to build the container.
    if (!MapsRoot(container.uid_mappings)) {
      return std::unexpected(Failure("linux.uidMappings: no mapping for the id 0 of the container", EINVAL));
    }
    if (!MapsRoot(container.gid_mappings)) {
      return std::unexpected(Failure("linux.gidMappings: no mapping for the id 0 of the container", EINVAL));
    }
  } else if (mappings && !namespaces.Joins(CLONE_NEWUSER)) {
    return std::unexpected(Failure("linux.uidMappings: id mappings need a user namespace in linux.namespaces"));
  }
  return {};
}

// "a//b/./c/" → "/a/b/c"; ".." is left for the resolver, which keeps it inside the root.
std::string CleanTarget(std::string_view path) {
  std::string clean;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (!part.empty() && part != ".") {
      clean += '/';
      clean += part;
    }
  }
  return clean.empty() ? "/" : clean;
}

Result<MountStep> PlanMount(const oci::Mount& mount, const std::string& where, const Options& options,
                            const Namespaces& namespaces, const std::string& mount_label, bool rootless) {
  MountOptions parsed = ParseMountOptions(mount.options);
  const std::string target = CleanTarget(mount.destination);
  const bool bind = parsed.bind || mount.type == "bind";
  const bool idmap = parsed.idmap || parsed.recursive_idmap || !mount.uid_mappings.empty();
  if (idmap && !(bind && !parsed.remount)) {
    return std::unexpected(Failure(where + ": id mappings are for bind mounts", ENOTSUP));
  }
  if (idmap && mount.uid_mappings.empty() && !namespaces.Has(CLONE_NEWUSER)) {
    return std::unexpected(
        Failure(where + ".options: idmap needs uidMappings and gidMappings, or a user namespace", EINVAL));
  }
  if (target == "/") {
    return std::unexpected(Failure(where + ".destination: the root itself is not a mount destination", EINVAL));
  }
  if (parsed.remount) {
    return Remount{.target = target, .options = std::move(parsed)};
  }
  if (bind) {
    if (parsed.tmpcopyup) {
      return std::unexpected(Failure(where + ".options: tmpcopyup is for a tmpfs"));
    }
    if (mount.source.empty()) {
      return std::unexpected(Failure(where + ".source: needed for a bind mount"));
    }
    // Relative to the bundle, as the specification says of bind mounts.
    std::string source = mount.source.front() == '/' ? mount.source : options.bundle + "/" + mount.source;
    const bool recursive = parsed.recursive_bind;
    // What is mounted below the host's /sys, the cgroups above all, is bound with it; "ro" alone would leave that
    // writable to an ordinary user's container (CVE-2023-25809).
    if (rootless && recursive && (parsed.set & MOUNT_ATTR_RDONLY) != 0 && CleanTarget(source) == "/sys") {
      parsed.recursive_set |= MOUNT_ATTR_RDONLY;
    }
    const bool recursive_idmap = parsed.recursive_idmap;
    return BindMount{.source = std::move(source),
                     .target = target,
                     .recursive = recursive,
                     .options = std::move(parsed),
                     .idmap = idmap,
                     .recursive_idmap = recursive_idmap,
                     .uid_mappings = mount.uid_mappings,
                     .gid_mappings = mount.gid_mappings};
  }
  if (mount.type.empty() || mount.type == "none") {
    return std::unexpected(Failure(where + ".type: needed for a mount that is not a bind mount"));
  }
  if (mount.type == "cgroup" || mount.type == "cgroup2") {
    return CgroupMount{.target = target, .options = std::move(parsed)};
  }
  if (parsed.tmpcopyup && mount.type != "tmpfs") {
    return std::unexpected(Failure(where + ".options: tmpcopyup is for a tmpfs"));
  }
  // A filesystem of its own takes the label as a whole; these three carry the labels that the policy has for them.
  if (!mount_label.empty() && mount.type != "proc" && mount.type != "sysfs" && mount.type != "mqueue") {
    parsed.parameters.push_back({.key = "context", .value = mount_label, .has_value = true});
  }
  return FilesystemMount{.type = mount.type, .source = mount.source, .target = target, .options = std::move(parsed)};
}

std::vector<DeviceNode> DefaultDevices() {
  const auto node = [](const char* path, unsigned major_number, unsigned minor_number) {
    return DeviceNode{.type = 'c', .path = path, .number = makedev(major_number, minor_number), .mode = 0666};
  };
  return {node("/dev/null", 1, 3), node("/dev/zero", 1, 5),    node("/dev/full", 1, 7),
          node("/dev/tty", 5, 0),  node("/dev/urandom", 1, 9), node("/dev/random", 1, 8)};
}

void AddDevices(const std::vector<oci::Device>& devices, std::vector<DeviceNode>& nodes) {
  for (const oci::Device& device : devices) {
    DeviceNode node{
        .type = device.type == 'u' ? 'c' : device.type,
        .path = CleanTarget(device.path),
        .number = device.type == 'p'
                      ? dev_t{0}
                      : makedev(static_cast<unsigned>(device.major), static_cast<unsigned>(device.minor)),
        .mode = device.file_mode.value_or(0666) & 07777,
        .uid = device.uid.value_or(0),
        .gid = device.gid.value_or(0),
    };
    // A listed device replaces the default of the same path.
    std::erase_if(nodes, [&node](const DeviceNode& other) { return other.path == node.path; });
    nodes.push_back(std::move(node));
  }
}

Result<Rootfs> PlanRootfs(const oci::Spec& spec, const Options& options, const Namespaces& namespaces,
                          const Host& host) {
  const oci::Linux& container = spec.linux_;
  Rootfs rootfs;
  rootfs.path = spec.root.path.front() == '/' ? spec.root.path : options.bundle + "/" + spec.root.path;
  rootfs.readonly = spec.root.readonly;
  rootfs.pivot = !options.no_pivot;
  rootfs.masked_paths = container.masked_paths;
  rootfs.readonly_paths = container.readonly_paths;
  rootfs.in_user_namespace = namespaces.Has(CLONE_NEWUSER) || !host.in_initial_user_namespace;
  rootfs.bind_devices = rootfs.in_user_namespace;

  rootfs.host_propagation = MS_SLAVE;
  if (container.rootfs_propagation) {
    switch (*container.rootfs_propagation) {
      case oci::RootfsPropagation::kShared:
        rootfs.host_propagation = 0;
        rootfs.root_propagation = MS_SHARED;
        break;
      case oci::RootfsPropagation::kSlave:
        rootfs.root_propagation = MS_SLAVE;
        break;
      case oci::RootfsPropagation::kPrivate:
        rootfs.host_propagation = MS_PRIVATE;
        rootfs.root_propagation = MS_PRIVATE;
        break;
      case oci::RootfsPropagation::kUnbindable:
        rootfs.host_propagation = MS_PRIVATE;
        rootfs.root_propagation = MS_UNBINDABLE;
        break;
    }
  }

  if (!container.mount_label.empty() && !host.selinux) {
    return std::unexpected(Failure("linux.mountLabel: SELinux is not enabled on this host", ENOTSUP));
  }
  rootfs.devices = DefaultDevices();
  for (std::size_t i = 0; i < spec.mounts.size(); ++i) {
    MountStep step = TRY(PlanMount(spec.mounts[i], "mounts[" + std::to_string(i) + "]", options, namespaces,
                                   container.mount_label, host.rootless()));
    const auto* bind = std::get_if<BindMount>(&step);
    if (bind != nullptr && bind->target == "/dev") {
      rootfs.populate_dev = false;
      rootfs.devices.clear();
    }
    rootfs.mounts.push_back(std::move(step));
  }
  AddDevices(container.devices, rootfs.devices);

  if (!namespaces.Has(CLONE_NEWNS)) {
    // Mounting in the namespace of the host would leave the mounts behind and show them to everybody.
    const bool touches =
        !rootfs.mounts.empty() || rootfs.readonly || !rootfs.masked_paths.empty() || !rootfs.readonly_paths.empty();
    if (touches) {
      return std::unexpected(Failure(
          "linux.namespaces: a mount namespace is needed for mounts, root.readonly, maskedPaths and readonlyPaths"));
    }
    rootfs.populate_dev = false;
    rootfs.devices.clear();
  }
  return rootfs;
}

Result<> CheckSysctls(const oci::StringMap& sysctls, const Namespaces& namespaces, bool hostname_set) {
  for (const auto& [key, value] : sysctls) {
    const int needed = SysctlNamespace(key);
    const std::string where = "linux.sysctl[\"" + key + "\"]: ";
    if (needed == 0) {
      return std::unexpected(Failure(where + "is not in a separate kernel namespace"));
    }
    if (!namespaces.Has(needed)) {
      return std::unexpected(Failure(where + "needs a " + NamespaceFile(needed) + " namespace in linux.namespaces"));
    }
    if (SysctlPath(key) == "kernel/hostname" && hostname_set) {
      return std::unexpected(Failure(where + "conflicts with hostname"));
    }
  }
  return {};
}

// Which names a link can have: the kernel's dev_valid_name.
bool IsLinkName(std::string_view name) {
  constexpr std::size_t kMost = 15;  // IFNAMSIZ with the zero at the end
  constexpr std::string_view kNever{"/: \t\n\v\f\r\xa0\0", 10};
  return !name.empty() && name.size() <= kMost && name != "." && name != ".." &&
         name.find_first_of(kNever) == std::string_view::npos;
}

bool IsTemplate(std::string_view name) {
  return name.ends_with("%d");
}

Result<NetDevice> PlanNetDevice(const std::string& host_name, const oci::NetDevice& device) {
  const std::string where = "linux.netDevices[\"" + host_name + "\"]";
  if (!IsLinkName(host_name) || host_name.find('%') != std::string::npos) {
    return std::unexpected(Failure(where + ": not the name of a network device", EINVAL));
  }
  NetDevice planned{.host_name = host_name, .name = device.name.empty() ? host_name : device.name};
  const std::string_view fixed =
      std::string_view{planned.name}.substr(0, planned.name.size() - (IsTemplate(planned.name) ? 2 : 0));
  if (!IsLinkName(planned.name) || fixed.find('%') != std::string_view::npos) {
    return std::unexpected(
        Failure(where + ".name: \"" + planned.name + "\" is not the name of a network device", EINVAL));
  }
  if (planned.name == "lo") {
    return std::unexpected(Failure(where + ".name: \"lo\" is there in every network namespace", EEXIST));
  }
  return planned;
}

Result<std::vector<NetDevice>> PlanNetDevices(const oci::Linux& container, const Namespaces& namespaces,
                                              const Host& host) {
  std::vector<NetDevice> devices;
  std::vector<NetDevice> templates;
  for (const auto& [host_name, device] : container.net_devices) {
    NetDevice planned = TRY(PlanNetDevice(host_name, device));
    if (!IsTemplate(planned.name) &&
        std::ranges::any_of(devices, [&planned](const NetDevice& other) { return other.name == planned.name; })) {
      return std::unexpected(Failure("linux.netDevices: two devices with the name \"" + planned.name + "\"", EEXIST));
    }
    (IsTemplate(planned.name) ? templates : devices).push_back(std::move(planned));
  }
  // A template takes what the others have left.
  std::ranges::move(templates, std::back_inserter(devices));
  if (devices.empty()) {
    return devices;
  }
  if (!namespaces.Has(CLONE_NEWNET)) {
    return std::unexpected(Failure("linux.netDevices: needs a network namespace in linux.namespaces", EINVAL));
  }
  if (host.rootless()) {
    return std::unexpected(Failure("linux.netDevices: the host's network devices are for its root alone", EPERM));
  }
  return devices;
}

// The readiness socket of a service: where runc has it, so that its users find it.
void PlanNotify(const Options& options, const Host& host, Plan& plan) {
  constexpr const char* kTarget = "/run/notify";
  constexpr std::string_view kVariable = "NOTIFY_SOCKET=";
  if (options.notify_directory.empty() || !plan.process) {
    return;
  }
  if (!plan.namespaces.Has(CLONE_NEWNS)) {
    plan.warnings.emplace_back("NOTIFY_SOCKET: not for a container without a mount namespace");
    return;
  }
  plan.notify = true;
  MountOptions mount;
  mount.bind = true;
  mount.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  plan.rootfs.mounts.emplace_back(BindMount{.source = options.notify_directory,
                                            .target = kTarget,
                                            .options = std::move(mount),
                                            .private_source = host.euid == 0 && plan.namespaces.Has(CLONE_NEWUSER)});
  std::erase_if(plan.process->env, [kVariable](const std::string& entry) { return entry.starts_with(kVariable); });
  plan.process->env.push_back(std::string{kVariable} + kTarget + "/notify.sock");
}

Result<> PlanInit(const oci::Annotations& annotations, bool by_default, Plan& plan) {
  plan.init = annotations.init.value_or(by_default && plan.namespaces.Creates(CLONE_NEWPID));
  // Process 1 of one that is there already is somebody else's.
  if (plan.init && !plan.namespaces.Creates(CLONE_NEWPID)) {
    return std::unexpected(
        Failure("annotations[\"dev.nucleus.init\"]: needs a new pid namespace in linux.namespaces", EINVAL));
  }
  return {};
}

// The tmpfs is no way around the container's limit of memory, where it has one.
Result<> PlanRootfsMode(const oci::Annotations& annotations, const oci::Linux& container, Plan& plan) {
  plan.rootfs.mode = annotations.rootfs_mode;
  if (plan.rootfs.mode == oci::RootfsMode::kBind) {
    return {};
  }
  if (!plan.namespaces.Has(CLONE_NEWNS)) {
    return std::unexpected(
        Failure("annotations[\"dev.nucleus.rootfs.mode\"]: needs a mount namespace in linux.namespaces", EINVAL));
  }
  if (container.resources && container.resources->memory && container.resources->memory->limit.value_or(0) > 0) {
    plan.rootfs.tmpfs_size = static_cast<std::uint64_t>(*container.resources->memory->limit);
  }
  return {};
}

// Lockdown is only ever raised: what is in force now is in force for as long as the container lives.
Result<> CheckLockdown(const std::optional<oci::Lockdown>& required, const Host& host) {
  if (!required || host.lockdown == "confidentiality" ||
      (host.lockdown == "integrity" && *required == oci::Lockdown::kIntegrity)) {
    return {};
  }
  const std::string wanted = *required == oci::Lockdown::kIntegrity ? "integrity" : "confidentiality";
  const std::string found = host.lockdown.empty() ? "not known: no /sys/kernel/security/lockdown" : host.lockdown;
  return std::unexpected(Failure("annotations[\"dev.nucleus.require.lockdown\"]: " + wanted +
                                     " is required, and the kernel's lockdown is " + found,
                                 EPERM));
}

// An agent has something to do only where a rule notifies: without one, nobody needs to listen.
bool Notifies(const oci::Seccomp* seccomp) {
  return seccomp != nullptr && std::ranges::any_of(seccomp->syscalls, [](const auto& rule) {
           return rule.action == oci::SeccompAction::kNotify;
         });
}

const oci::Seccomp* AddressOf(const std::optional<oci::Seccomp>& seccomp) {
  return seccomp ? &*seccomp : nullptr;
}

Result<> PlanFilters(const oci::Seccomp* own, const oci::Seccomp* policy, confine::Confinement& result) {
  result.has_seccomp = own != nullptr || policy != nullptr;
  if (Notifies(own) && Notifies(policy)) {
    return std::unexpected(
        Failure("linux.seccomp: SCMP_ACT_NOTIFY both here and in the policy, and only one agent can listen", EINVAL));
  }
  for (const oci::Seccomp* filter : {own, policy}) {
    if (Notifies(filter)) {
      result.seccomp_listener_path = filter->listener_path;
      result.seccomp_listener_metadata = filter->listener_metadata;
    }
  }
  return {};
}

}  // namespace

bool Namespaces::Joins(int type) const {
  return std::any_of(join.begin(), join.end(), [type](const NamespaceJoin& entry) { return entry.type == type; });
}

int NamespaceFlag(oci::NamespaceType type) {
  for (const NamespaceRow& row : kNamespaces) {
    if (row.type == type) {
      return row.flag;
    }
  }
  return 0;
}

const char* NamespaceFile(int flag) {
  for (const NamespaceRow& row : kNamespaces) {
    if (row.flag == flag) {
      return row.file;
    }
  }
  return "";
}

Result<confine::Confinement> PlanConfinement(const oci::Process& process, const oci::Linux& container, const Host& host,
                                             std::vector<std::string>& warnings,
                                             std::vector<oci::Degradation>& degradations,
                                             const policies::Policies& policies) {
  // A label that nothing enforces is an error: whoever asked for it believes in it.
  if (!process.apparmor_profile.empty() && process.apparmor_profile != "unconfined" && !host.apparmor) {
    return std::unexpected(Failure("process.apparmorProfile: AppArmor is not enabled on this host", ENOTSUP));
  }
  if (!process.selinux_label.empty() && !host.selinux) {
    return std::unexpected(Failure("process.selinuxLabel: SELinux is not enabled on this host", ENOTSUP));
  }
  confine::Confinement result;
  result.apparmor_profile = host.apparmor ? process.apparmor_profile : "";
  result.selinux_label = process.selinux_label;
  result.memory_policy = container.memory_policy;
  result.scheduler = process.scheduler;
  result.io_priority = process.io_priority;
  result.personality = container.personality;
  result.rlimits = process.rlimits;
  // The callers' users see 0022 with every other runtime; the specification's "unchanged" would make the mode of their
  // files depend on who started the container.
  result.umask = process.user.umask.value_or(0022);
  result.uid = process.user.uid;
  result.gid = process.user.gid;
  result.additional_gids = process.user.additional_gids;
  const std::optional<oci::Capabilities> granted =
      policies.capabilities ? policies::Narrow(process.capabilities, *policies.capabilities) : process.capabilities;
  result.capabilities = confine::PlanCapabilities(granted, host.capability_bounding, warnings);
  result.no_new_privileges = process.no_new_privileges;
  TRY(PlanFilters(AddressOf(container.seccomp), policies.seccomp.get(), result));
  result.has_seccomp = result.has_seccomp || policies.filter_known;
  if (policies.landlock) {
    const int needed = policies.landlock->NeededAbi();
    if (host.landlock_abi >= needed) {
      result.landlock = policies.landlock;
      result.landlock_abi = host.landlock_abi;
    } else {
      const std::string lack = "needs Landlock ABI " + std::to_string(needed) + ", this kernel has " +
                               (host.landlock_abi == 0 ? "none" : std::to_string(host.landlock_abi));
      if (!policies::MayDegrade(policies.mode, policies::Stage::kLandlock)) {
        return std::unexpected(Failure("annotations[\"dev.nucleus.policy.landlock\"]: " + lack, ENOTSUP));
      }
      degradations.push_back({.stage = "landlock", .reason = lack});
    }
  }
  return result;
}

namespace {

// Of a bundle that its mode, where it has one, has been applied to.
Result<Plan> PlanBundle(const oci::Spec& spec, const Options& options, const Host& host,
                        const policies::Policies& policies) {
  const oci::Linux& container = spec.linux_;
  Plan plan;
  plan.id = options.id;
  plan.namespaces = PlanNamespaces(container);
  TRY(CheckMappings(container, plan.namespaces));
  if (host.euid != 0 && !plan.namespaces.Has(CLONE_NEWUSER)) {
    return std::unexpected(Failure("linux.namespaces: rootless container requires user namespaces", EPERM));
  }
  if (plan.namespaces.Creates(CLONE_NEWUSER)) {
    plan.uid_mappings = container.uid_mappings;
    plan.gid_mappings = container.gid_mappings;
    plan.uid_map_helper = host.euid != 0 && !IsOneself(plan.uid_mappings, host.euid);
    plan.gid_map_helper = host.euid != 0 && !IsOneself(plan.gid_mappings, host.egid);
    plan.deny_setgroups = host.euid != 0 && !plan.gid_map_helper;
  }
  plan.time_offsets = container.time_offsets;
  if (!plan.time_offsets.empty() && !plan.namespaces.Creates(CLONE_NEWTIME)) {
    return std::unexpected(Failure("linux.timeOffsets: needs a new time namespace in linux.namespaces"));
  }
  plan.hostname = spec.hostname;
  plan.domainname = spec.domainname;
  if ((!plan.hostname.empty() || !plan.domainname.empty()) && !plan.namespaces.Has(CLONE_NEWUTS)) {
    return std::unexpected(Failure(std::string{plan.hostname.empty() ? "domainname" : "hostname"} +
                                   ": needs a uts namespace in linux.namespaces"));
  }
  plan.sysctl = container.sysctl;
  TRY(CheckSysctls(plan.sysctl, plan.namespaces, !plan.hostname.empty()));
  plan.net_devices = TRY(PlanNetDevices(container, plan.namespaces, host));
  plan.rootfs = TRY(PlanRootfs(spec, options, plan.namespaces, host));
  plan.rootfs.attested = policies.rootfs_manifest.has_value();
  TRY(PlanRootfsMode(options.annotations, container, plan));
  if (plan.rootfs.attested && !plan.namespaces.Has(CLONE_NEWNS)) {
    return std::unexpected(
        Failure("annotations[\"dev.nucleus.rootfs.manifest\"]: needs a mount namespace in linux.namespaces"));
  }
  if (plan.deny_setgroups && spec.process && !spec.process->user.additional_gids.empty()) {
    return std::unexpected(
        Failure("process.user.additionalGids: a user namespace of an ordinary user denies setgroups"));
  }

  if (options.use_cgroups && options.systemd) {
    plan.scope = TRY(systemd::PlanScope(options.id, spec, host.rootless(), host.cgroups.unified()));
  } else if (options.use_cgroups) {
    plan.cgroups = TRY(cgroup::Locate(host.cgroups, container.cgroups_path, options.id));
  }
  if (container.resources) {
    plan.resources = *container.resources;
  }

  plan.intel_rdt = container.intel_rdt;
  plan.process = spec.process;
  plan.seccomp = container.seccomp;
  plan.policy_seccomp = policies.seccomp;
  plan.traced = options.traced;
  if (plan.traced && (Notifies(AddressOf(plan.seccomp)) || Notifies(plan.policy_seccomp.get()))) {
    return std::unexpected(Failure(
        "linux.seccomp: SCMP_ACT_NOTIFY and a trace of the system calls, and only one process can listen", EINVAL));
  }
  if (spec.process) {
    plan.confinement = TRY(PlanConfinement(*spec.process, container, host, plan.warnings, plan.degradations, policies));
    plan.confinement.has_seccomp = plan.confinement.has_seccomp || plan.traced;
    plan.confinement.set_groups = !plan.deny_setgroups;
    plan.confinement.may_deny_groups = plan.namespaces.Joins(CLONE_NEWUSER) || !host.in_initial_user_namespace;
    if (!options.no_new_keyring) {
      plan.confinement.session_keyring = "_ses." + options.id;
    }
  }
  plan.hooks = spec.hooks;
  PlanNotify(options, host, plan);
  TRY(PlanCredentials(options, host, plan));
  TRY(PlanClosure(host, policies, plan));
  TRY(CheckLockdown(options.annotations.require_lockdown, host));
  TRY(PlanInit(options.annotations, policies.mode.has_value(), plan));
  TRY(PlanNetwork(options.annotations, policies, options, host, plan));
  return plan;
}

Result<Plan> PlanWithMode(const oci::Spec& spec, const Options& options, const Host& host,
                          const policies::Policies& policies) {
  if (!policies.mode) {
    return PlanBundle(spec, options, host, policies);
  }
  const oci::Spec narrowed = TRY(ApplyMode(*policies.mode, spec, options, host, policies.egress.has_value()));
  const policies::Policies all = TRY(WithModeDefaults(spec, policies, host));
  Plan plan = TRY(PlanBundle(narrowed, options, host, all));
  TRY(FinishMode(narrowed, all, plan));
  return plan;
}

}  // namespace

Result<Plan> MakePlan(const oci::Spec& spec, const Options& options, const Host& host,
                      const policies::Policies& policies) {
  if (options.annotations.network != oci::NetworkMode::kOci) {
    const oci::Spec with_network = TRY(ApplyNetwork(options.annotations, spec));
    return PlanWithMode(with_network, options, host, policies);
  }
  return PlanWithMode(spec, options, host, policies);
}

}  // namespace nucleus::plan
