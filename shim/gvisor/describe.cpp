#include "shim/gvisor/describe.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/json_writer.h"
#include "runtime/confine/landlock.h"
#include "runtime/sys/syscalls.h"
#include "shim/gvisor/confine.h"
#include "shim/gvisor/invoke.h"
#include "shim/gvisor/runsc.h"
#include "shim/gvisor/stage.h"

namespace nucleus::gvisor {
namespace {

// A sandbox is there within a second; a host under load may take its time.
constexpr int kTryMs = 20000;
constexpr const char* kInside = "/runsc";

// A directory that is gone with this.
class Scratch {
 public:
  static Result<Scratch> Make() {
    std::string path = "/run/nucleus-gvisor-try.XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
      return std::unexpected(SysError("mkdtemp", path));
    }
    Scratch scratch;
    scratch.path_ = std::move(path);
    return scratch;
  }
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {
  }
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    if (!path_.empty()) {
      std::error_code ignored;
      std::filesystem::remove_all(path_, ignored);
    }
  }
  [[nodiscard]] const std::string& path() const {
    return path_;
  }

 private:
  Scratch() = default;
  std::string path_;
};

// runsc itself is what runs inside: static, and there.
std::string TrialConfig(const std::string& runsc) {
  JsonWriter out;
  out.BeginObject();
  out.Key("ociVersion").String("1.0.2");
  out.Key("process").BeginObject();
  out.Key("cwd").String("/");
  out.Key("user").BeginObject();
  out.Key("uid").Uint(0);
  out.Key("gid").Uint(0);
  out.EndObject();
  out.Key("args").BeginArray().String(kInside).String("--version").EndArray();
  out.Key("noNewPrivileges").Bool(true);
  out.EndObject();
  out.Key("root").BeginObject();
  out.Key("path").String("rootfs");
  out.Key("readonly").Bool(true);
  out.EndObject();
  out.Key("mounts").BeginArray();
  const auto mount = [&out](const char* destination, const char* type, const std::string& source) {
    out.BeginObject();
    out.Key("destination").String(destination);
    out.Key("type").String(type);
    out.Key("source").String(source);
    if (std::string_view{type} == "bind") {
      out.Key("options").BeginArray().String("bind").String("ro").EndArray();
    }
    out.EndObject();
  };
  mount("/proc", "proc", "proc");
  mount(kInside, "bind", runsc);
  out.EndArray();
  out.Key("linux").BeginObject();
  out.Key("namespaces").BeginArray();
  for (const char* type : {"pid", "mount", "ipc", "uts"}) {
    out.BeginObject().Key("type").String(type).EndObject();
  }
  out.EndArray().EndObject().EndObject();
  return out.Take();
}

// What a runsc has left behind that was ended: all that this process is the reaper of.
void EndOrphans() {
  const std::string list = "/proc/self/task/" + std::to_string(::getpid()) + "/children";
  for (;;) {
    const Result<std::string> children = ReadFile(list, 65536);
    const pid_t pid = children ? static_cast<pid_t>(std::strtol(children->c_str(), nullptr, 10)) : 0;
    if (pid <= 0) {
      return;
    }
    ::kill(pid, SIGKILL);
    if (::waitpid(pid, nullptr, 0) < 0 && errno != EINTR) {
      return;
    }
  }
}

Result<> TryPlatform(const Runsc& runsc) {
  const Scratch scratch = TRY(Scratch::Make());
  const std::string& own = scratch.path();
  for (const char* name : {"/rootfs", "/rootfs/proc", "/root"}) {
    if (::mkdir((own + name).c_str(), 0755) != 0) {
      return std::unexpected(SysError("mkdir", own + name));
    }
  }
  for (const auto& [name, text] :
       {std::pair{own + "/config.json", TrialConfig(runsc.path)}, {own + "/rootfs" + kInside, std::string{}}}) {
    const Fd file = TRY(sys::Open(name, O_WRONLY | O_CREAT | O_EXCL, 0644));
    TRY(WriteAll(file.get(), text, name));
  }
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_CHILD_SUBREAPER"));
  }
  std::vector<oci::Degradation> degradations;
  const Confinement confinement = TRY(MakeConfinement({.part = Part::kSandbox}, degradations));
  std::vector<std::string> arguments = {"--root=" + own + "/root", "--log=" + own + "/log", "--ignore-cgroups",
                                        "--network=none"};
  if (runsc.abilities.Has("overlay2")) {
    arguments.emplace_back("--overlay2=none");
  }
  arguments.insert(arguments.end(), {"run", "-bundle", own, "nucleus-try-" + std::to_string(::getpid())});
  const OwnRoot root{.directory = own, .program = runsc.file.get()};
  const Result<Ended> ended = RunToEnd({.program = runsc.file.get(),
                                        .arguments = std::move(arguments),
                                        .doors = nullptr,
                                        .prepare = [&root] { return EnterOwnRoot(root); },
                                        .directory = own,
                                        .confinement = &confinement},
                                       kTryMs);
  EndOrphans();
  if (!ended) {
    return std::unexpected(ended.error());
  }
  if (ended->status != 0 || !ended->output.contains("runsc version ")) {
    return std::unexpected(Failure(ended->Said(), EIO));
  }
  return {};
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += (text.empty() ? "" : ",") + word;
  }
  return text;
}

}  // namespace

std::vector<std::pair<std::string, std::string>> Describe(bool tries) {
  std::vector<std::pair<std::string, std::string>> rows;
  if (::geteuid() != 0) {
    return {{"available", "no: takes the host's root"}};
  }
  const Result<Runsc> runsc = FindRunsc(std::nullopt, "/");
  if (!runsc) {
    return {{"available", "no: " + runsc.error().message}};
  }
  const Abilities& abilities = runsc->abilities;
  rows.emplace_back("available", "yes");
  rows.emplace_back("runsc", runsc->path + "@sha256:" + runsc->digest);
  rows.emplace_back("version", abilities.version);
  rows.emplace_back("platforms", Joined(abilities.platforms));
  rows.emplace_back("networks", "none,sandbox,host");
  rows.emplace_back("seccomp", abilities.Has("oci-seccomp") ? "yes" : "no: this runsc loads no filters");
  rows.emplace_back("exec-with-seccomp",
                    abilities.FiltersExec()
                        ? "yes"
                        : "no: a runsc older than April 2026 starts processes of exec without the container's filter; "
                          "strict-agent and production refuse exec");
  const int abi = confine::LandlockAbi();
  constexpr int kAbiOfTcp = 4;
  rows.emplace_back("host-landlock", abi >= kAbiOfTcp ? "yes"
                                                      : "no: Landlock's ABI " + std::to_string(abi) +
                                                            " has rules on files alone, which forbid runsc's mounts");
  rows.emplace_back("landlock-policy", "no: gVisor has no Landlock inside of the sandbox");
  rows.emplace_back("checkpoint", "no: not for a container that gVisor carries");
  rows.emplace_back("systemd-cgroup", "no: sandboxes are found by cgroups that nucleus makes");
  rows.emplace_back("rootless", "no: takes the host's root");
  if (tries) {
    const Result<> tried = TryPlatform(*runsc);
    const std::string platform = abilities.platforms.empty() ? "its default" : abilities.platforms.front();
    rows.emplace_back("tried", platform + (tried ? ": works" : ": does not work: " + tried.error().message));
  }
  return rows;
}

}  // namespace nucleus::gvisor
