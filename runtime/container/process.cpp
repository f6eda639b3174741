#include "runtime/container/process.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstring>
#include <unordered_map>

#include "runtime/confine/landlock.h"
#include "runtime/container/channel.h"
#include "runtime/container/init.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

bool IsNull(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

// Pipes and files that the caller opened for us belong to the user inside, or /dev/stdout could not be opened again.
// What cannot be given away (a read-only filesystem, an id without a mapping) is left: it is a convenience.
void GiveStreams(uid_t uid) {
  for (int fd = 0; fd <= 2; ++fd) {
    struct stat status{};
    if (::fstat(fd, &status) != 0 || status.st_uid == uid) {
      continue;
    }
    if (IsNull(status)) {
      continue;
    }
    (void)!::fchown(fd, uid, static_cast<gid_t>(-1));
  }
}

// Streams that lead to the host's /dev/null lead to the container's own: nothing of the host's mounts stays open, and a
// checkpoint knows what is open. Where there is none of its own (no /dev, or something else there) they stay.
void TakeOwnNull() {
  for (int fd = 0; fd <= 2; ++fd) {
    struct stat status{};
    const int flags = ::fcntl(fd, F_GETFL);
    if (flags < 0 || ::fstat(fd, &status) != 0 || !IsNull(status)) {
      continue;
    }
    // Whatever the root filesystem has under that name must not make this process wait.
    const Fd own{::open("/dev/null", (flags & O_ACCMODE) | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC)};
    if (own && ::fstat(own.get(), &status) == 0 && IsNull(status)) {
      (void)::fcntl(own.get(), F_SETFL, flags & ~O_NONBLOCK);
      (void)::dup2(own.get(), fd);
    }
  }
}

Result<> CheckExecutable(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    return std::unexpected(SysError("stat", path));
  }
  if (S_ISDIR(status.st_mode)) {
    return std::unexpected(Failure("is a directory", EISDIR));
  }
  if (::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) != 0) {
    return std::unexpected(Failure(ErrnoText(errno), errno));
  }
  return {};
}

std::string_view Variable(const std::vector<std::string>& env, std::string_view name) {
  // The last one counts, as for a shell that is given both.
  for (auto entry = env.rbegin(); entry != env.rend(); ++entry) {
    if (entry->size() > name.size() && entry->starts_with(name) && (*entry)[name.size()] == '=') {
      return std::string_view{*entry}.substr(name.size() + 1);
    }
  }
  return {};
}

}  // namespace

// The signal state of the runtime's caller must not reach the workload.
void ResetSignals() {
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (int signal = 1; signal < NSIG; ++signal) {
    if (signal != SIGKILL && signal != SIGSTOP) {
      ::signal(signal, SIG_DFL);
    }
  }
}

Result<> ConnectStreams(std::optional<rootfs::Console> console, int channel, uid_t uid) {
  if (!console) {
    TakeOwnNull();
    GiveStreams(uid);
    return {};
  }
  if (::ioctl(console->slave.get(), TIOCSCTTY, 0) != 0) {
    return std::unexpected(SysError("make controlling", "the terminal"));
  }
  TRY(SendWithFd(channel, Tag::kConsole, console->master.get()));
  if (::fchown(console->slave.get(), uid, static_cast<gid_t>(-1)) != 0 && errno != EINVAL && errno != EPERM) {
    return std::unexpected(SysError("chown", "the terminal"));
  }
  for (int fd = 0; fd <= 2; ++fd) {
    if (::dup2(console->slave.get(), fd) < 0) {
      return std::unexpected(SysError("dup", "the terminal"));
    }
  }
  return {};
}

Result<> EnterWorkingDirectory(const std::string& cwd) {
  if (::chdir(cwd.c_str()) != 0) {
    return std::unexpected(SysError("chdir to cwd (\"" + cwd + "\") set in config.json failed", ""));
  }
  // A working directory outside of the root (a descriptor of the host that leaked, CVE-2024-21626) has no path in it.
  std::array<char, 4096> path{};
  if (::getcwd(path.data(), path.size()) == nullptr) {
    if (errno == ENOENT) {
      return std::unexpected(Failure("current working directory is outside of container mount namespace root", EPERM));
    }
    return std::unexpected(SysError("getcwd", cwd));
  }
  if (path[0] != '/') {
    return std::unexpected(Failure("current working directory is outside of container mount namespace root", EPERM));
  }
  return {};
}

Result<std::string> FindExecutable(const std::string& name, const std::vector<std::string>& env) {
  const std::string where = "exec: \"" + name + "\"";
  if (name.find('/') != std::string::npos) {
    TRY_IN(where, CheckExecutable(name));
    return name;
  }
  Error denied;
  std::string_view path = Variable(env, "PATH");
  while (!path.empty() && !name.empty()) {
    const std::size_t colon = path.find(':');
    const std::string_view directory = path.substr(0, colon);
    path.remove_prefix(colon == std::string_view::npos ? path.size() : colon + 1);
    std::string candidate = (directory.empty() ? std::string{"."} : std::string{directory}) + "/" + name;
    const Result<> checked = CheckExecutable(candidate);
    if (checked) {
      return candidate;
    }
    if (checked.error().code == EACCES) {
      denied = checked.error();
    }
  }
  if (denied.code != 0) {
    return std::unexpected(Context(where, denied));
  }
  return std::unexpected(Failure(where + ": executable file not found in $PATH", ENOENT));
}

