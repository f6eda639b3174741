#include "shim/gvisor/derive.h"

#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <cerrno>

#include "base/json_writer.h"

namespace nucleus::gvisor {
namespace {

void WriteStrings(JsonWriter& out, std::string_view key, const std::vector<std::string>& values) {
  out.Key(key).BeginArray();
  for (const std::string& value : values) {
    out.String(value);
  }
  out.EndArray();
}

// Those that gVisor knows: an unknown name is an error to runsc.
void WriteCapabilities(JsonWriter& out, std::string_view key, std::uint64_t set) {
  constexpr std::size_t kKnown = 38;
  const std::vector<std::string> names = confine::KnownCapabilities();
  out.Key(key).BeginArray();
  for (std::size_t bit = 0; bit < names.size() && bit < kKnown; ++bit) {
    if ((set >> bit & 1) != 0) {
      out.String(names[bit]);
    }
  }
  out.EndArray();
}

void WriteProcess(JsonWriter& out, const oci::Process& process, const confine::Confinement& confinement) {
  out.BeginObject();
  out.Key("terminal").Bool(process.terminal);
  out.Key("user").BeginObject();
  out.Key("uid").Uint(confinement.uid);
  out.Key("gid").Uint(confinement.gid);
  out.Key("umask").Uint(confinement.umask);
  out.Key("additionalGids").BeginArray();
  for (const std::uint32_t gid : confinement.additional_gids) {
    out.Uint(gid);
  }
  out.EndArray().EndObject();
  WriteStrings(out, "args", process.args);
  WriteStrings(out, "env", process.env);
  out.Key("cwd").String(process.cwd);
  const confine::CapabilitySets sets = AfterExecve(confinement);
  out.Key("capabilities").BeginObject();
  WriteCapabilities(out, "bounding", sets.bounding);
  WriteCapabilities(out, "effective", sets.effective);
  WriteCapabilities(out, "inheritable", sets.inheritable);
  WriteCapabilities(out, "permitted", sets.permitted);
  WriteCapabilities(out, "ambient", sets.ambient);
  out.EndObject();
  out.Key("rlimits").BeginArray();
  for (const oci::Rlimit& limit : confinement.rlimits) {
    out.BeginObject();
    out.Key("type").String(limit.type);
    out.Key("soft").Uint(limit.soft);
    out.Key("hard").Uint(limit.hard);
    out.EndObject();
  }
  out.EndArray();
  out.Key("noNewPrivileges").Bool(confinement.no_new_privileges);
  out.EndObject();
}

std::vector<std::string> OptionWords(const plan::MountOptions& options, std::uint64_t kept = 0) {
  std::vector<std::string> words;
  for (const auto& [attribute, word] : {std::pair{MOUNT_ATTR_RDONLY, "ro"},
                                        {MOUNT_ATTR_NOSUID, "nosuid"},
                                        {MOUNT_ATTR_NODEV, "nodev"},
                                        {MOUNT_ATTR_NOEXEC, "noexec"},
                                        {MOUNT_ATTR_NOATIME, "noatime"}}) {
    if (((options.set | kept) & static_cast<std::uint64_t>(attribute)) != 0) {
      words.emplace_back(word);
    }
  }
  for (const plan::MountOptions::Parameter& parameter : options.parameters) {
    words.push_back(parameter.has_value ? parameter.key + "=" + parameter.value : parameter.key);
  }
  return words;
}

void WriteMount(JsonWriter& out, const std::string& target, const std::string& type, const std::string& source,
                const std::vector<std::string>& options) {
  out.BeginObject();
  out.Key("destination").String(target);
  out.Key("type").String(type);
  out.Key("source").String(source);
  WriteStrings(out, "options", options);
  out.EndObject();
}

void WriteMounts(JsonWriter& out, const plan::Plan& plan, const Places& places) {
  out.Key("mounts").BeginArray();
  if (!places.tmp.empty()) {
    WriteMount(out, "/tmp", "bind", places.tmp, {"bind", plan.rootfs.readonly ? "ro" : "rw"});
  }
  for (std::size_t i = 0; i < plan.rootfs.mounts.size(); ++i) {
    const plan::MountStep& step = plan.rootfs.mounts[i];
    if (const auto* bind = std::get_if<plan::BindMount>(&step)) {
      std::vector<std::string> options = OptionWords(bind->options, places.kept_flags[i]);
      options.emplace_back(bind->recursive ? "rbind" : "bind");
      WriteMount(out, bind->target, "bind", places.binds[i], options);
    } else if (const auto* filesystem = std::get_if<plan::FilesystemMount>(&step)) {
      if (filesystem->type != "mqueue") {
        WriteMount(out, filesystem->target, filesystem->type, filesystem->source, OptionWords(filesystem->options));
      }
    } else if (const auto* cgroup = std::get_if<plan::CgroupMount>(&step)) {
      WriteMount(out, cgroup->target, "cgroup", "cgroup", OptionWords(cgroup->options));
    }
  }
  out.EndArray();
}

void WriteMappings(JsonWriter& out, std::string_view key, const std::vector<oci::IdMapping>& mappings) {
  out.Key(key).BeginArray();
  for (const oci::IdMapping& mapping : mappings) {
    out.BeginObject();
    out.Key("containerID").Uint(mapping.container_id);
    out.Key("hostID").Uint(mapping.host_id);
    out.Key("size").Uint(mapping.size);
    out.EndObject();
  }
  out.EndArray();
}

void WriteNamespaces(JsonWriter& out, const plan::Plan& plan, const Places& places) {
  out.Key("namespaces").BeginArray();
  for (const auto& [flag, type] :
       {std::pair{CLONE_NEWPID, "pid"}, {CLONE_NEWIPC, "ipc"}, {CLONE_NEWUTS, "uts"}, {CLONE_NEWNS, "mount"}}) {
    if (plan.namespaces.Creates(flag)) {
      out.BeginObject().Key("type").String(type).EndObject();
    }
  }
  if (plan.namespaces.Creates(CLONE_NEWUSER)) {
    out.BeginObject().Key("type").String("user").EndObject();
  }
  if (!places.netns.empty()) {
    out.BeginObject().Key("type").String("network").Key("path").String(places.netns).EndObject();
  }
  out.EndArray();
}

std::string_view ActionWord(oci::SeccompAction action) {
  switch (action) {
    case oci::SeccompAction::kKillThread:
      return "SCMP_ACT_KILL";
    case oci::SeccompAction::kKillProcess:
      return "SCMP_ACT_KILL_PROCESS";
    case oci::SeccompAction::kTrap:
      return "SCMP_ACT_TRAP";
    case oci::SeccompAction::kErrno:
      return "SCMP_ACT_ERRNO";
    case oci::SeccompAction::kTrace:
      return "SCMP_ACT_TRACE";
    case oci::SeccompAction::kAllow:
      return "SCMP_ACT_ALLOW";
    case oci::SeccompAction::kLog:
      return "SCMP_ACT_LOG";
    case oci::SeccompAction::kNotify:
      break;
  }
  return "SCMP_ACT_NOTIFY";
}

std::string_view OperatorWord(oci::SeccompOperator op) {
  switch (op) {
    case oci::SeccompOperator::kNe:
      return "SCMP_CMP_NE";
    case oci::SeccompOperator::kLt:
      return "SCMP_CMP_LT";
    case oci::SeccompOperator::kLe:
      return "SCMP_CMP_LE";
    case oci::SeccompOperator::kEq:
      return "SCMP_CMP_EQ";
    case oci::SeccompOperator::kGe:
      return "SCMP_CMP_GE";
    case oci::SeccompOperator::kGt:
      return "SCMP_CMP_GT";
    case oci::SeccompOperator::kMaskedEq:
      break;
  }
  return "SCMP_CMP_MASKED_EQ";
}

void WriteSeccomp(JsonWriter& out, const oci::Seccomp& filter) {
  const bool enosys = CanSayEnosys(filter);
  const auto word = [enosys](oci::SeccompAction action, const std::optional<std::uint32_t>& errno_ret) {
    const bool trace = enosys && action == oci::SeccompAction::kErrno && errno_ret == ENOSYS;
    return ActionWord(trace ? oci::SeccompAction::kTrace : action);
  };
  out.Key("seccomp").BeginObject();
  out.Key("defaultAction").String(word(filter.default_action, filter.default_errno_ret));
  WriteStrings(out, "architectures", filter.architectures);
  out.Key("syscalls").BeginArray();
  for (const oci::SeccompSyscall& rule : filter.syscalls) {
    out.BeginObject();
    WriteStrings(out, "names", rule.names);
    out.Key("action").String(word(rule.action, rule.errno_ret));
    out.Key("args").BeginArray();
    for (const oci::SeccompArg& argument : rule.args) {
      out.BeginObject();
      out.Key("index").Uint(argument.index);
      out.Key("value").Uint(argument.value);
      out.Key("valueTwo").Uint(argument.value_two);
      out.Key("op").String(OperatorWord(argument.op));
      out.EndObject();
    }
    out.EndArray().EndObject();
  }
  out.EndArray().EndObject();
}

}  // namespace

bool CanSayEnosys(const oci::Seccomp& filter) {
  const auto denies = [](oci::SeccompAction action) {
    return action == oci::SeccompAction::kErrno || action == oci::SeccompAction::kKillThread ||
           action == oci::SeccompAction::kKillProcess || action == oci::SeccompAction::kTrap;
  };
  return denies(filter.default_action) && std::ranges::all_of(filter.syscalls, [&](const oci::SeccompSyscall& rule) {
           return denies(rule.action) || std::ranges::find(rule.names, "ptrace") == rule.names.end();
         });
}

confine::CapabilitySets AfterExecve(const confine::Confinement& confinement) {
  confine::CapabilitySets sets = confinement.capabilities;
  sets.ambient &= sets.permitted & sets.inheritable;
  if (confinement.uid != 0) {
    sets.permitted = sets.ambient;
  } else {
    const std::uint64_t roots = sets.inheritable | sets.bounding;
    sets.permitted = confinement.no_new_privileges ? roots & sets.permitted : roots;
  }
  sets.effective = sets.permitted;
  return sets;
}

std::string DeriveConfig(const plan::Plan& plan, const oci::Seccomp* filter, const Places& places) {
  JsonWriter out;
  out.BeginObject();
  out.Key("ociVersion").String("1.0.2");
  if (plan.process) {
    out.Key("process");
    WriteProcess(out, *plan.process, plan.confinement);
  }
  out.Key("root").BeginObject();
  out.Key("path").String(places.root);
  out.Key("readonly").Bool(plan.rootfs.readonly);
  out.EndObject();
  out.Key("hostname").String(plan.hostname.empty() ? places.hostname : plan.hostname);
  out.Key("domainname").String(plan.domainname);
  WriteMounts(out, plan, places);
  // No annotations: those that runsc knows change how it makes a sandbox.
  out.Key("linux").BeginObject();
  WriteNamespaces(out, plan, places);
  if (plan.namespaces.Creates(CLONE_NEWUSER)) {
    WriteMappings(out, "uidMappings", plan.uid_mappings);
    WriteMappings(out, "gidMappings", plan.gid_mappings);
  }
  if (filter != nullptr) {
    WriteSeccomp(out, *filter);
  }
  out.EndObject().EndObject();
  return out.Take();
}

std::string DeriveProcess(const oci::Process& process, const confine::Confinement& confinement) {
  JsonWriter out;
  WriteProcess(out, process, confinement);
  return out.Take();
}

}  // namespace nucleus::gvisor
