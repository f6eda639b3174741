#include "shim/gvisor/control.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/json_writer.h"
#include "runtime/container/bundle_policies.h"
#include "runtime/container/degrade.h"
#include "runtime/container/evidence.h"
#include "runtime/container/exec_process.h"
#include "runtime/container/hooks.h"
#include "runtime/container/host.h"
#include "runtime/container/lifecycle.h"
#include "runtime/container/outputs.h"
#include "runtime/container/query.h"
#include "runtime/container/teardown.h"
#include "runtime/evidence/readback.h"
#include "runtime/plan/mode.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"
#include "shim/gvisor/confine.h"
#include "shim/gvisor/console.h"
#include "shim/gvisor/derive.h"
#include "shim/gvisor/differences.h"
#include "shim/gvisor/invoke.h"
#include "shim/gvisor/network.h"
#include "shim/gvisor/runsc.h"
#include "shim/gvisor/said.h"
#include "shim/gvisor/sandbox.h"
#include "shim/gvisor/stage.h"

namespace nucleus::gvisor {
namespace {

using container::Command;
using container::MayBeSaid;
using container::OpenContainer;
using container::Opened;

constexpr int kStartMs = 60000;
constexpr int kKillMs = 15000;
constexpr int kEndWaitMs = 10000;

Error NotRunning() {
  return Failure("container not running", ESRCH);
}

std::string OwnDirectory(const container::StateDir& directory) {
  return directory.path() + "/" + container::kGvisorDirectory;
}

std::optional<oci::Mode> ModeOf(const oci::State& state) {
  const Result<oci::Annotations> annotations = oci::ParseAnnotations(state.annotations);
  return annotations ? annotations->mode : oci::Mode::kProduction;
}

// A question to the sandbox that `state` names, while that is there.
struct Question {
  std::vector<std::string> words;
  int timeout_ms = 0;
  bool starts = false;
};

Result<Ended> Ask(const std::string& own, const oci::State& state, Question question) {
  const Fd program = TRY(RunscOf(state));
  if (!container::IsAlive(state)) {
    return std::unexpected(NotRunning());
  }
  const bool plugs = question.starts && HasStack(state);
  std::vector<oci::Degradation> degradations;
  const Confinement confinement =
      TRY(MakeConfinement({.part = plugs ? Part::kPlug : Part::kClient,
                           .mode = ModeOf(state),
                           .network = plugs ? oci::GvisorNetwork::kSandbox : oci::GvisorNetwork::kNone,
                           .directory = own},
                          degradations));
  std::vector<std::string> arguments = state.gvisor.flags;
  arguments.insert(arguments.end(), std::make_move_iterator(question.words.begin()),
                   std::make_move_iterator(question.words.end()));
  Invocation invocation{.program = program.get(),
                        .arguments = std::move(arguments),
                        .doors = nullptr,
                        .prepare = {},
                        .directory = own,
                        .confinement = &confinement};
  if (plugs) {
    invocation.prepare = [&] {
      return EnterOwnRoot({.directory = own, .program = program.get(), .hides_net_sysctls = true});
    };
  }
  Ended ended = TRY(RunToEnd(invocation, question.timeout_ms));
  ended.degradations.insert(ended.degradations.end(), degradations.begin(), degradations.end());
  return ended;
}

void EndSandbox(const oci::State& state) {
  const Result<Fd> sandbox = container::OpenInit(state);
  if (sandbox) {
    (void)sys::PidfdSendSignal(sandbox->get(), SIGKILL);
    (void)sys::PidfdWait(sandbox->get(), kEndWaitMs);
    (void)::waitpid(state.pid, nullptr, WNOHANG);
  }
}

Result<> LetRun(const container::Settings& settings, const std::string& own, oci::State& state) {
  FAULT_POINT("start.connect");
  TRY(CheckUplinks(state));
  const Ended ended =
      TRY(Ask(own, state, {.words = {"start", state.gvisor.id}, .timeout_ms = kStartMs, .starts = true}));
  for (const oci::Degradation& degradation : ended.degradations) {
    container::Record(settings.warn, degradation, state);
  }
  if (ended.status != 0) {
    return std::unexpected(Failure("unable to start container process: runsc: " + InCallersWords(ended.Said()), EIO));
  }
  return {};
}

Result<> SaveRunning(const container::StateDir& directory, oci::State& state) {
  state.phase = oci::Phase::kRunning;
  FAULT_POINT("start.save-state");
  return directory.WriteState(state);
}

// What protects the host from the sandbox, as the kernel shows it: the filter of the process that gVisor's kernel is.
void Gather(const container::Settings& settings, oci::State& state) {
  if (!container::WantsEvidence(settings, state.annotations) || !container::IsAlive(state)) {
    return;
  }
  oci::StringMap sentry;
  evidence::ReadProcess(state.pid, {}, sentry);
  if (!container::IsAlive(state)) {
    return;
  }
  state.evidence["read"] = "started";
  for (const auto& [key, value] : sentry) {
    state.evidence["gvisor.sandbox." + key] = value;
  }
  evidence::ReadCgroups(state.cgroups, state.evidence);
}

}  // namespace

Result<> StartOpened(const container::Settings& settings, const container::StateDir& directory, const oci::Spec& spec,
                     oci::State& state, bool runs) {
  const std::size_t degradations = state.degradations.size();
  Result<> done = runs ? Result<>{} : LetRun(settings, OwnDirectory(directory), state);
  if (!done) {
    EndSandbox(state);
    return done;
  }
  Gather(settings, state);
  done = SaveRunning(directory, state);
  if (done) {
    container::TellStarted(settings, state, degradations);
    done = container::RunHooks("poststart", spec.hooks.poststart, oci::FormatOciState(state, "running"));
  }
  return done;
}

Result<> Start(const container::Settings& settings, const std::string& id) {
  Opened opened = TRY(OpenContainer(settings, id, true));
  TRY(MayBeSaid(Command::kStart, opened.status, id));
  const std::shared_ptr<const oci::Spec> spec = TRY(opened.directory.ReadSpec());
  const Result<> done = StartOpened(settings, opened.directory, *spec, opened.state, false);
  // A process that runs while its state says otherwise would be nobody's; a failed hook ends the container as well.
  if (!done && opened.state.phase == oci::Phase::kRunning) {
    (void)container::TearDown(settings, opened);
  }
  return done;
}

Result<> Kill(const container::Settings& settings, const std::string& id, int signal, bool all) {
  if (signal == SIGKILL) {
    // The end of the sandbox is the end of all in it, whatever state its kernel is in.
    return container::Kill(settings, id, signal, all);
  }
  const Opened opened = TRY(OpenContainer(settings, id, false));
  if (!container::IsAlive(opened.state)) {
    return std::unexpected(NotRunning());
  }
  if (opened.status == container::Status::kPaused) {
    return std::unexpected(Failure("container paused: gVisor takes no signal but KILL meanwhile", EBUSY));
  }
  if (signal == 0) {
    return {};
  }
  std::vector<std::string> words = {"kill"};
  if (all) {
    words.emplace_back("-all");
  }
  words.insert(words.end(), {opened.state.gvisor.id, std::to_string(signal)});
  const Ended ended =
      TRY(Ask(OwnDirectory(opened.directory), opened.state, {.words = std::move(words), .timeout_ms = kKillMs}));
  if (ended.status != 0) {
    if (!container::IsAlive(opened.state)) {
      return std::unexpected(NotRunning());
    }
    return std::unexpected(Failure("kill: runsc: " + ended.Said(), EIO));
  }
  return {};
}

Result<std::optional<std::string>> Processes(const container::Settings& settings, const std::string& id, bool json) {
  const Opened opened = TRY(OpenContainer(settings, id, false));
  if (!container::IsAlive(opened.state)) {
    return std::nullopt;
  }
  if (opened.status == container::Status::kPaused) {
    return std::unexpected(Failure("container paused: gVisor tells nothing meanwhile", EBUSY));
  }
  const auto ask = [&](const char* format) -> Result<std::string> {
    Ended ended = TRY(Ask(OwnDirectory(opened.directory), opened.state,
                          {.words = {"ps", "-format", format, opened.state.gvisor.id}, .timeout_ms = kKillMs}));
    if (ended.status != 0) {
      return std::unexpected(Failure("ps: runsc: " + ended.Said(), EIO));
    }
    return std::move(ended.output);
  };
  std::vector<pid_t> pids;
  // A sandbox that has started nothing yet has none.
  if (opened.status == container::Status::kRunning) {
    const std::string text = TRY(ask("json"));
    pids = TRY(ParsePids(text));
  }
  if (json) {
    JsonWriter out;
    out.BeginArray();
    for (const pid_t pid : pids) {
      out.Int(pid);
    }
    out.EndArray();
    return out.Take() + "\n";
  }
  return FormatProcesses(pids.empty() ? std::string{} : TRY(ask("table")), pids);
}

namespace {

// The files of one run of `runsc exec`, gone with it.
class ExecFiles {
 public:
  explicit ExecFiles(const container::StateDir& directory)
      : directory_(&directory), tail_("-" + std::to_string(::getpid())) {
  }
  ExecFiles(const ExecFiles&) = delete;
  ExecFiles& operator=(const ExecFiles&) = delete;
  ~ExecFiles() {
    for (const char* name : kAll) {
      ::unlinkat(directory_->fd(), Name(name).c_str(), 0);
    }
  }
  // Below the state directory.
  [[nodiscard]] std::string Name(const char* name) const {
    return std::string{container::kGvisorDirectory} + "/" + name + tail_;
  }
  [[nodiscard]] std::string Path(const char* name) const {
    return directory_->path() + "/" + Name(name);
  }
  [[nodiscard]] Result<pid_t> Number(const char* name) const {
    const std::string text = TRY(directory_->ReadFile(Name(name).c_str()));
    return TRY_IN("exec failed", ParsePid(text));
  }

