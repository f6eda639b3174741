// config.json's `linux`.

#include <algorithm>

#include "oci-config/read.h"

namespace nucleus::oci {

// Static, not in an unnamed namespace: lookup by argument must find the Read functions.

static void Read(JsonReader& in, NamespaceType& out) {
  ReadWord(in, out, "namespace type",
           {{"pid", NamespaceType::kPid},
            {"network", NamespaceType::kNetwork},
            {"mount", NamespaceType::kMount},
            {"ipc", NamespaceType::kIpc},
            {"uts", NamespaceType::kUts},
            {"user", NamespaceType::kUser},
            {"cgroup", NamespaceType::kCgroup},
            {"time", NamespaceType::kTime}});
}

static void Read(JsonReader& in, Namespace& out) {
  out = {};
  std::optional<NamespaceType> type;
  in.Object({{"type", type}, {"path", out.path}});
  in.Check(type.has_value(), "type", "required");
  out.type = type.value_or(NamespaceType::kPid);
  in.Check(out.path.empty() || IsAbsolute(out.path), "path", "must be an absolute path");
}

static void Read(JsonReader& in, TimeOffset& out) {
  out = {};
  in.Object({{"secs", out.secs}, {"nanosecs", out.nanosecs}});
  constexpr std::uint32_t kSecond = 1000000000;
  in.Check(out.nanosecs < kSecond, "nanosecs", "out of range");
}

static void Read(JsonReader& in, Device& out) {
  out = {};
  std::string type;
  in.Object({{"type", type},
             {"path", out.path},
             {"major", out.major},
             {"minor", out.minor},
             {"fileMode", out.file_mode},
             {"uid", out.uid},
             {"gid", out.gid}});
  in.Check(type == "c" || type == "b" || type == "u" || type == "p", "type", "unknown device type \"" + type + "\"");
  out.type = type.empty() ? 'c' : type[0];
  in.Check(IsAbsolute(out.path), "path", "must be an absolute path");
  constexpr std::int64_t kMostMajor = 4095;     // 12 bits
  constexpr std::int64_t kMostMinor = 1048575;  // 20 bits
  in.Check(out.major >= 0 && out.major <= kMostMajor, "major", "out of range");
  in.Check(out.minor >= 0 && out.minor <= kMostMinor, "minor", "out of range");
}

static void Read(JsonReader& in, NetDevice& out) {
  out = {};
  in.Object({{"name", out.name}});
}

static void Read(JsonReader& in, RootfsPropagation& out) {
  ReadWord(in, out, "propagation",
           {{"shared", RootfsPropagation::kShared},
            {"rshared", RootfsPropagation::kShared},
            {"slave", RootfsPropagation::kSlave},
            {"rslave", RootfsPropagation::kSlave},
            {"private", RootfsPropagation::kPrivate},
            {"rprivate", RootfsPropagation::kPrivate},
            {"unbindable", RootfsPropagation::kUnbindable},
            {"runbindable", RootfsPropagation::kUnbindable}});
}

struct Personality {
  std::optional<PersonalityDomain> domain;
};

static void Read(JsonReader& in, PersonalityDomain& out) {
  ReadWord(in, out, "personality domain",
           {{"LINUX", PersonalityDomain::kLinux}, {"LINUX32", PersonalityDomain::kLinux32}});
}

static void Read(JsonReader& in, Personality& out) {
  out = {};
  in.Object({{"domain", out.domain}});
  in.Check(out.domain.has_value(), "domain", "required");
}

static void Read(JsonReader& in, MemoryPolicyMode& out) {
  ReadWord(in, out, "memory policy mode",
           {{"MPOL_DEFAULT", MemoryPolicyMode::kDefault},
            {"MPOL_PREFERRED", MemoryPolicyMode::kPreferred},
            {"MPOL_BIND", MemoryPolicyMode::kBind},
            {"MPOL_INTERLEAVE", MemoryPolicyMode::kInterleave},
            {"MPOL_LOCAL", MemoryPolicyMode::kLocal},
            {"MPOL_PREFERRED_MANY", MemoryPolicyMode::kPreferredMany},
            {"MPOL_WEIGHTED_INTERLEAVE", MemoryPolicyMode::kWeightedInterleave}});
}

static void Read(JsonReader& in, MemoryPolicyFlag& out) {
  ReadWord(in, out, "memory policy flag",
           {{"MPOL_F_NUMA_BALANCING", MemoryPolicyFlag::kNumaBalancing},
            {"MPOL_F_RELATIVE_NODES", MemoryPolicyFlag::kRelativeNodes},
            {"MPOL_F_STATIC_NODES", MemoryPolicyFlag::kStaticNodes}});
}

static void Read(JsonReader& in, MemoryPolicy& out) {
  out = {};
  std::optional<MemoryPolicyMode> mode;
  in.Object({{"mode", mode}, {"nodes", out.nodes}, {"flags", out.flags}});
  in.Check(mode.has_value(), "mode", "required");
  out.mode = mode.value_or(MemoryPolicyMode::kDefault);
  in.Check(out.nodes.empty() || IsNumberList(out.nodes), "nodes", "malformed node list");
}

static void Read(JsonReader& in, IntelRdt& out) {
  out = {};
  in.Object({{"closID", out.clos_id},
             {"l3CacheSchema", out.l3_cache_schema},
             {"memBwSchema", out.mem_bw_schema},
             {"schemata", out.schemata},
             {"enableMonitoring", out.enable_monitoring}});
  in.Check(out.clos_id != "." && out.clos_id != ".." &&
               (out.clos_id == "/" || out.clos_id.find_first_of("/\n") == std::string::npos),
           "closID", "not a directory name");
  in.Check(out.l3_cache_schema.find('\n') == std::string::npos, "l3CacheSchema", "must be one line");
  in.Check(out.mem_bw_schema.find('\n') == std::string::npos, "memBwSchema", "must be one line");
  for (std::size_t i = 0; i < out.schemata.size(); ++i) {
    in.Check(out.schemata[i].find('\n') == std::string::npos, "schemata[" + std::to_string(i) + "]",
             "must be one line");
  }
}

static void CheckAbsolute(JsonReader& in, std::string_view property, const std::vector<std::string>& paths) {
  for (std::size_t i = 0; i < paths.size(); ++i) {
    in.Check(IsAbsolute(paths[i]), std::string{property} + "[" + std::to_string(i) + "]", "must be an absolute path");
  }
}

static void CheckNamespaces(JsonReader& in, const std::vector<Namespace>& namespaces) {
  for (std::size_t i = 0; i < namespaces.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      in.Check(namespaces[i].type != namespaces[j].type, "namespaces[" + std::to_string(i) + "].type",
               "duplicate namespace type");
    }
  }
}

