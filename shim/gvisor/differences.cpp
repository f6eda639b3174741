#include "shim/gvisor/differences.h"

#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>
#include <set>

#include "shim/gvisor/derive.h"

namespace nucleus::gvisor {
namespace {

// What gVisor's kernel has of its own: its procfs and sysfs show nothing of the host's.
bool IsOfKernel(const std::string& path) {
  return path == "/proc" || path == "/sys" || path.starts_with("/proc/") || path.starts_with("/sys/");
}

// What has been found, as it is told.
struct Found {
  void Seen(const char* stage, std::string key, std::string reason) {
    Add(stage, std::move(key), std::move(reason), Weight::kSeen);
  }
  void Minor(const char* stage, std::string key, std::string reason) {
    Add(stage, std::move(key), std::move(reason), Weight::kMinor);
  }
  void Major(const char* stage, std::string key, std::string reason) {
    Add(stage, std::move(key), std::move(reason), Weight::kMajor);
  }
  void Add(const char* stage, std::string key, std::string reason, Weight weight) {
    all.push_back({std::string{"gvisor."} + stage, std::move(key), std::move(reason), weight});
  }
  std::vector<Difference> all;
};

void OfProcess(const oci::Process& process, const confine::Confinement& confinement, Found& found) {
  if (!process.apparmor_profile.empty() && process.apparmor_profile != "unconfined") {
    found.Minor("apparmor", "process.apparmorProfile",
                "the profile would be that of the host's process, not of gVisor's");
  }
  if (!process.selinux_label.empty()) {
    found.Major("selinux", "process.selinuxLabel", "gVisor has no SELinux");
  }
  if (process.scheduler) {
    found.Major("scheduler", "process.scheduler", "gVisor schedules by itself");
  }
  if (process.io_priority) {
    found.Major("io-priority", "process.ioPriority", "gVisor has no I/O priorities");
  }
  if (process.exec_cpu_affinity) {
    found.Major("cpu-affinity", "process.execCPUAffinity", "gVisor has none for a process");
  }
  constexpr std::uint64_t kKnown = (std::uint64_t{1} << 38) - 1;  // up to CAP_AUDIT_READ
  const confine::CapabilitySets& sets = confinement.capabilities;
  if ((sets.bounding & ~kKnown) != 0) {
    found.Minor("capabilities", "process.capabilities",
                "gVisor does not know CAP_PERFMON, CAP_BPF, CAP_CHECKPOINT_RESTORE");
  }
  if (sets.ambient != 0) {
    found.Minor("ambient", "process.capabilities.ambient", "gVisor has no ambient capabilities");
  }
  constexpr mode_t kUmask = 0022;
  if (confinement.umask != kUmask) {
    found.Minor("umask", "process.user.umask", "gVisor's is 0022");
  }
  if (!confinement.no_new_privileges) {
    found.Minor("no-new-privileges", "process.noNewPrivileges",
                "gVisor has it on always: a set-user-id program runs as whoever starts it");
  }
  if (process.terminal) {
    found.Seen("terminal", "process.terminal",
               "it has no name inside, and is no controlling one; there is no /dev/console");
  }
}

class Finder : private Found {
 public:
  Finder(const Request& request, const Abilities& abilities)
      : request_(request), spec_(*request.spec), plan_(*request.plan), abilities_(abilities) {
  }

  std::vector<Difference> All() {
    Process();
    Confinement();
    Seccomp();
    Namespaces();
    Mounts();
    Paths();
    Kernel();
    Hooks();
    Runtime();
    return std::move(all);
  }

 private:
  void Process() {
    if (!spec_.process) {
      Major("process", "process", "runsc makes no container without one");
      return;
    }
    OfProcess(*spec_.process, plan_.confinement, *this);
    Seen("environment", "process.env", "runsc hands the variables over in an order of its own");
    Seen("program", "process.args", "gVisor looks for the program at start, not at create");
    if (spec_.process->oom_score_adj.value_or(0) != 0) {
      Seen("oom-score", "process.oomScoreAdj", "it is that of the sandbox; /proc inside says 0");
    }
    if (request_.keyring) {
      Seen("keyring", "--no-new-keyring", "gVisor has no keyrings, so there is no new one");
    }
  }

