#include "shim/gvisor/sandbox.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

#include "base/sha256.h"
#include "shim/gvisor/differences.h"
#include "shim/gvisor/network.h"
#include "shim/gvisor/said.h"

namespace nucleus::gvisor {
namespace {

std::string_view PlatformWord(oci::GvisorPlatform platform) {
  switch (platform) {
    case oci::GvisorPlatform::kSystrap:
      return "systrap";
    case oci::GvisorPlatform::kKvm:
      return "kvm";
    case oci::GvisorPlatform::kPtrace:
      break;
  }
  return "ptrace";
}

std::string_view NetworkWord(oci::GvisorNetwork network) {
  switch (network) {
    case oci::GvisorNetwork::kSandbox:
      return "sandbox";
    case oci::GvisorNetwork::kHost:
      return "host";
    case oci::GvisorNetwork::kNone:
      break;
  }
  return "none";
}

Result<> CheckPlatform(const oci::Annotations& annotations, const Abilities& abilities) {
  if (!annotations.gvisor_platform) {
    return {};
  }
  const std::string wanted{PlatformWord(*annotations.gvisor_platform)};
  if (std::ranges::find(abilities.platforms, wanted) != abilities.platforms.end()) {
    return {};
  }
  std::string known;
  for (const std::string& name : abilities.platforms) {
    known += (known.empty() ? "" : ", ") + name;
  }
  return std::unexpected(Failure("annotations[\"dev.nucleus.gvisor.platform\"]: runsc " + abilities.version +
                                     " has no platform " + wanted + ", but " + known,
                                 ENOTSUP));
}

}  // namespace

std::string SandboxId(const std::string& directory, const std::string& created) {
  constexpr std::size_t kDigits = 32;
  return "nucleus-" + Sha256Hex(directory + "\n" + created + "\n" + std::to_string(::getpid())).substr(0, kDigits);
}

std::vector<std::string> SandboxFlags(const oci::Annotations& annotations, const plan::Plan& plan,
                                      const Abilities& abilities, const std::string& directory) {
  const std::string own = directory + "/" + container::kGvisorDirectory;
  std::vector<std::string> flags = {"--root=" + own + "/" + kRoot, "--log=" + own + "/" + kLog,
                                    // All of runsc's processes are in the container's cgroups, which nucleus makes.
                                    "--ignore-cgroups",
                                    "--network=" + std::string{NetworkWord(annotations.gvisor_network)}};
  if (abilities.Has("log-format")) {
    flags.emplace_back("--log-format=text");
  }
  if (annotations.gvisor_platform) {
    flags.push_back("--platform=" + std::string{PlatformWord(*annotations.gvisor_platform)});
  }
  if (abilities.Has("oci-seccomp") && FilterOf(plan) != nullptr) {
    flags.emplace_back("--oci-seccomp");
  }
  // runsc takes CAP_NET_RAW away otherwise, whatever the bundle says.
  if (plan.confinement.capabilities.bounding >> CAP_NET_RAW & 1) {
    flags.emplace_back("--net-raw");
  }
  // What is written goes where the bundle says, not into a memory of gVisor's own, which is the default of newer ones.
  if (abilities.Has("overlay2")) {
    flags.emplace_back("--overlay2=none");
  }
  for (const char* host_files : {"host-uds", "host-fifo"}) {
    if (abilities.Has(host_files)) {
      flags.push_back("--" + std::string{host_files} + "=none");
    }
  }
  return flags;
}

bool HasStack(const oci::State& state) {
  return std::ranges::find(state.gvisor.flags, "--network=sandbox") != state.gvisor.flags.end();
}

Result<> CheckManager(const container::Settings& settings) {
  if (settings.cgroup_manager == container::CgroupManager::kSystemd) {
    return std::unexpected(Failure(
        "dev.nucleus.runtime gvisor: --systemd-cgroup is not supported: all of a sandbox's processes are born in "
        "cgroups that nucleus makes, and a scope takes in what is there already",
        ENOTSUP));
  }
  return {};
}

Result<> CheckCaller(const container::Settings& settings, const plan::Host& host, const plan::Plan& plan) {
  if (host.rootless()) {
    return std::unexpected(Failure("dev.nucleus.runtime gvisor: takes the host's root", EPERM));
  }
  if (settings.cgroup_manager == container::CgroupManager::kDisabled || (plan.cgroups.empty())) {
    return std::unexpected(
        Failure("dev.nucleus.runtime gvisor: takes cgroups, by which all of a sandbox's processes are found", ENOTSUP));
  }
  return {};
}

Result<> CheckMapped(const std::vector<oci::IdMapping>& uids, const std::vector<oci::IdMapping>& gids,
                     const confine::Confinement& confinement) {
  const auto check = [](const std::vector<oci::IdMapping>& mappings, std::uint32_t id, const char* key) -> Result<> {
    const bool mapped = mappings.empty() || std::ranges::any_of(mappings, [id](const oci::IdMapping& mapping) {
                          return id >= mapping.container_id && id - mapping.container_id < mapping.size;
                        });
    return mapped ? Result<>{}
                  : std::unexpected(Failure(std::string{key} + ": " + std::to_string(id) + " has no mapping", EINVAL));
  };
  TRY(check(uids, confinement.uid, "process.user.uid"));
  TRY(check(gids, confinement.gid, "process.user.gid"));
  for (const std::uint32_t gid : confinement.additional_gids) {
    TRY(check(gids, gid, "process.user.additionalGids"));
  }
  return {};
}

Result<Checked> CheckBundle(const container::Bundle& bundle, const plan::Plan& plan, const Runsc& runsc,
                            const container::CreateOptions& options) {
  TRY(CheckPlatform(bundle.annotations, runsc.abilities));
  TRY(CheckNetwork(bundle.annotations, plan, runsc.abilities));
  TRY(CheckMapped(plan.uid_mappings, plan.gid_mappings, plan.confinement));
  const bool listen_fds =
      std::ranges::any_of(options.env, [](const std::string& entry) { return entry.starts_with("LISTEN_FDS="); });
  const Request request{.spec = bundle.spec.get(),
                        .plan = &plan,
                        .annotations = &bundle.annotations,
                        .landlock_policy = bundle.annotations.landlock_policy.has_value(),
                        .preserve_fds = options.io.preserve_fds,
                        .listen_fds = listen_fds,
                        .keyring = !options.no_new_keyring};
  Checked checked;
  checked.seen = FindDifferences(request, runsc.abilities);
  checked.degradations = TRY(Weigh(checked.seen, bundle.annotations.mode));
  std::erase_if(checked.seen, [](const Difference& difference) { return difference.weight != Weight::kSeen; });
  return checked;
}

void FillLimits(std::vector<oci::Rlimit>& limits) {
  for (const auto& [name, resource] : oci::RlimitNames()) {
    rlimit own{};
    if (std::ranges::find(limits, resource, &oci::Rlimit::resource) == limits.end() &&
        ::getrlimit(static_cast<__rlimit_resource>(resource), &own) == 0) {
      limits.push_back({.type = std::string{name}, .resource = resource, .soft = own.rlim_cur, .hard = own.rlim_max});
    }
  }
}

Result<> WriteNew(int directory, const std::string& name, std::string_view text) {
  const Fd file{::openat(directory, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!file) {
    return std::unexpected(SysError("create", name));
  }
  return WriteAll(file.get(), text, name);
}

std::string ErrorIn(const container::StateDir& directory, const std::string& name, const std::string& otherwise) {
  const Result<std::string> log = directory.ReadFile(name.c_str());
  const std::string message = log ? LastMessage(*log, name) : std::string{};
  return message.empty() ? otherwise : message;
}

}  // namespace nucleus::gvisor
