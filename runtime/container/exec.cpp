// exec: one more process in a container that runs, confined by the same function as its init.

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>

#include "runtime/confine/cpu_affinity.h"
#include "runtime/confine/landlock.h"
#include "runtime/container/broker.h"
#include "runtime/container/bundle_policies.h"
#include "runtime/container/channel.h"
#include "runtime/container/child.h"
#include "runtime/container/container.h"
#include "runtime/container/degrade.h"
#include "runtime/container/exec_process.h"
#include "runtime/container/host.h"
#include "runtime/container/lifecycle.h"
#include "runtime/container/outputs.h"
#include "runtime/container/process.h"
#include "runtime/container/query.h"
#include "runtime/container/rollback.h"
#include "runtime/container/scope_unit.h"
#include "runtime/container/spawn.h"
#include "runtime/container/tracing.h"
#include "runtime/net/request.h"
#include "runtime/plan/mode.h"
#include "runtime/plan/network.h"
#include "runtime/resctrl/resctrl.h"
#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace nucleus::container {
namespace {

constexpr auto kTypes = std::to_array<int>({CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS,
                                            CLONE_NEWCGROUP, CLONE_NEWTIME, CLONE_NEWNS});

// Every namespace of `pid` that is not this process's own.
Result<plan::Namespaces> NamespacesOf(pid_t pid) {
  plan::Namespaces result;
  for (const int type : kTypes) {
    const std::string file = std::string{"/ns/"} + plan::NamespaceFile(type);
    const std::string theirs = "/proc/" + std::to_string(pid) + file;
    struct stat mine{};
    struct stat other{};
    if (::stat(("/proc/self" + file).c_str(), &mine) != 0) {
      continue;  // a kernel without this type
    }
    if (::stat(theirs.c_str(), &other) != 0) {
      return std::unexpected(SysError("stat", theirs));
    }
    if (mine.st_ino != other.st_ino || mine.st_dev != other.st_dev) {
      result.join.push_back({.type = type, .path = theirs});
    }
  }
  return result;
}

// --cgroup PATH or CONTROLLERS:PATH: a cgroup below the container's own, which must exist.
Result<> PlaceInSubCgroups(std::vector<oci::StateCgroup>& cgroups, const std::vector<std::string>& options) {
  for (const std::string& option : options) {
    const std::size_t colon = option.find(':');
    std::string path = colon == std::string::npos ? option : option.substr(colon + 1);
    const std::string wanted = colon == std::string::npos ? "" : "," + option.substr(0, colon) + ",";
    if (("/" + path + "/").find("/../") != std::string::npos) {
      return std::unexpected(Failure("--cgroup " + option + ": must not leave the container's cgroup"));
    }
    while (!path.empty() && path.front() == '/') {
      path.erase(0, 1);
    }
    bool placed = false;
    for (oci::StateCgroup& cgroup : cgroups) {
      const bool matches = wanted.empty() || ("," + cgroup.hierarchy + ",").find(wanted) != std::string::npos;
      if (matches) {
        cgroup.path += path.empty() ? "" : "/" + path;
        placed = true;
      }
    }
    if (!placed) {
      return std::unexpected(Failure("--cgroup " + option + ": no such controller"));
    }
  }
  return {};
}

// The process that joins; everything it needs was opened before.
struct Joiner {
  const plan::Namespaces* namespaces = nullptr;
  std::vector<Fd> joins;
  int root = -1;
  int channel = -1;
  const oci::Process* process = nullptr;
  const confine::Confinement* confinement = nullptr;
  const confine::SeccompProgram* program = nullptr;
  int tracer = -1;  // connected to the container's, where it has one
  int preserve_fds = 0;
  const oci::State* state = nullptr;
  std::optional<oci::Mode> mode;
};

Result<> Join(Joiner& joiner) {
  std::vector<int> keep = {joiner.channel, joiner.root, joiner.tracer};
  for (const Fd& join : joiner.joins) {
    keep.push_back(join.get());
  }
  TRY(sys::CloseFrom(3 + joiner.preserve_fds, std::move(keep)));
  const Message go = TRY(Receive(joiner.channel));
  if (go.tag != Tag::kGo) {
    return std::unexpected(Failure("unexpected message from the runtime", EPROTO));
  }
  Fd agent;
  std::string agent_message;
  if (!joiner.confinement->seccomp_listener_path.empty()) {
    agent =
        TRY_IN("linux.seccomp.listenerPath", sys::ConnectUnix(joiner.confinement->seccomp_listener_path, SOCK_STREAM));
    // The agent looks at the process from outside: its pid is the one that the runtime sees, and told us.
    std::int32_t pid = 0;
    std::from_chars(go.text.data(), go.text.data() + go.text.size(), pid);
    agent_message =
        oci::FormatContainerProcessState(*joiner.state, "running", pid, joiner.confinement->seccomp_listener_metadata);
  }
  if (joiner.tracer >= 0) {
    agent.Reset(joiner.tracer);
    agent_message = kTracerGreeting;
  }
  for (std::size_t i = 0; i < joiner.joins.size(); ++i) {
    if (joiner.joins[i]) {
      TRY(sys::SetNs(joiner.joins[i].get(), joiner.namespaces->join[i].type, joiner.namespaces->join[i].path));
    }
  }
  if (joiner.namespaces->Joins(CLONE_NEWUSER)) {
    if (::syscall(SYS_setresgid, 0, 0, 0) != 0 || ::syscall(SYS_setresuid, 0, 0, 0) != 0) {
      return std::unexpected(SysError("become root in", "the container's user namespace"));
    }
  }
  if (::fchdir(joiner.root) != 0 || ::chroot(".") != 0 || ::chdir("/") != 0) {
    return std::unexpected(SysError("chroot", "the container's root"));
  }
  // No directory stays open: a working directory or a program at /proc/self/fd/N would reach it.
  ::close(joiner.root);
  if (::setsid() < 0) {
    return std::unexpected(SysError("setsid", ""));
  }
  std::optional<rootfs::Console> console;
  if (joiner.process->terminal) {
    rootfs::Handles handles;
    handles.root = TRY(sys::Open("/", O_PATH | O_DIRECTORY));
    console = TRY_IN("terminal", rootfs::OpenConsole(handles, joiner.process->console_size, false));
  }
  TRY(ConnectStreams(std::move(console), joiner.channel, joiner.confinement->uid));
  return ConfineAndExecute({.process = joiner.process,
                            .confinement = joiner.confinement,
                            .shared_program = nullptr,
                            .program = joiner.program,
                            .preserve_fds = joiner.preserve_fds,
                            .listener_socket = agent.get(),
                            .listener_state = agent_message,
                            .on_failure = OrDegrade(joiner.mode, [&joiner] { return joiner.channel; })},
                           [&joiner] { return Send(joiner.channel, Tag::kReady); });
}

// First of all: nothing before the process is in the container's cgroup, and what it uses counts there.
Result<> EnterCgroups(const cgroup::Doors& doors, const oci::ExecCpuAffinity& affinity) {
  TRY_IN("process.execCPUAffinity.initial", confine::SetCpuAffinity(0, affinity.initial));
  TRY(cgroup::Enter(doors));
  TRY_IN("process.execCPUAffinity.final", confine::SetCpuAffinity(0, affinity.final_));
  return {};
}

// Until execve has closed the child's end, or the error came.
Result<> ServeJoiner(int channel, const ExecOptions& options, void (*warn)(const std::string&), Fd& console) {
  bool executing = false;
  for (;;) {
    Result<Message> message = Receive(channel);
    if (!message) {
      if (executing) {
        return {};
      }
      return std::unexpected(Failure("exec failed: the process ended before it executed", ECHILD));
    }
    switch (message->tag) {
      case Tag::kError:
        return std::unexpected(
            Failure("exec failed: unable to start container process: " + message->text, message->code));
      case Tag::kConsole:
        if (options.io.foreground) {
          console = std::move(message->fd);
        } else {
          TRY(SendConsole(options.io.console_socket, message->fd.get()));
        }
        break;
      case Tag::kReady:
        executing = true;
        break;
      case Tag::kDegraded:
        warn(DegradedText(TakeDegradation(*message)));
        break;
      default:
        return std::unexpected(Failure("unexpected message from the joining process", EPROTO));
    }
  }
}

}  // namespace

