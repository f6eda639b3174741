// features: what this runtime supports, in the schema of features.md. Every list is the table that the code itself
// works from, so that it cannot say more than is there.

#include "base/json_writer.h"
#include "oci-config/annotations.h"
#include "runtime/confine/confine.h"
#include "runtime/confine/seccomp_names.h"
#include "runtime/plan/mount_options.h"
#include "runtime/systemd/client.h"
#include "runtime/telemetry/send.h"
#include "shim/cli/commands.h"
#include "shim/cli/version.h"

namespace nucleus::shim {
namespace {

template <class Strings>
void WriteStrings(JsonWriter& out, std::string_view key, const Strings& strings) {
  out.Key(key).BeginArray();
  for (const auto& text : strings) {
    out.String(text);
  }
  out.EndArray();
}

using Names = std::initializer_list<const char*>;

void WriteEnabled(JsonWriter& out, std::string_view key, bool enabled) {
  out.Key(key).BeginObject();
  out.Key("enabled").Bool(enabled);
  out.EndObject();
}

void WriteSeccomp(JsonWriter& out) {
  out.Key("seccomp").BeginObject();
  out.Key("enabled").Bool(true);
  WriteStrings(out, "actions",
               Names{"SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                     "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP"});
  WriteStrings(out, "operators",
               Names{"SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ",
                     "SCMP_CMP_NE"});
  WriteStrings(out, "archs", oci::KnownSeccompArchitectures());
  const Names flags{"SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
                    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"};
  WriteStrings(out, "knownFlags", flags);
  WriteStrings(out, "supportedFlags", flags);
  out.EndObject();
}

void WriteLinux(JsonWriter& out) {
  out.Key("linux").BeginObject();
  WriteStrings(out, "namespaces", Names{"cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"});
  WriteStrings(out, "capabilities", confine::KnownCapabilities());
  out.Key("cgroup").BeginObject();
  out.Key("v1").Bool(true);
  out.Key("v2").Bool(true);
  out.Key("systemd").Bool(systemd::HelperInstalled());
  out.Key("systemdUser").Bool(systemd::HelperInstalled());
  out.Key("rdma").Bool(true);
  out.EndObject();
  WriteSeccomp(out);
  WriteEnabled(out, "apparmor", true);
  WriteEnabled(out, "selinux", true);
  out.Key("intelRdt").BeginObject();
  out.Key("enabled").Bool(true);
  out.Key("schemata").Bool(true);
  out.Key("monitoring").Bool(true);
  out.EndObject();
  out.Key("mountExtensions").BeginObject();
  WriteEnabled(out, "idmap", true);
  out.EndObject();
  WriteEnabled(out, "netDevices", true);
  out.Key("memoryPolicy").BeginObject();
  WriteStrings(out, "modes",
               Names{"MPOL_BIND", "MPOL_DEFAULT", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED",
                     "MPOL_PREFERRED_MANY", "MPOL_WEIGHTED_INTERLEAVE"});
  WriteStrings(out, "flags", Names{"MPOL_F_NUMA_BALANCING", "MPOL_F_RELATIVE_NODES", "MPOL_F_STATIC_NODES"});
  out.EndObject();
  out.EndObject();
}

}  // namespace

std::string FeaturesText(Backend& gvisor) {
  const auto backend = gvisor.Describe(false);
  JsonWriter out{4};
  out.BeginObject();
  out.Key("ociVersionMin").String("1.0.0");
  out.Key("ociVersionMax").String(kSpecVersion);
  WriteStrings(out, "hooks",
               Names{"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"});
  WriteStrings(out, "mountOptions", plan::KnownMountOptions());
  WriteLinux(out);
  out.Key("annotations").BeginObject();
  out.Key("dev.nucleus.version").String(Version());
  out.Key("dev.nucleus.commit").String(Commit());
  out.Key("org.opencontainers.runc.checkpoint.enabled").String(container::CheckpointAvailable() ? "true" : "false");
  out.Key("dev.nucleus.telemetry.otlp").String(telemetry::SenderInstalled() ? "http/json" : "none");
  if (backend) {
    for (const auto& [name, value] : *backend) {
      out.Key("dev.nucleus.gvisor." + name).String(value);
    }
  }
  out.EndObject();
  std::vector<std::string> unsafe = oci::KnownAnnotations();
  unsafe.emplace_back("org.systemd.property.");
  WriteStrings(out, "potentiallyUnsafeConfigAnnotations", unsafe);
  out.EndObject();
  return out.Take();
}

}  // namespace nucleus::shim
