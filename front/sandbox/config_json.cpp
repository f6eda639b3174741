#include "front/sandbox/config_json.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

#include "base/json_writer.h"

namespace nucleus::front {
namespace {

constexpr std::int64_t kDefaultPids = 4096;
constexpr std::int64_t kCpuPeriod = 100000;  // microseconds

void Mapping(JsonWriter& out, std::uint32_t container, std::uint32_t host, std::uint32_t size) {
  out.BeginObject();
  out.Key("containerID").Uint(container);
  out.Key("hostID").Uint(host);
  out.Key("size").Uint(size);
  out.EndObject();
}

void Mappings(JsonWriter& out, const char* key, const std::vector<IdMapping>& mappings) {
  out.Key(key).BeginArray();
  for (const IdMapping& mapping : mappings) {
    Mapping(out, mapping.inside, mapping.host, mapping.size);
  }
  out.EndArray();
}

void Strings(JsonWriter& out, const char* key, const std::vector<std::string>& values) {
  out.Key(key).BeginArray();
  for (const std::string& value : values) {
    out.String(value);
  }
  out.EndArray();
}

// The last of one name counts.
std::vector<std::string> Environment(const SandboxOptions& options, const Ids& ids, const ConfigParts& parts) {
  const std::string name = ids.uid == 0 ? "root" : "user";
  std::vector<std::string> all = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                  std::string{"HOME="} + kHome, "USER=" + name, "LOGNAME=" + name, "LANG=C.UTF-8"};
  if (const char* term = std::getenv("TERM"); parts.terminal && term != nullptr) {
    all.push_back(std::string{"TERM="} + term);
  }
  all.insert(all.end(), parts.cdi.environment.begin(), parts.cdi.environment.end());
  all.insert(all.end(), options.environment.begin(), options.environment.end());
  std::vector<std::string> result;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string prefix = all[i].substr(0, all[i].find('=') + 1);
    const bool later = std::any_of(all.begin() + static_cast<std::ptrdiff_t>(i) + 1, all.end(),
                                   [&](const std::string& other) { return other.starts_with(prefix); });
    if (!later) {
      result.push_back(all[i]);
    }
  }
  return result;
}

void Process(JsonWriter& out, const SandboxOptions& options, const Ids& ids, const ConfigParts& parts) {
  out.Key("process").BeginObject();
  out.Key("terminal").Bool(parts.terminal);
  out.Key("user").BeginObject();
  out.Key("uid").Uint(ids.uid);
  out.Key("gid").Uint(ids.gid);
  out.EndObject();
  Strings(out, "args", options.command);
  Strings(out, "env", Environment(options, ids, parts));
  std::string cwd = options.cwd;
  if (cwd.empty()) {
    cwd = options.workspace.empty() ? kHome : kWorkspace;
  }
  out.Key("cwd").String(cwd);
  out.Key("noNewPrivileges").Bool(true);
  out.EndObject();
}

void Mount(JsonWriter& out, const SandboxMount& mount, const Ids& ids) {
  out.BeginObject();
  out.Key("destination").String(mount.destination);
  out.Key("type").String(mount.type);
  out.Key("source").String(mount.source);
  Strings(out, "options", mount.options);
  if (mount.owner) {
    out.Key("uidMappings").BeginArray();
    Mapping(out, mount.owner->first, *ids.HostUid(ids.uid), 1);
    out.EndArray();
    out.Key("gidMappings").BeginArray();
    Mapping(out, mount.owner->second, *ids.HostGid(ids.gid), 1);
    out.EndArray();
  }
  out.EndObject();
}

