// spec: a config.json to begin with, the same container as `runc spec` describes.

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json_writer.h"
#include "runtime/plan/default_paths.h"
#include "shim/cli/commands.h"
#include "shim/cli/version.h"

namespace nucleus::shim {
namespace {

using Words = std::initializer_list<const char*>;

template <class List = Words>
void WriteWords(JsonWriter& out, const char* key, const List& words) {
  out.Key(key).BeginArray();
  for (const char* word : words) {
    out.String(word);
  }
  out.EndArray();
}

void WriteProcess(JsonWriter& out) {
  out.Key("process").BeginObject();
  out.Key("terminal").Bool(true);
  out.Key("user").BeginObject().Key("uid").Int(0).Key("gid").Int(0).EndObject();
  WriteWords(out, "args", {"sh"});
  WriteWords(out, "env", {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"});
  out.Key("cwd").String("/");
  out.Key("capabilities").BeginObject();
  for (const char* set : {"bounding", "effective", "permitted"}) {
    WriteWords(out, set, {"CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"});
  }
  out.EndObject();
  out.Key("rlimits").BeginArray().BeginObject();
  out.Key("type").String("RLIMIT_NOFILE").Key("hard").Int(1024).Key("soft").Int(1024);
  out.EndObject().EndArray();
  out.Key("noNewPrivileges").Bool(true);
  out.EndObject();
}

void WriteMount(JsonWriter& out, const char* destination, const char* type, const char* source, const Words& options) {
  out.BeginObject();
  out.Key("destination").String(destination);
  out.Key("type").String(type);
  out.Key("source").String(source);
  if (options.size() != 0) {
    WriteWords(out, "options", options);
  }
  out.EndObject();
}

void WriteMounts(JsonWriter& out, bool rootless) {
  out.Key("mounts").BeginArray();
  WriteMount(out, "/proc", "proc", "proc", {});
  WriteMount(out, "/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"});
  // An ordinary user has no group 5 to give terminals to.
  WriteMount(out, "/dev/pts", "devpts", "devpts",
             rootless ? Words{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}
                      : Words{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"});
  WriteMount(out, "/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"});
  WriteMount(out, "/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"});
  // Without a network namespace of one's own a new sysfs is not to be had in a user namespace: the host's is bound.
  WriteMount(out, "/sys", rootless ? "none" : "sysfs", rootless ? "/sys" : "sysfs",
             rootless ? Words{"rbind", "nosuid", "noexec", "nodev", "ro"} : Words{"nosuid", "noexec", "nodev", "ro"});
  if (!rootless) {
    WriteMount(out, "/sys/fs/cgroup", "cgroup", "cgroup", {"nosuid", "noexec", "nodev", "relatime", "ro"});
  }
  out.EndArray();
}

void WriteMapping(JsonWriter& out, const char* key, std::uint32_t host_id) {
  out.Key(key).BeginArray().BeginObject();
  out.Key("containerID").Int(0).Key("hostID").Uint(host_id).Key("size").Int(1);
  out.EndObject().EndArray();
}

void WriteLinux(JsonWriter& out, bool rootless) {
  out.Key("linux").BeginObject();
  if (rootless) {
    WriteMapping(out, "uidMappings", ::geteuid());
    WriteMapping(out, "gidMappings", ::getegid());
  } else {
    out.Key("resources").BeginObject().Key("devices").BeginArray().BeginObject();
    out.Key("allow").Bool(false).Key("access").String("rwm");
    out.EndObject().EndArray().EndObject();
  }
  out.Key("namespaces").BeginArray();
  const Words for_all = {"pid", "ipc", "uts", "mount", "cgroup"};
  for (const char* type : for_all) {
    out.BeginObject().Key("type").String(type).EndObject();
  }
  out.BeginObject().Key("type").String(rootless ? "user" : "network").EndObject();
  out.EndArray();
  WriteWords(out, "maskedPaths", plan::kDefaultMaskedPaths);
  WriteWords(out, "readonlyPaths", plan::kDefaultReadonlyPaths);
  out.EndObject();
}

std::string SpecText(bool rootless) {
  JsonWriter out{2};
  out.BeginObject();
  out.Key("ociVersion").String(kSpecVersion);
  WriteProcess(out);
  out.Key("root").BeginObject().Key("path").String("rootfs").Key("readonly").Bool(true).EndObject();
  out.Key("hostname").String("nucleus");
  WriteMounts(out, rootless);
  WriteLinux(out, rootless);
  out.EndObject();
  return out.Take() + "\n";
}

}  // namespace

Result<int> WriteSpec(const SpecCommand& command) {
  const std::string path = command.bundle + "/config.json";
  const Fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0666)};
  if (!file) {
    if (errno == EEXIST) {
      return std::unexpected(Failure("File config.json exists. Remove it first", EEXIST));
    }
    return std::unexpected(SysError("create", path));
  }
  TRY(WriteAll(file.get(), SpecText(command.rootless), path));
  return 0;
}

}  // namespace nucleus::shim