  void Confinement() {
    if (request_.landlock_policy) {
      all.push_back({"landlock", "annotations[\"dev.nucleus.policy.landlock\"]",
                     "gVisor has no Landlock inside of the sandbox", Weight::kMajor});
    }
    if (plan_.traced) {
      Major("seccomp-trace", "annotations[\"dev.nucleus.seccomp.trace\"]",
            "the container's system calls are gVisor's own, which the kernel does not see");
    }
    if (request_.annotations->init.value_or(false)) {
      Major("init", "annotations[\"dev.nucleus.init\"]", "nucleus-init is not made for gVisor");
    }
  }

  void AddSeccomp(const char* key, std::string reason) {
    all.push_back({"seccomp", key, std::move(reason), Weight::kMajor});
  }

  void Seccomp() {
    if (plan_.seccomp && plan_.policy_seccomp) {
      AddSeccomp("linux.seccomp",
                 "gVisor loads one filter, and there is that of the policy; config.json's is left out");
    }
    const oci::Seccomp* filter = FilterOf(plan_);
    if (filter == nullptr) {
      return;
    }
    const char* key =
        filter == plan_.policy_seccomp.get() ? "annotations[\"dev.nucleus.policy.seccomp\"]" : "linux.seccomp";
    if (!abilities_.Has("oci-seccomp")) {
      AddSeccomp(key, "this runsc loads no filters");
      return;
    }
    if (!abilities_.FiltersExec()) {
      Seen("exec", key,
           "this runsc starts processes of exec without the filter: exec is an error, and a warning in agent mode");
    }
    const auto refused = [](oci::SeccompAction action) {
      return action == oci::SeccompAction::kLog || action == oci::SeccompAction::kNotify ||
             action == oci::SeccompAction::kKillProcess;
    };
    if (refused(filter->default_action) ||
        std::ranges::any_of(filter->syscalls, [&](const auto& rule) { return refused(rule.action); })) {
      AddSeccomp(key, "gVisor has no SCMP_ACT_KILL_PROCESS, SCMP_ACT_LOG and SCMP_ACT_NOTIFY");
    }
    const bool enosys = CanSayEnosys(*filter);
    const auto other = [enosys](oci::SeccompAction action, const std::optional<std::uint32_t>& errno_ret) {
      return action == oci::SeccompAction::kErrno && errno_ret.value_or(EPERM) != EPERM &&
             !(enosys && errno_ret == ENOSYS);
    };
    const bool other_errno =
        other(filter->default_action, filter->default_errno_ret) ||
        std::ranges::any_of(filter->syscalls, [&](const auto& rule) { return other(rule.action, rule.errno_ret); });
    if (other_errno) {
      Minor("seccomp-errno", key, "gVisor answers EPERM where the filter names another errno");
    }
    if (filter->flags && !filter->flags->empty()) {
      Minor("seccomp-flags", key, "gVisor knows none of the filter's flags");
    }
  }

  void Namespaces() {
    for (const plan::NamespaceJoin& join : plan_.namespaces.join) {
      if (join.type != CLONE_NEWNET) {
        Major("namespaces", "linux.namespaces",
              join.path + ": gVisor has its own " + plan::NamespaceFile(join.type) + " namespaces and joins none");
      }
    }
    for (const auto& [flag, type] : {std::pair{CLONE_NEWPID, "pid"}, {CLONE_NEWIPC, "ipc"}, {CLONE_NEWUTS, "uts"}}) {
      if (!plan_.namespaces.Has(flag)) {
        Minor("namespaces", "linux.namespaces",
              std::string{"no "} + type + ": gVisor has one of its own, and shows nothing of the host's");
      }
    }
    if (!plan_.domainname.empty()) {
      Minor("domainname", "domainname", "gVisor does not set it");
    }
    if (!plan_.time_offsets.empty()) {
      Major("time", "linux.timeOffsets", "gVisor has no time namespaces");
    }
  }