void Resources(JsonWriter& out, const SandboxOptions& options, const Ids& ids, const CdiEdits& cdi) {
  out.Key("resources").BeginObject();
  if (ids.privileged) {
    out.Key("devices").BeginArray();
    out.BeginObject();
    out.Key("allow").Bool(false);
    out.Key("access").String("rwm");
    out.EndObject();
    for (const CdiDevice& device : cdi.devices) {
      out.BeginObject();
      out.Key("allow").Bool(true);
      out.Key("type").String(device.type);
      out.Key("major").Int(device.major);
      out.Key("minor").Int(device.minor);
      out.Key("access").String(device.access);
      out.EndObject();
    }
    out.EndArray();
  }
  if (options.memory) {
    out.Key("memory").BeginObject();
    out.Key("limit").Int(*options.memory);
    out.EndObject();
  }
  if (options.cpus) {
    out.Key("cpu").BeginObject();
    out.Key("quota").Int(std::llround(*options.cpus * static_cast<double>(kCpuPeriod)));
    out.Key("period").Int(kCpuPeriod);
    out.EndObject();
  }
  // An ordinary user often has no cgroup to limit anything with: there it is to be asked for.
  if (options.pids || ids.privileged) {
    out.Key("pids").BeginObject();
    out.Key("limit").Int(options.pids.value_or(kDefaultPids));
    out.EndObject();
  }
  out.EndObject();
}

void Linux(JsonWriter& out, const SandboxOptions& options, const Ids& ids, const ConfigParts& parts) {
  out.Key("linux").BeginObject();
  Mappings(out, "uidMappings", ids.uids);
  Mappings(out, "gidMappings", ids.gids);
  out.Key("namespaces").BeginArray();
  for (const char* type : {"user", "pid", "network", "ipc", "uts", "mount", "cgroup", "time"}) {
    out.BeginObject();
    out.Key("type").String(type);
    out.EndObject();
  }
  out.EndArray();
  Resources(out, options, ids, parts.cdi);
  out.EndObject();
}

void Annotations(JsonWriter& out, const SandboxOptions& options, const ConfigParts& parts) {
  out.Key("annotations").BeginObject();
  // Strict modes leave nothing to be traced.
  out.Key("dev.nucleus.mode")
      .String(!parts.mode.empty()     ? parts.mode
              : options.learn.empty() ? "strict-agent"
                                      : "agent");
  if (options.runtime != "native") {
    out.Key("dev.nucleus.runtime").String(options.runtime);
  }
  // gVisor has no link unless it is asked for one; its own stack, for the host's would be the larger surface.
  if (options.runtime == "gvisor" && parts.network != "none") {
    out.Key("dev.nucleus.gvisor.network").String("sandbox");
  }
  out.Key("dev.nucleus.network").String(parts.network);
  std::string publish;
  for (const std::string& ports : options.publish) {
    publish += (publish.empty() ? "" : ",") + ports;
  }
  if (!publish.empty()) {
    out.Key("dev.nucleus.network.publish").String(publish);
  }
  if (options.stop_signal != 0) {
    // The image specification's, which others look at as well (annotations.md, "Pre-Defined Annotation Keys").
    out.Key("org.opencontainers.image.stopSignal").String(std::to_string(options.stop_signal));
  }
  if (!parts.members.empty()) {
    out.Key("dev.nucleus.network.members").String(parts.members);
  }
  if (!parts.rootfs_mode.empty()) {
    out.Key("dev.nucleus.rootfs.mode").String(parts.rootfs_mode);
  }
  for (const auto& [kind, pin] : parts.policies) {
    out.Key("dev.nucleus.policy." + kind).String(pin);
  }
  out.EndObject();
}

}  // namespace

std::string ConfigText(const SandboxOptions& options, const Ids& ids, const ConfigParts& parts) {
  JsonWriter out{2};
  out.BeginObject();
  out.Key("ociVersion").String("1.2.0");
  Process(out, options, ids, parts);
  out.Key("root").BeginObject();
  out.Key("path").String(parts.root);
  out.Key("readonly").Bool(parts.readonly_root);
  out.EndObject();
  out.Key("hostname").String(options.hostname);
  out.Key("mounts").BeginArray();
  for (const SandboxMount& mount : parts.mounts) {
    Mount(out, mount, ids);
  }
  out.EndArray();
  Annotations(out, options, parts);
  Linux(out, options, ids, parts);
  out.EndObject();
  return out.Take() + "\n";
}

}  // namespace nucleus::front