void MakeUnique(std::vector<std::string>& env) {
  std::unordered_map<std::string, std::size_t> places;
  std::vector<std::string> unique;
  unique.reserve(env.size());
  for (std::string& entry : env) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos) {
      unique.push_back(std::move(entry));
      continue;
    }
    const auto [place, added] = places.try_emplace(entry.substr(0, equals), unique.size());
    if (added) {
      unique.push_back(std::move(entry));
    } else {
      unique[place->second] = std::move(entry);
    }
  }
  env = std::move(unique);
}

void AddHome(std::vector<std::string>& env, uid_t uid) {
  if (!Variable(env, "HOME").empty()) {
    return;
  }
  std::erase(env, "HOME=");
  std::string home = "/";
  // The image's file is hostile: it is opened as a regular file that never blocks, and read up to a bound.
  constexpr std::size_t kMaxPasswd = std::size_t{1} << 20;
  const Fd file{::open("/etc/passwd", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  struct stat status{};
  if (file && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode)) {
    const Result<std::string> text = ReadAll(file.get(), kMaxPasswd, "/etc/passwd");
    std::string_view rest = text ? std::string_view{*text} : std::string_view{};
    while (!rest.empty()) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      std::array<std::string_view, 6> fields{};
      for (std::string_view& field : fields) {
        field = line.substr(0, line.find(':'));
        line.remove_prefix(std::min(line.size(), field.size() + 1));
      }
      uid_t found = 0;
      const auto [end, error] = std::from_chars(fields[2].data(), fields[2].data() + fields[2].size(), found);
      if (error == std::errc{} && end == fields[2].data() + fields[2].size() && !fields[2].empty() && found == uid &&
          fields[5].starts_with('/')) {
        home = fields[5];
        break;
      }
    }
  }
  env.push_back("HOME=" + home);
}

namespace {

// With an init the workload has the next free pid: 2, where no hook ran.
void CorrectListenPid(std::vector<std::string>& env) {
  for (std::string& entry : env) {
    if (entry == "LISTEN_PID=1") {
      entry = "LISTEN_PID=" + std::to_string(::getpid());
    }
  }
}

Result<Fd> MakeRuleset(const confine::Confinement& confinement) {
  FAULT_POINT("child.landlock");
  return confine::MakeLandlockRuleset(*confinement.landlock, confinement.landlock_abi);
}

Result<> EnterDomain(int ruleset) {
  FAULT_POINT("child.landlock-enter");
  return confine::EnterLandlock(ruleset);
}

}  // namespace

Result<> ConfineAndExecute(const FinalSteps& steps, const std::function<Result<>()>& gate) {
  const oci::Process& process = *steps.process;
  // With the runtime's rights where they reach, else with the user's own: a directory may be closed to either.
  const Result<> entered = EnterWorkingDirectory(process.cwd);
  if (!entered && entered.error().code != EACCES) {
    return entered;
  }
  Fd landlock;
  if (steps.confinement->landlock) {
    // With the runtime's rights: a rule's path may be closed to the user.
    if (Result<Fd> ruleset = MakeRuleset(*steps.confinement)) {
      landlock = std::move(*ruleset);
    } else {
      TRY(steps.on_failure(policies::Stage::kLandlock, Context("landlock", std::move(ruleset).error())));
    }
  }
  std::optional<Init> init;
  if (steps.init) {
    init.emplace(TRY(Init::Make()));
  }
  FAULT_POINT("child.confine");
  TRY(confine::Prepare(*steps.confinement));
  if (!entered) {
    TRY(EnterWorkingDirectory(process.cwd));
  }
  FAULT_POINT("child.lookup");
  const std::string executable = TRY(FindExecutable(process.args[0], process.env));
  std::vector<std::string> env = process.env;
  MakeUnique(env);
  AddHome(env, steps.confinement->uid);
  const std::vector<char*> argv = sys::Pointers(process.args);

  TRY(gate());

  ResetSignals();
  TRY(sys::CloseOnExecFrom(3 + steps.preserve_fds));
  FAULT_POINT("child.finish");
  confine::SeccompProgram shared;
  const confine::SeccompProgram* program = steps.program;
  if (program == nullptr && steps.shared_program != nullptr) {
    shared = steps.shared_program->Get();
    program = &shared;
  }
  // None where there is no such policy, or where it was given up.
  if (landlock) {
    if (Result<> domain = EnterDomain(landlock.get()); !domain) {
      TRY(steps.on_failure(policies::Stage::kLandlock, std::move(domain).error()));
    }
  }
  const auto execute = [&]() -> Result<> {
    const std::vector<char*> envp = sys::Pointers(env);
    TRY(confine::Finish(
        *steps.confinement,
        {.program = program, .listener_socket = steps.listener_socket, .listener_state = steps.listener_state},
        steps.on_failure));
    FAULT_POINT("child.exec");
    ::execve(executable.c_str(), argv.data(), envp.data());
    return std::unexpected(SysError("exec", executable));
  };
  if (!init) {
    return execute();
  }
  const auto as_child = [&] {
    CorrectListenPid(env);
    steps.failed(execute().error());
  };
  return std::unexpected(init->Fork(process.terminal, as_child, steps.failed));
}

}  // namespace nucleus::container