  void Mounts() {
    static const std::set<std::string> kTypes = {"proc", "sysfs", "tmpfs", "devpts"};
    for (const plan::MountStep& step : plan_.rootfs.mounts) {
      if (const auto* bind = std::get_if<plan::BindMount>(&step)) {
        if (bind->idmap) {
          Major("mounts", "mounts", bind->target + ": gVisor has no idmapped mounts");
        }
        if (bind->options.propagation == MS_SLAVE) {
          Minor("propagation", "mounts", bind->target + ": gVisor sees nothing that is mounted on the host later");
        }
        Options(bind->target, bind->options);
      } else if (const auto* filesystem = std::get_if<plan::FilesystemMount>(&step)) {
        if (filesystem->type == "mqueue") {
          Minor("mqueue", "mounts", "/dev/mqueue: gVisor has no mqueue filesystem to mount");
        } else if (!kTypes.contains(filesystem->type)) {
          Major("mounts", "mounts", filesystem->target + ": gVisor has no filesystem " + filesystem->type);
        }
        if (filesystem->type == "tmpfs") {
          Parameters(filesystem->target, filesystem->options);
        }
        Options(filesystem->target, filesystem->options);
      } else if (const auto* remount = std::get_if<plan::Remount>(&step)) {
        Major("mounts", "mounts", remount->target + ": gVisor does not change what is mounted");
      } else if (const auto* cgroup = std::get_if<plan::CgroupMount>(&step)) {
        Seen("cgroup-mount", "mounts",
             cgroup->target + ": the cgroups in it are gVisor's own, which do not show the container's limits");
      }
    }
    Order();
    const auto propagation = spec_.linux_.rootfs_propagation;
    if (propagation == oci::RootfsPropagation::kShared || propagation == oci::RootfsPropagation::kUnbindable) {
      Major("propagation", "linux.rootfsPropagation", "gVisor shares no mounts with the host");
    }
    if (!spec_.linux_.mount_label.empty()) {
      Major("mount-label", "linux.mountLabel", "gVisor has no labels");
    }
  }

  // runsc mounts what lies deeper later, whatever the order is.
  void Order() {
    const auto target = [](const plan::MountStep& step) -> const std::string& {
      return std::visit([](const auto& mount) -> const std::string& { return mount.target; }, step);
    };
    const std::vector<plan::MountStep>& mounts = plan_.rootfs.mounts;
    for (std::size_t later = 1; later < mounts.size(); ++later) {
      for (std::size_t earlier = 0; earlier < later; ++earlier) {
        if (target(mounts[earlier]).starts_with(target(mounts[later]) + "/")) {
          Major("mounts", "mounts",
                target(mounts[later]) + ": gVisor does not cover what was mounted on " + target(mounts[earlier]) +
                    " before");
        }
      }
    }
  }

  void Parameters(const std::string& target, const plan::MountOptions& options) {
    static const std::set<std::string> kKnown = {"mode", "uid", "gid", "size"};
    for (const plan::MountOptions::Parameter& parameter : options.parameters) {
      if (!kKnown.contains(parameter.key)) {
        Major("mounts", "mounts", target + ": gVisor does not know the option " + parameter.key);
      }
    }
  }

  void Options(const std::string& target, const plan::MountOptions& options) {
    static const std::set<std::string> kUnknown = {"sync", "dirsync", "lazytime", "mand"};
    for (const std::string& flag : options.superblock_flags) {
      if (kUnknown.contains(flag)) {
        Minor("mount-options", "mounts", target + ": gVisor does not know the option " + flag);
      }
    }
    if (options.propagation == MS_SHARED || options.propagation == MS_UNBINDABLE) {
      Major("propagation", "mounts", target + ": gVisor shares no mounts with the host");
    }
    if (options.tmpcopyup) {
      Major("mounts", "mounts", target + ": gVisor has no tmpcopyup");
    }
    if ((options.set & MOUNT_ATTR_NOSYMFOLLOW) != 0 || (options.recursive_set | options.recursive_clear) != 0) {
      Major("mounts", "mounts", target + ": gVisor has neither nosymfollow nor the recursive options");
    }
  }