Result<Launched> Exec(const Settings& settings, const ExecOptions& options) {
  Opened opened = TRY(OpenContainer(settings, options.id, false));
  TRY(MayBeSaid(options.ignore_paused ? Command::kExecIgnoringPause : Command::kExec, opened.status, options.id));
  const std::shared_ptr<const oci::Spec> spec = TRY(opened.directory.ReadSpec());
  oci::Process process = TRY(ExecProcess(options, *spec));
  TRY(CheckTerminalOptions(process.terminal, options.io));
  TakeCallersSize(options.io, process);
  const policies::Policies kept = TRY(KeptPolicies(opened.directory, spec->annotations));
  plan::Host host = TRY(ReadHost(false, AsksForLabels(spec->linux_, &process)));
  if (kept.landlock || kept.mode) {
    host.landlock_abi = confine::LandlockAbi();
  }
  const policies::Policies policies = TRY(plan::WithModeDefaults(*spec, kept, host));
  plan::ConfineByMode(kept.mode, process);
  std::vector<std::string> warnings;
  std::vector<oci::Degradation> degradations;
  confine::Confinement confinement =
      TRY(plan::PlanConfinement(process, spec->linux_, host, warnings, degradations, policies));
  for (const oci::Degradation& degradation : degradations) {
    settings.warn(DegradedText(degradation));
  }
  if (opened.state.network.filtered) {
    const oci::Annotations annotations = TRY(oci::ParseAnnotations(spec->annotations));
    TRY(plan::CheckNetworkCapabilities(annotations, true, host, confinement.capabilities));
  }
  if (policies.egress && policies.egress->broker) {
    const std::string token = TRY(opened.directory.ReadFile(net::kBrokerToken));
    AddBrokerVariables(*policies.egress->broker, token, process.env);
  }
  confinement.set_groups = host.euid == 0;
  if (opened.state.keyring) {
    confinement.session_keyring = "_ses." + options.id;
  }
  for (const std::string& warning : warnings) {
    settings.warn(warning);
  }
  Fd tracer;
  if (opened.state.tracer.pid > 0) {
    confinement.has_seccomp = true;
    tracer = TRY(ConnectTracer(opened.directory));
  }
  confine::SeccompProgram program;
  // Where agent mode went on without a filter, there is none to be had.
  confinement.has_seccomp = confinement.has_seccomp && !IsDegraded(opened.state, policies::Stage::kSeccomp);
  if (confinement.has_seccomp) {
    program = TRY(KeptFilter(opened.directory));
  }
  std::vector<oci::StateCgroup> cgroups = opened.state.cgroups;
  if (options.cgroups.empty()) {
    TRY(cgroup::FollowInit(cgroups, opened.state.pid));
  }
  TRY(PlaceInSubCgroups(cgroups, options.cgroups));

  const Fd init = TRY(OpenInit(opened.state));
  const plan::Namespaces namespaces = TRY(NamespacesOf(opened.state.pid));
  confinement.may_deny_groups = namespaces.Joins(CLONE_NEWUSER) || !host.in_initial_user_namespace;
  std::vector<Fd> joins = TRY(OpenJoins(namespaces));
  const Fd root = TRY(sys::Open("/proc/" + std::to_string(opened.state.pid) + "/root", O_PATH | O_DIRECTORY));
  // All of the above is of the very init that the state names only if that one is still there.
  if (!IsAlive(opened.state)) {
    return std::unexpected(Failure("container not running", ESRCH));
  }

  Fd ours;
  Fd theirs;
  TRY(sys::SocketPair(ours, theirs));
  const cgroup::Doors doors =
      TRY(cgroup::OpenDoors(opened.state.systemd.user ? std::vector<oci::StateCgroup>{} : cgroups));
  Spawned spawned;
  Rollback rollback;  // after what its step needs: it runs first at the end
  spawned = TRY(Spawn(namespaces, std::move(joins), doors.v2.get(), [&](std::vector<Fd> left) {
    Joiner joiner{.namespaces = &namespaces,
                  .joins = std::move(left),
                  .root = root.get(),
                  .channel = theirs.get(),
                  .process = &process,
                  .confinement = &confinement,
                  .program = confinement.has_seccomp ? &program : nullptr,
                  .tracer = tracer.get(),
                  .preserve_fds = options.io.preserve_fds,
                  .state = &opened.state,
                  .mode = kept.mode};
    Result<> result = EnterCgroups(doors, process.exec_cpu_affinity.value_or(oci::ExecCpuAffinity{}));
    if (result) {
      result = Join(joiner);
    }
    FailChild(theirs.get(), result.error());
  }));
  rollback.Push([&spawned] {
    (void)sys::PidfdSendSignal(spawned.pidfd.get(), SIGKILL);
    while (::waitpid(spawned.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  });
  theirs.Reset();
  FAULT_POINT("exec.attach");
  if (opened.state.systemd.user) {
    TRY(AttachToUnit(opened.state, cgroups, spawned.pid));
  }
  if (!opened.state.resctrl.directory.empty()) {
    TRY(resctrl::Attach(opened.state.resctrl, spawned.pid));
  }
  if (process.oom_score_adj) {
    const std::string path = "/proc/" + std::to_string(spawned.pid) + "/oom_score_adj";
    const Fd file = TRY(sys::Open(path, O_WRONLY));
    TRY(WriteAll(file.get(), std::to_string(*process.oom_score_adj), path));
  }
  TRY(Send(ours.get(), Tag::kGo, std::to_string(spawned.pid)));
  Fd console;
  TRY(ServeJoiner(ours.get(), options, settings.warn, console));
  if (!options.io.pidfd_socket.empty()) {
    TRY(SendPidfd(options.io.pidfd_socket, spawned.pidfd.get()));
  }
  TRY(WritePidFile(options.io.pid_file, spawned.pid));
  rollback.Commit();
  return Launched{.pid = spawned.pid, .pidfd = std::move(spawned.pidfd), .console = std::move(console)};
}

}  // namespace nucleus::container