void Read(JsonReader& in, Linux& out) {
  out = {};
  std::optional<Personality> personality;
  in.Object({{"namespaces", out.namespaces},
             {"uidMappings", out.uid_mappings},
             {"gidMappings", out.gid_mappings},
             {"timeOffsets", out.time_offsets},
             {"devices", out.devices},
             {"netDevices", out.net_devices},
             {"cgroupsPath", out.cgroups_path},
             {"rootfsPropagation", out.rootfs_propagation},
             {"seccomp", out.seccomp},
             {"resources", out.resources},
             {"maskedPaths", out.masked_paths},
             {"readonlyPaths", out.readonly_paths},
             {"mountLabel", out.mount_label},
             {"sysctl", out.sysctl},
             {"personality", personality},
             {"memoryPolicy", out.memory_policy},
             {"intelRdt", out.intel_rdt}});
  if (personality) {
    out.personality = personality->domain;
  }
  CheckNamespaces(in, out.namespaces);
  CheckMappings(in, "uidMappings", out.uid_mappings);
  CheckMappings(in, "gidMappings", out.gid_mappings);
  for (const auto& [clock, offset] : out.time_offsets) {
    in.Check(clock == "monotonic" || clock == "boottime", "timeOffsets[\"" + clock + "\"]", "unknown clock");
  }
  CheckAbsolute(in, "maskedPaths", out.masked_paths);
  CheckAbsolute(in, "readonlyPaths", out.readonly_paths);
}

}  // namespace nucleus::oci