  void Paths() {
    for (const std::string& path : plan_.rootfs.masked_paths) {
      if (!IsOfKernel(path)) {
        all.push_back({"masked-paths", "linux.maskedPaths", path + ": gVisor masks nothing of the root filesystem",
                       Weight::kMajor});
      }
    }
    for (const std::string& path : plan_.rootfs.readonly_paths) {
      if (!IsOfKernel(path)) {
        all.push_back({"masked-paths", "linux.readonlyPaths",
                       path + ": gVisor makes nothing of the root filesystem read-only", Weight::kMajor});
      }
    }
  }

  void Kernel() {
    if (!spec_.linux_.devices.empty()) {
      Major("devices", "linux.devices", "gVisor has no devices of the host");
    }
    if (!plan_.net_devices.empty()) {
      Major("net-devices", "linux.netDevices", "gVisor's stack takes no device of the host");
    }
    for (const auto& [key, value] : plan_.sysctl) {
      const bool usual = key == "net.ipv4.ping_group_range";
      if (usual) {
        Minor("sysctl", "linux.sysctl", key + ": gVisor does not set it");
      } else {
        Major("sysctl", "linux.sysctl", key + ": gVisor does not set it");
      }
    }
    if (spec_.linux_.personality && *spec_.linux_.personality != oci::PersonalityDomain::kLinux) {
      Major("personality", "linux.personality", "gVisor has one only");
    }
    if (spec_.linux_.memory_policy) {
      Major("memory-policy", "linux.memoryPolicy", "gVisor does not set it");
    }
    if (plan_.intel_rdt) {
      Major("intel-rdt", "linux.intelRdt", "nucleus puts no sandbox into a group of resctrl");
    }
  }

  void Hooks() {
    if (!plan_.hooks.create_container.empty()) {
      Major("hooks", "hooks.createContainer",
            "on the host there is no mount namespace of the container's to run them in");
    }
    if (!plan_.hooks.start_container.empty()) {
      Major("hooks", "hooks.startContainer", "runsc runs none inside of the sandbox");
    }
  }

  void Runtime() {
    if (request_.preserve_fds > 0 || request_.listen_fds) {
      Major("descriptors", "--preserve-fds", "runsc passes no descriptors but the standard streams");
    }
    if (plan_.notify) {
      Minor("notify", "NOTIFY_SOCKET", "gVisor reaches no socket of the host");
    }
  }

  const Request& request_;
  const oci::Spec& spec_;
  const plan::Plan& plan_;
  const Abilities& abilities_;
};

}  // namespace

std::vector<Difference> FindProcessDifferences(const oci::Process& process, const confine::Confinement& confinement) {
  Found found;
  OfProcess(process, confinement, found);
  return std::move(found.all);
}

std::vector<Difference> FindDifferences(const Request& request, const Abilities& abilities) {
  return Finder{request, abilities}.All();
}

Result<std::vector<oci::Degradation>> Weigh(const std::vector<Difference>& differences, std::optional<oci::Mode> mode) {
  std::vector<oci::Degradation> degradations;
  for (const Difference& difference : differences) {
    if (difference.weight == Weight::kSeen) {
      continue;
    }
    const bool goes_on = mode ? *mode == oci::Mode::kAgent : difference.weight == Weight::kMinor;
    if (!goes_on) {
      return std::unexpected(
          Failure("dev.nucleus.runtime gvisor: " + difference.key + ": " + difference.reason, ENOTSUP));
    }
    degradations.push_back({.stage = difference.stage, .reason = difference.key + ": " + difference.reason});
  }
  return degradations;
}

const oci::Seccomp* FilterOf(const plan::Plan& plan) {
  if (plan.policy_seccomp) {
    return plan.policy_seccomp.get();
  }
  return plan.seccomp ? &*plan.seccomp : nullptr;
}

}  // namespace nucleus::gvisor