  static constexpr const char* kProcess = "process";
  static constexpr const char* kPid = "exec-pid";
  static constexpr const char* kInside = "exec-inside";
  static constexpr const char* kLogFile = "exec-log";

 private:
  static constexpr const char* kAll[] = {kProcess, kPid, kInside, kLogFile};
  const container::StateDir* directory_;
  std::string tail_;
};

// Of a container that is to have a filter: does a process of exec get it?
Result<> CheckExecFilter(const container::Settings& settings, const Opened& opened, const oci::Spec& spec,
                         const policies::Policies& policies) {
  const bool filtered =
      (spec.linux_.seccomp || policies.seccomp) && !container::IsDegraded(opened.state, policies::Stage::kSeccomp);
  const Abilities abilities = OfVersion(opened.state.gvisor.version);
  if (!filtered || abilities.FiltersExec()) {
    return {};
  }
  const std::string reason = "runsc " + abilities.version + " starts processes of exec without the container's filter";
  if (!policies::MayDegrade(policies.mode, policies::Stage::kSeccomp)) {
    return std::unexpected(Failure("exec failed: seccomp: " + reason, ENOTSUP));
  }
  settings.warn(container::DegradedText({.stage = "seccomp", .reason = reason}));
  return {};
}

// What create has told of the container already is not told again.
Result<> CheckExecProcess(const container::Settings& settings, const oci::State& state, const oci::Process& process,
                          const confine::Confinement& confinement, std::optional<oci::Mode> mode) {
  for (const oci::Degradation& degradation :
       TRY_IN("exec failed", Weigh(FindProcessDifferences(process, confinement), mode))) {
    const bool told = std::ranges::any_of(state.degradations, [&](const oci::Degradation& before) {
      return before.stage == degradation.stage && before.reason == degradation.reason;
    });
    if (!told) {
      settings.warn(container::DegradedText(degradation));
    }
  }
  return {};
}

Result<> RefuseOptions(const container::ExecOptions& options) {
  if (options.io.preserve_fds > 0) {
    return std::unexpected(
        Failure("exec failed: --preserve-fds: runsc passes no descriptors but the standard streams", ENOTSUP));
  }
  if (!options.cgroups.empty()) {
    return std::unexpected(Failure("exec failed: --cgroup: all of a sandbox is in one cgroup", ENOTSUP));
  }
  return {};
}

struct Planned {
  oci::Process process;
  confine::Confinement confinement;
};

Result<Planned> PlanExec(const container::Settings& settings, const container::ExecOptions& options,
                         const Opened& opened, const oci::Spec& spec) {
  Planned planned;
  planned.process = TRY(container::ExecProcess(options, spec));
  TRY(container::CheckTerminalOptions(planned.process.terminal, options.io));
  container::TakeCallersSize(options.io, planned.process);
  const policies::Policies kept = TRY(container::KeptPolicies(opened.directory, spec.annotations));
  const plan::Host host = TRY(container::ReadHost(false, container::AsksForLabels(spec.linux_, &planned.process)));
  policies::Policies policies = TRY(plan::WithModeDefaults(spec, kept, host));
  policies.landlock.reset();  // there is none inside; create has said so
  plan::ConfineByMode(kept.mode, planned.process);
  TRY(CheckExecFilter(settings, opened, spec, policies));
  std::vector<std::string> warnings;
  std::vector<oci::Degradation> degradations;
  planned.confinement =
      TRY(plan::PlanConfinement(planned.process, spec.linux_, host, warnings, degradations, policies));
  for (const std::string& warning : warnings) {
    settings.warn(warning);
  }
  TRY_IN("exec failed", CheckMapped(spec.linux_.uid_mappings, spec.linux_.gid_mappings, planned.confinement));
  TRY(CheckExecProcess(settings, opened.state, planned.process, planned.confinement, policies.mode));
  FillLimits(planned.confinement.rlimits);
  return planned;
}

}  // namespace

Result<container::Launched> Exec(const container::Settings& settings, const container::ExecOptions& options) {
  const Opened opened = TRY(OpenContainer(settings, options.id, false));
  TRY(MayBeSaid(options.ignore_paused ? Command::kExecIgnoringPause : Command::kExec, opened.status, options.id));
  if (opened.status != container::Status::kRunning) {
    return std::unexpected(
        Failure("exec failed: gVisor starts processes in a container that runs alone, not in one that is " +
                    std::string{container::StatusName(opened.status)},
                EBUSY));
  }
  TRY(RefuseOptions(options));
  const std::shared_ptr<const oci::Spec> spec = TRY(opened.directory.ReadSpec());
  const Planned planned = TRY(PlanExec(settings, options, opened, *spec));
  const ExecFiles files{opened.directory};
  TRY(WriteNew(opened.directory.fd(), files.Name(ExecFiles::kProcess),
               DeriveProcess(planned.process, planned.confinement)));
  // The last word on a flag counts.
  std::vector<std::string> arguments = opened.state.gvisor.flags;
  arguments.push_back("--log=" + files.Path(ExecFiles::kLogFile));
  arguments.insert(arguments.end(),
                   {"exec", "-detach", "-process", files.Path(ExecFiles::kProcess), "-pid-file",
                    files.Path(ExecFiles::kPid), "-internal-pid-file", files.Path(ExecFiles::kInside)});
  std::optional<ConsoleListener> console;
  if (planned.process.terminal) {
    console.emplace(TRY(ConsoleListener::Make(opened.directory.fd())));
    arguments.insert(arguments.end(), {"-console-socket", console->path()});
  }
  arguments.push_back(opened.state.gvisor.id);
  if (options.io.foreground && ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_CHILD_SUBREAPER"));
  }
  const Fd program = TRY(RunscOf(opened.state));
  const cgroup::Doors doors = TRY(cgroup::OpenDoors(opened.state.cgroups));
  if (!container::IsAlive(opened.state)) {
    return std::unexpected(NotRunning());
  }
  FAULT_POINT("exec.attach");
  const std::string own = OwnDirectory(opened.directory);
  std::vector<oci::Degradation> degradations;
  const Confinement confinement = TRY(MakeConfinement(
      {.part = Part::kClient, .mode = ModeOf(opened.state), .network = {}, .directory = own}, degradations));
  const Ended ended = TRY(RunToEnd({.program = program.get(),
                                    .arguments = std::move(arguments),
                                    .doors = &doors,
                                    .prepare = {},
                                    .directory = own,
                                    .confinement = &confinement,
                                    .streams = true},
                                   kStartMs));
  degradations.insert(degradations.end(), ended.degradations.begin(), ended.degradations.end());
  for (const oci::Degradation& degradation : degradations) {
    settings.warn(container::DegradedText(degradation));
  }
  if (ended.status != 0) {
    return std::unexpected(
        Failure("exec failed: unable to start container process: runsc: " +
                    InCallersWords(ErrorIn(opened.directory, files.Name(ExecFiles::kLogFile), ended.Said())),
                EIO));
  }
  container::Launched launched;
  launched.pid = TRY(files.Number(ExecFiles::kPid));
  // Of a detached one the caller's subreaper is the parent: it may have ended, and be gone, by now.
  if (options.io.foreground || !options.io.pidfd_socket.empty()) {
    launched.pidfd = TRY_IN("exec failed", sys::PidfdOpen(launched.pid));
  }
  const pid_t inside = TRY(files.Number(ExecFiles::kInside));
  launched.signal = [state = opened.state, inside, own](int signal) {
    (void)Ask(own, state,
              {.words = {"kill", "-pid", std::to_string(inside), state.gvisor.id, std::to_string(signal)},
               .timeout_ms = kKillMs});
  };
  if (console) {
    launched.console = TRY(console->Take());
    SetSize(launched.console.get(), planned.process.console_size);
    if (!options.io.foreground) {
      TRY(container::SendConsole(options.io.console_socket, launched.console.get()));
      launched.console.Reset();
    }
  }
  if (!options.io.pidfd_socket.empty()) {
    TRY(container::SendPidfd(options.io.pidfd_socket, launched.pidfd.get()));
  }
  TRY(container::WritePidFile(options.io.pid_file, launched.pid));
  return launched;
}

}  // namespace nucleus::gvisor
