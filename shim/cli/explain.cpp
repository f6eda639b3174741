// explain: the plan of a bundle, as create would carry it out on this host. It makes nothing.

#include <arpa/inet.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/fd.h"
#include "base/sha256.h"
#include "policies/mode.h"
#include "runtime/container/bundle.h"
#include "runtime/container/bundle_plan.h"
#include "runtime/doctor/facts.h"
#include "shim/cli/commands.h"
#include "shim/cli/report.h"

namespace nucleus::shim {
namespace {

using Words = std::vector<std::string>;

std::string YesNo(bool value) {
  return value ? "yes" : "no";
}

std::string Joined(const Words& words, const char* between = ",") {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : between) + word;
  }
  return text;
}

template <class Bits>
std::string Named(unsigned bits, const Bits& names) {
  Words words;
  for (const auto& [bit, name] : names) {
    if ((bits & bit) != 0) {
      words.emplace_back(name);
    }
  }
  return Joined(words);
}

template <class T>
void Number(Words& words, const char* name, const std::optional<T>& value) {
  if (value) {
    words.push_back(std::string{name} + " " + std::to_string(*value));
  }
}

Words CapabilityNames(std::uint64_t set) {
  Words words;
  const std::vector<std::string> known = confine::KnownCapabilities();
  for (std::size_t bit = 0; bit < known.size(); ++bit) {
    if ((set >> bit & 1) != 0) {
      words.push_back(known[bit]);
    }
  }
  return words;
}

Words Mappings(const std::vector<oci::IdMapping>& mappings) {
  Words words;
  for (const oci::IdMapping& mapping : mappings) {
    words.push_back(std::to_string(mapping.container_id) + " " + std::to_string(mapping.host_id) + " " +
                    std::to_string(mapping.size));
  }
  return words;
}

// ---- mounts

Words Attributes(std::uint64_t set, const char* prefix) {
  constexpr auto kNames =
      std::to_array<std::pair<std::uint64_t, const char*>>({{MOUNT_ATTR_RDONLY, "ro"},
                                                            {MOUNT_ATTR_NOSUID, "nosuid"},
                                                            {MOUNT_ATTR_NODEV, "nodev"},
                                                            {MOUNT_ATTR_NOEXEC, "noexec"},
                                                            {MOUNT_ATTR_NODIRATIME, "nodiratime"},
                                                            {MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow"}});
  Words words;
  for (const auto& [bit, name] : kNames) {
    if ((set & bit) != 0) {
      words.push_back(prefix + std::string{name});
    }
  }
  return words;
}

std::string OptionText(const plan::MountOptions& options) {
  Words words = Attributes(options.set, "");
  for (std::string& word : Attributes(options.recursive_set, "r")) {
    words.push_back(std::move(word));
  }
  for (const std::string& flag : options.superblock_flags) {
    words.push_back(flag);
  }
  for (const plan::MountOptions::Parameter& parameter : options.parameters) {
    words.push_back(parameter.key + (parameter.has_value ? "=" + parameter.value : ""));
  }
  if (options.tmpcopyup) {
    words.emplace_back("tmpcopyup");
  }
  return words.empty() ? "" : " " + Joined(words);
}

struct MountText {
  std::string operator()(const plan::BindMount& mount) const {
    return std::string{mount.recursive ? "rbind " : "bind "} + mount.source + " on " + mount.target +
           (mount.idmap ? " idmapped" : "") + OptionText(mount.options);
  }
  std::string operator()(const plan::FilesystemMount& mount) const {
    return mount.type + " on " + mount.target + OptionText(mount.options);
  }
  std::string operator()(const plan::CgroupMount& mount) const {
    return "cgroup on " + mount.target + OptionText(mount.options);
  }
  std::string operator()(const plan::Remount& mount) const {
    return "remount " + mount.target + OptionText(mount.options);
  }
};

Words Mounts(const plan::Rootfs& rootfs) {
  Words words;
  for (const plan::MountStep& step : rootfs.mounts) {
    words.push_back(std::visit(MountText{}, step));
  }
  return words;
}

Words Devices(const plan::Rootfs& rootfs) {
  Words words;
  for (const plan::DeviceNode& device : rootfs.devices) {
    words.push_back(device.path + " " + device.type + " " + std::to_string(major(device.number)) + ":" +
                    std::to_string(minor(device.number)));
  }
  return words;
}

// ---- policies

std::string ActionName(oci::SeccompAction action) {
  switch (action) {
    case oci::SeccompAction::kKillThread:
      return "kill thread";
    case oci::SeccompAction::kKillProcess:
      return "kill process";
    case oci::SeccompAction::kTrap:
      return "trap";
    case oci::SeccompAction::kErrno:
      return "errno";
    case oci::SeccompAction::kTrace:
      return "trace";
    case oci::SeccompAction::kAllow:
      return "allow";
    case oci::SeccompAction::kLog:
      return "log";
    case oci::SeccompAction::kNotify:
      break;
  }
  return "notify";
}

// "default errno; allow 310 system calls, 4 with conditions; errno 2 system calls".
std::string SeccompText(const oci::Seccomp* seccomp) {
  if (!seccomp) {
    return "none";
  }
  std::string text = "default " + ActionName(seccomp->default_action);
  constexpr int kActions = 8;
  for (int action = 0; action < kActions; ++action) {
    Words plain;
    Words conditional;
    for (const oci::SeccompSyscall& rule : seccomp->syscalls) {
      if (static_cast<int>(rule.action) == action) {
        Words& names = rule.args.empty() ? plain : conditional;
        names.insert(names.end(), rule.names.begin(), rule.names.end());
      }
    }
    const auto count = [](Words& names) {
      std::ranges::sort(names);
      const auto repeated = std::ranges::unique(names);
      names.erase(repeated.begin(), repeated.end());
      return names.size();
    };
    if (!plain.empty() || !conditional.empty()) {
      text += "; " + ActionName(static_cast<oci::SeccompAction>(action)) + " " + std::to_string(count(plain)) +
              " system calls" +
              (conditional.empty() ? "" : " and " + std::to_string(count(conditional)) + " with conditions");
    }
  }
  return text;
}

void AddLandlock(Report& report, const plan::Plan& plan) {
  using namespace policies;
  report.Section("landlock");
  const std::optional<LandlockPolicy>& policy = plan.confinement.landlock;
  report.Row("used", YesNo(policy.has_value()));
  if (!policy) {
    return;
  }
  constexpr auto kAccess = std::to_array<std::pair<unsigned, const char*>>({{kLandlockRead, "read"},
                                                                            {kLandlockWrite, "write"},
                                                                            {kLandlockExecute, "execute"},
                                                                            {kLandlockCreate, "create"},
                                                                            {kLandlockRemove, "remove"},
                                                                            {kLandlockRefer, "refer"},
                                                                            {kLandlockTruncate, "truncate"},
                                                                            {kLandlockIoctl, "ioctl"}});
  constexpr auto kTcp =
      std::to_array<std::pair<unsigned, const char*>>({{kLandlockBind, "bind"}, {kLandlockConnect, "connect"}});
  constexpr auto kScopes = std::to_array<std::pair<unsigned, const char*>>(
      {{kLandlockAbstractUnix, "abstract-unix-socket"}, {kLandlockSignal, "signal"}});
  report.Row("abi", std::to_string(plan.confinement.landlock_abi));
  report.Row("needed-abi", std::to_string(policy->NeededAbi()));
  Words rules;
  for (const LandlockRule& rule : policy->rules) {
    rules.push_back(rule.path + " " + Named(rule.access, kAccess));
  }
  report.List("rules", std::move(rules));
  Words ports;
  for (const LandlockPort& port : policy->tcp) {
    ports.push_back(std::to_string(port.port) + " " + Named(port.access, kTcp));
  }
  report.Row("tcp", policy->handles_tcp ? "the ports listed" : "all");
  report.List("ports", std::move(ports));
  report.Row("scope", Named(policy->scope, kScopes));
}

// ---- the sections

void AddBundle(Report& report, const container::Bundle& bundle, const plan::Plan& plan) {
  report.Section("bundle").Row("path", bundle.path).Row("config", "sha256:" + Sha256Hex(bundle.text));
  Words documents;
  for (const policies::Document& document : bundle.policies.documents) {
    documents.push_back(document.kind + " " + document.file.path + "@sha256:" + document.file.digest +
                        (document.pinned ? "" : " (not pinned)"));
  }
  report.List("policies", std::move(documents));
  Words asked;
  for (const auto& [key, value] : bundle.spec->annotations) {
    if (key.starts_with("dev.nucleus.")) {
      asked.push_back(key + "=" + value);
    }
  }
  report.List("annotations", std::move(asked)).List("warnings", plan.warnings);
}

void AddMode(Report& report, const std::optional<oci::Mode>& mode, const std::string& name) {
  report.Section("mode").Row("name", mode ? name : "plain OCI");
  Words error;
  Words warn;
  for (const policies::StageRow& row : policies::kStages) {
    (policies::MayDegrade(mode, row.stage) ? warn : error).emplace_back(row.name);
  }
  report.Row("error", Joined(error, " ")).Row("warn", Joined(warn, " "));
}

void AddProcess(Report& report, const plan::Plan& plan) {
  const confine::Confinement& confinement = plan.confinement;
  report.Section("process").Row("used", YesNo(plan.process.has_value()));
  if (!plan.process) {
    return;
  }
  Words groups;
  for (const std::uint32_t group : confinement.additional_gids) {
    groups.push_back(std::to_string(group));
  }
  std::array<char, 8> umask{};
  std::snprintf(umask.data(), umask.size(), "%04o", confinement.umask & 0777);
  report.List("args", plan.process->args)
      .Row("cwd", plan.process->cwd)
      .Row("terminal", YesNo(plan.process->terminal))
      .Row("init", YesNo(plan.init))
      .Row("uid", std::to_string(confinement.uid))
      .Row("gid", std::to_string(confinement.gid))
      .List("groups", std::move(groups))
      .Row("umask", umask.data())
      .Row("no-new-privileges", YesNo(confinement.no_new_privileges))
      .Row("apparmor", confinement.apparmor_profile)
      .Row("selinux", confinement.selinux_label);
  report.Section("capabilities")
      .List("bounding", CapabilityNames(confinement.capabilities.bounding))
      .List("effective", CapabilityNames(confinement.capabilities.effective))
      .List("permitted", CapabilityNames(confinement.capabilities.permitted))
      .List("inheritable", CapabilityNames(confinement.capabilities.inheritable))
      .List("ambient", CapabilityNames(confinement.capabilities.ambient));
  report.Section("seccomp")
      .Row("config", SeccompText(plan.seccomp ? &*plan.seccomp : nullptr))
      .Row("policy", SeccompText(plan.policy_seccomp.get()));
}

void AddNamespaces(Report& report, const plan::Plan& plan) {
  Words made;
  for (const oci::NamespaceType type :
       {oci::NamespaceType::kCgroup, oci::NamespaceType::kIpc, oci::NamespaceType::kMount, oci::NamespaceType::kNetwork,
        oci::NamespaceType::kPid, oci::NamespaceType::kTime, oci::NamespaceType::kUser, oci::NamespaceType::kUts}) {
    if (const int flag = plan::NamespaceFlag(type); plan.namespaces.Creates(flag)) {
      made.emplace_back(plan::NamespaceFile(flag));
    }
  }
  Words joined;
  for (const plan::NamespaceJoin& join : plan.namespaces.join) {
    joined.push_back(plan::NamespaceFile(join.type) + std::string{" "} + join.path);
  }
  report.Section("namespaces")
      .List("new", std::move(made))
      .List("joined", std::move(joined))
      .List("uid-map", Mappings(plan.uid_mappings))
      .List("gid-map", Mappings(plan.gid_mappings));
}

void AddRoot(Report& report, const plan::Plan& plan) {
  report.Section("root")
      .Row("path", plan.rootfs.path)
      .Row("readonly", YesNo(plan.rootfs.readonly))
      .Row("attested", YesNo(plan.rootfs.attested))
      .Row("mode", std::string{oci::RootfsModeName(plan.rootfs.mode)})
      .Row("tmpfs-size", plan.rootfs.tmpfs_size == 0 ? "" : std::to_string(plan.rootfs.tmpfs_size))
      .Row("audit", plan.rootfs.audit == plan::Audit::kNone ? "no" : "yes")
      .List("mounts", Mounts(plan.rootfs))
      .List("devices", Devices(plan.rootfs))
      .List("masked", plan.rootfs.masked_paths)
      .List("readonly-paths", plan.rootfs.readonly_paths);
}

void AddLimits(Report& report, const plan::Plan& plan) {
  Words cgroups;
  for (const oci::StateCgroup& cgroup : plan.cgroups) {
    cgroups.push_back((cgroup.hierarchy.empty() ? "v2" : cgroup.hierarchy) + " " + cgroup.path);
  }
  Words limits;
  if (const std::optional<oci::MemoryResources>& memory = plan.resources.memory) {
    Number(limits, "memory", memory->limit);
    Number(limits, "memory reservation", memory->reservation);
    Number(limits, "memory and swap", memory->swap);
  }
  if (const std::optional<oci::CpuResources>& cpu = plan.resources.cpu) {
    Number(limits, "cpu shares", cpu->shares);
    Number(limits, "cpu quota", cpu->quota);
    Number(limits, "cpu period", cpu->period);
    if (!cpu->cpus.empty()) {
      limits.push_back("cpus " + cpu->cpus);
    }
    if (!cpu->mems.empty()) {
      limits.push_back("mems " + cpu->mems);
    }
  }
  Number(limits, "pids", plan.resources.pids_limit);
  for (const auto& [file, value] : plan.resources.unified) {
    limits.push_back(file + " " + value);
  }
  Words rlimits;
  for (const oci::Rlimit& limit : plan.confinement.rlimits) {
    rlimits.push_back(limit.type + " " + std::to_string(limit.soft) + " " + std::to_string(limit.hard));
  }
  report.Section("limits")
      .List("cgroups", std::move(cgroups))
      .Row("systemd", plan.scope ? "a scope" : "no")
      .List("limits", std::move(limits))
      .Row("device-rules", std::to_string(plan.resources.devices.size()))
      .List("rlimits", std::move(rlimits));
}

std::string AddressText(const policies::Address& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text.data(), text.size());
  return text.data();
}

Words PortWords(const std::vector<policies::PortRange>& ports) {
  Words words;
  for (const policies::PortRange& range : ports) {
    words.push_back((range.protocol == policies::Protocol::kTcp ? "tcp/" : "udp/") + std::to_string(range.first) +
                    (range.first == range.last ? "" : "-" + std::to_string(range.last)));
  }
  return words;
}

Words RuleWords(const std::vector<policies::EgressRule>& rules) {
  Words words;
  for (const policies::EgressRule& rule : rules) {
    std::string text = rule.cidr ? AddressText(rule.cidr->address) + "/" + std::to_string(rule.cidr->prefix)
                                 : (rule.wildcard ? "*." : "") + rule.domain;
    for (const std::string& port : PortWords(rule.ports)) {
      text += " " + port;
    }
    words.push_back(std::move(text));
  }
  return words;
}

// Where it may connect to: a policy's rules, or why there are none.
void AddEgress(Report& report, const plan::Plan& plan, const policies::Policies& policies) {
  const char* egress = plan.deny_uplinks                        ? "no link but the loopback, or it does not start"
                       : plan.network && plan.network->filtered ? "the rules listed, and nothing else"
                       : plan.namespaces.Has(CLONE_NEWNET)      ? "not restricted"
                                                                : "the host's, not restricted";
  report.Row("egress", egress);
  if (!policies.egress) {
    return;
  }
  const policies::EgressPolicy& policy = *policies.egress;
  Words servers;
  for (const policies::Address& server : policy.dns_servers) {
    servers.push_back(AddressText(server));
  }
  report.List("egress-allow", RuleWords(policy.allow))
      .List("egress-deny", RuleWords(policy.deny))
      .List("egress-dns", std::move(servers))
      .List("egress-inbound", PortWords(policy.inbound))
      .Row("egress-broker",
           policy.broker ? AddressText(policy.broker->address) + " port " + std::to_string(policy.broker->port) : "")
      .Row("egress-log", YesNo(policy.log))
      .Row("egress-outside",
           YesNo(plan.network && plan.network->filtered && !plan.network->direct &&
                 plan.network->mode != oci::NetworkMode::kOci && plan.network->mode != oci::NetworkMode::kNone));
}

void AddNetwork(Report& report, const plan::Plan& plan, const policies::Policies& policies) {
  Words devices;
  for (const plan::NetDevice& device : plan.net_devices) {
    devices.push_back(device.host_name + " as " + device.name);
  }
  Words sysctls;
  for (const auto& [key, value] : plan.sysctl) {
    sysctls.push_back(key + "=" + value);
  }
  const bool own = plan.namespaces.Creates(CLONE_NEWNET);
  report.Section("network")
      .Row("namespace", own                                 ? "new"
                        : plan.namespaces.Has(CLONE_NEWNET) ? "joined"
                                                            : "the host's")
      .List("devices", std::move(devices))
      .Row("hostname", plan.hostname)
      .List("sysctl", std::move(sysctls));
  AddEgress(report, plan, policies);
}

void AddHooks(Report& report, const oci::Hooks& hooks) {
  const std::array<std::pair<const char*, const std::vector<oci::Hook>*>, 6> kinds = {
      {{"prestart", &hooks.prestart},
       {"createRuntime", &hooks.create_runtime},
       {"createContainer", &hooks.create_container},
       {"startContainer", &hooks.start_container},
       {"poststart", &hooks.poststart},
       {"poststop", &hooks.poststop}}};
  report.Section("hooks");
  for (const auto& [name, list] : kinds) {
    Words words;
    for (const oci::Hook& hook : *list) {
      words.push_back(hook.path);
    }
    report.List(name, std::move(words));
  }
}

// What of it this host has not: as doctor finds it, and what the plan has found missing already.
void AddHost(Report& report, const std::optional<oci::Mode>& mode, const plan::Plan& plan, bool json) {
  const doctor::Facts facts = doctor::Examine();
  const doctor::For kind = !mode                              ? doctor::For::kPlain
                           : *mode == oci::Mode::kAgent       ? doctor::For::kAgent
                           : *mode == oci::Mode::kStrictAgent ? doctor::For::kStrictAgent
                                                              : doctor::For::kProduction;
  Words fails = doctor::Lacks(facts, kind);
  Words degrades;
  for (const oci::Degradation& degradation : plan.degradations) {
    degrades.push_back(degradation.stage + ": " + degradation.reason);
  }
  if (kind == doctor::For::kAgent) {
    std::ranges::move(doctor::Degrades(facts), std::back_inserter(degrades));
  }
  for (Words* words : {&fails, &degrades}) {
    if (words->empty() && !json) {
      words->emplace_back("nothing");
    }
  }
  report.Section("host").List("fails", std::move(fails)).List("degrades", std::move(degrades));
}

}  // namespace

Result<int> Explain(const container::Settings& settings, const ExplainCommand& command, const Backends& backends) {
  const container::CreateOptions& options = command.options;
  const container::Bundle bundle =
      TRY(container::LoadBundle(options.bundle, options.config, options.config_digest, settings.warn));
  const container::BundlePlan planned = TRY(container::PlanBundle(settings, options, bundle));
  const plan::Plan& plan = planned.plan;
  std::vector<std::string> differences = TRY(Route(backends, bundle.annotations).Differences(bundle, plan));
  Report report;
  AddBundle(report, bundle, plan);
  const auto mode = bundle.spec->annotations.find("dev.nucleus.mode");
  AddMode(report, bundle.annotations.mode, mode == bundle.spec->annotations.end() ? "" : mode->second);
  AddProcess(report, plan);
  AddNamespaces(report, plan);
  AddRoot(report, plan);
  AddLandlock(report, plan);
  AddLimits(report, plan);
  AddNetwork(report, plan, bundle.policies);
  AddHooks(report, plan.hooks);
  if (!differences.empty()) {
    report.Section("gvisor").List("differs", std::move(differences));
  }
  AddHost(report, bundle.annotations.mode, plan, command.json);
  TRY(WriteAll(STDOUT_FILENO, command.json ? report.Json() : report.Text(), "stdout"));
  return 0;
}

}  // namespace nucleus::shim
