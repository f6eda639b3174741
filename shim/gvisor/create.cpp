#include "shim/gvisor/create.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

#include "base/sha256.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/container/broker.h"
#include "runtime/container/bundle_plan.h"
#include "runtime/container/bundle_policies.h"
#include "runtime/container/degrade.h"
#include "runtime/container/evidence.h"
#include "runtime/container/hooks.h"
#include "runtime/container/net_helper.h"
#include "runtime/container/outputs.h"
#include "runtime/container/record.h"
#include "runtime/container/rollback.h"
#include "runtime/container/state_dir.h"
#include "runtime/container/verified_root.h"
#include "runtime/evidence/event_log.h"
#include "runtime/evidence/readback.h"
#include "runtime/net/request.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"
#include "shim/gvisor/confine.h"
#include "shim/gvisor/console.h"
#include "shim/gvisor/control.h"
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

using container::Record;
using container::TellFailure;

// A sandbox is there within a second; a host under load may take its time.
constexpr int kCreateMs = 60000;

// Below the state directory.
std::string Below(const char* name) {
  return std::string{container::kGvisorDirectory} + "/" + name;
}

class Creation {
 public:
  Creation(const container::Settings& settings, const container::CreateOptions& options, container::Bundle bundle,
           bool start)
      : settings_(settings), options_(options), start_(start), bundle_(std::move(bundle)) {
    // The manager's socket is the host's; nobody inside could speak to it.
    settings_.notify_socket.clear();
  }

  Result<container::Launched> Run() {
    Result<container::Launched> made = Make();
    if (!made) {
      TellFailure(settings_, options_.id, stage_, made.error(), making_ ? "failed" : "refused");
    }
    return made;
  }

 private:
  void EnterStage(const char* stage) {
    stage_ = stage;
    container::Enter(settings_, stage);
  }

  Result<container::Launched> Make() {
    const bool terminal = bundle_.spec->process && bundle_.spec->process->terminal;
    TRY(container::CheckTerminalOptions(terminal, options_.io));
    EnterStage("plan");
    TRY(MakePlan());
    EnterStage("rootfs");
    root_ = TRY(container::VerifyRoot(plan_, bundle_.policies));
    EnterStage("create");
    making_ = true;
    Result<container::Launched> made = MakeContainer();
    if (!made && hooks_ran_) {
      rollback_.Undo();
      state_.pid = 0;
      for (const Error& error :
           container::RunHooksToTheEnd("poststop", plan_.hooks.poststop, oci::FormatOciState(state_, "stopped"))) {
        settings_.warn(error.message);
      }
    }
    return made;
  }

  Result<> MakePlan() {
    TRY(CheckManager(settings_));
    container::BundlePlan planned = TRY(container::PlanBundle(settings_, options_, bundle_));
    host_ = std::move(planned.host);
    plan_ = std::move(planned.plan);
    TRY(CheckCaller(settings_, host_, plan_));
    runsc_ = TRY(FindRunsc(bundle_.annotations.gvisor_runsc, bundle_.path));
    const Checked checked = TRY(CheckBundle(bundle_, plan_, runsc_, options_));
    if (plan_.process) {
      container::TakeCallersSize(options_.io, *plan_.process);
    }
    FillLimits(plan_.confinement.rlimits);
    for (const std::string& warning : plan_.warnings) {
      settings_.warn(warning);
    }
    for (const oci::Degradation& degradation : plan_.degradations) {
      Record(settings_.warn, degradation, state_);
    }
    for (const oci::Degradation& degradation : checked.degradations) {
      Record(settings_.warn, degradation, state_);
    }
    return {};
  }

  Result<> MakeStateDir() {
    directory_.emplace(TRY(container::StateDir::Make(settings_.root, options_.id)));
    rollback_.Push([this] { (void)directory_->Remove(); });
    FAULT_POINT("create.state-dir");
    state_.oci_version = bundle_.spec->oci_version;
    state_.id = options_.id;
    state_.bundle = bundle_.path;
    state_.rootfs = plan_.rootfs.path;
    state_.created = container::Now();
    state_.owner = ::geteuid();
    state_.keyring = false;
    state_.annotations = bundle_.spec->annotations;
    const struct stat status = TRY(sys::Fstat(runsc_.file.get(), runsc_.path));
    state_.gvisor.id = SandboxId(directory_->path(), state_.created);
    state_.gvisor.version = runsc_.abilities.version;
    state_.gvisor.device = status.st_dev;
    state_.gvisor.inode = status.st_ino;
    state_.gvisor.flags = SandboxFlags(bundle_.annotations, plan_, runsc_.abilities, directory_->path());
    FAULT_POINT("create.config-copy");
    TRY(directory_->WriteFile(container::kConfigFile, bundle_.text));
    directory_->RememberSpec(bundle_.spec);
    TRY(container::KeepPolicies(*directory_, bundle_.policies));
    for (const std::string& path : {std::string{container::kGvisorDirectory}, Below(kBundle), Below(kRoot)}) {
      if (::mkdirat(directory_->fd(), path.c_str(), 0700) != 0) {
        return std::unexpected(SysError("mkdir", directory_->path() + "/" + path));
      }
    }
    return {};
  }

  Result<> MakeCgroups() {
    state_.cgroups = plan_.cgroups;
    rollback_.Push([this] {
      (void)cgroup::KillAll(state_.cgroups);
      (void)cgroup::Remove(state_.cgroups);
    });
    oci::State announced = state_;
    for (oci::StateCgroup& cgroup : announced.cgroups) {
      cgroup.created = ::access(cgroup.path.c_str(), F_OK) != 0;
    }
    TRY(directory_->WriteState(announced));
    FAULT_POINT("create.cgroup-make");
    // Not to be done without, whatever the mode: they are how all of a sandbox's processes are found again.
    TRY(cgroup::Create(host_.cgroups, state_.cgroups, !bundle_.spec->linux_.cgroups_path.empty()));
    if (const Result<> limited = ApplyLimits(); !limited) {
      if (!plan_.MayDegrade(policies::Stage::kCgroup)) {
        return limited;
      }
      Record(settings_.warn, {.stage = "cgroup", .reason = limited.error().message}, state_);
    }
    return {};
  }

  Result<> ApplyLimits() {
    FAULT_POINT("create.cgroup-limits");
    std::vector<std::string> warnings;
    TRY(cgroup::Apply(host_.cgroups, state_.cgroups, plan_.resources, warnings));
    for (const std::string& warning : warnings) {
      settings_.warn(warning);
    }
    return {};
  }

  // Before runsc is started: the rules are there before anything that they are for.
  Result<> MakeNetwork() {
    if (bundle_.annotations.gvisor_network == oci::GvisorNetwork::kNone) {
      return CheckNamespaces(plan_);
    }
    netns_ = TRY(PrepareNamespace(bundle_.annotations, plan_));
    if (!plan_.network) {
      return {};
    }
    TRY(container::WriteNetworkFiles(*directory_, plan_, {}));
    if (plan_.network->names && HasStack(state_)) {
      TRY(directory_->WriteFile(net::kResolvConf,
                                "nameserver " + std::string{net::kGateBesideStack} + "\noptions edns0 timeout:3\n"));
      // For every user of the container, as before.
      if (::fchmodat(directory_->fd(), net::kResolvConf, 0644, 0) != 0) {
        return std::unexpected(SysError("chmod", net::kResolvConf));
      }
    }
    const cgroup::Doors doors = TRY(cgroup::OpenDoors(state_.cgroups));
    keeper_.emplace(TRY(Keeper::Start(doors)));
    int events = -1;
    std::string told;
    if (settings_.events != nullptr) {
      told = settings_.events->Inherit(net::kHelperEvents, events);
    }
    net_helper_.emplace(TRY(container::NetHelper::Launch(-1, events)));
    rollback_.Push([this] {
      keeper_.reset();
      net_helper_.reset();
      (void)container::TakeNetworkAway(state_);
    });
    net::HelperRequest request = TRY(container::SetupRequest(settings_, plan_, bundle_, host_, *directory_));
    request.events = told;
    request.own_stack = HasStack(state_);
    TRY(net_helper_->Ask(request));
    state_.network = container::PlannedNetwork(plan_);
    const auto save = [this] { return directory_->WriteState(state_); };
    TRY(save());
    TRY(container::HandOverNetwork(*net_helper_,
                                   {.netns = netns_.get(), .userns = -1, .init = keeper_->pidfd(), .rootless = false}));
    TRY(container::AdmitUplink(*net_helper_, state_, save));
    return container::CompleteNetwork(*net_helper_, state_, save);
  }

  // One run of runsc does both where nothing has to happen in between. A terminal gets its size there: a program that
  // asks at once would be told of none.
  [[nodiscard]] bool StartsAtOnce() const {
    const bool terminal = plan_.process && plan_.process->terminal;
    return start_ && !terminal && !plan_.deny_uplinks && plan_.hooks.prestart.empty() &&
           plan_.hooks.create_runtime.empty();
  }

  Result<> LaunchSandbox() {
    const std::string own = directory_->path() + "/" + container::kGvisorDirectory;
    Fd directory;
    if (!root_.tree) {
      directory = TRY_IN("root.path", sys::Open(plan_.rootfs.path, O_PATH | O_DIRECTORY));
    }
    const Places places =
        PlacesIn(plan_.rootfs, root_.tree ? root_.tree.get() : directory.get(), static_cast<bool>(netns_));
    const OwnRoot own_root{.directory = own,
                           .program = runsc_.file.get(),
                           .netns = netns_ ? netns_.get() : -1,
                           .kvm = bundle_.annotations.gvisor_platform == oci::GvisorPlatform::kKvm,
                           .hides_net_sysctls = HasStack(state_),
                           .pivot = plan_.rootfs.pivot};
    std::vector<oci::Degradation> degradations;
    confinement_ = TRY(MakeConfinement(
        {.part = Part::kSandbox, .mode = bundle_.annotations.mode, .network = bundle_.annotations.gvisor_network},
        degradations));
    const oci::Seccomp* filter =
        container::IsDegraded(state_, policies::Stage::kSeccomp) && !plan_.policy_seccomp ? nullptr : FilterOf(plan_);
    TRY(WriteNew(directory_->fd(), Below(kBundle) + "/config.json", DeriveConfig(plan_, filter, places)));
    std::vector<std::string> arguments = state_.gvisor.flags;
    arguments.emplace_back(StartsAtOnce() ? "run" : "create");
    if (StartsAtOnce()) {
      arguments.emplace_back("-detach");
    }
    arguments.insert(arguments.end(), {"-bundle", own + "/" + kBundle, "-pid-file", own + "/" + kPidFile});
    std::optional<ConsoleListener> console;
    if (plan_.process && plan_.process->terminal) {
      console.emplace(TRY(ConsoleListener::Make(directory_->fd())));
      arguments.insert(arguments.end(), {"-console-socket", console->path()});
    }
    arguments.push_back(state_.gvisor.id);
    const cgroup::Doors doors = TRY(cgroup::OpenDoors(state_.cgroups));
    FAULT_POINT("create.clone");
    const Result<Ended> ended =
        RunToEnd({.program = runsc_.file.get(),
                  .arguments = std::move(arguments),
                  .doors = &doors,
                  .prepare = [&] { return Stage(own_root, plan_.rootfs, places, std::move(root_)); },
                  .directory = own,
                  .confinement = &confinement_,
                  .streams = true},
                 kCreateMs);
    if (!ended) {
      return std::unexpected(ended.error());
    }
    degradations.insert(degradations.end(), ended->degradations.begin(), ended->degradations.end());
    for (const oci::Degradation& degradation : degradations) {
      Record(settings_.warn, degradation, state_);
    }
    if (ended->status != 0) {
      if (cgroup::WasOomKilled(state_.cgroups).value_or(false)) {
        return std::unexpected(Failure("container init was OOM-killed (memory limit too low?)", ENOMEM));
      }
      return std::unexpected(Failure("unable to start container process: runsc: " +
                                         InCallersWords(ErrorIn(*directory_, Below(kLog), ended->Said())),
                                     EIO));
    }
    root_ = {};
    return console ? TakeConsole(*console) : Result<>{};
  }

  Result<> TakeConsole(ConsoleListener& listener) {
    FAULT_POINT("create.console-send");
    console_ = TRY(listener.Take());
    SetSize(console_.get(), plan_.process->console_size);
    if (!options_.io.foreground) {
      TRY(container::SendConsole(options_.io.console_socket, console_.get()));
      console_.Reset();
    }
    return {};
  }

  // From here on a crash of this command leaves a process that the state names.
  Result<> SaveProcess() {
    const std::string text = TRY(directory_->ReadFile(Below(kPidFile).c_str()));
    state_.pid = TRY_IN("the sandbox", ParsePid(text));
    pidfd_ = TRY_IN("the sandbox's process", sys::PidfdOpen(state_.pid));
    // Nobody may have waited for it yet. Where it has been let run it may have done what it was for.
    if (!StartsAtOnce() && TRY(sys::PidfdWait(pidfd_.get(), 0))) {
      return std::unexpected(Failure("the sandbox's process has ended", ECHILD));
    }
    state_.start_time = TRY(sys::ReadProcessStat(state_.pid)).start_time;
    if (keeper_) {
      TRY(keeper_->Follow(pidfd_.get()));
    }
    return directory_->WriteState(state_);
  }

  Result<> RunRuntimeHooks() {
    hooks_ran_ = true;
    FAULT_POINT("create.runtime-hooks");
    const std::string state = oci::FormatOciState(state_, "creating");
    TRY(container::RunHooks("prestart", plan_.hooks.prestart, state));
    return container::RunHooks("createRuntime", plan_.hooks.create_runtime, state);
  }

  void Gather() {
    if (!container::WantsEvidence(settings_, state_.annotations)) {
      return;
    }
    oci::StringMap& out = state_.evidence;
    out["read"] = "created";
    out["config"] = "sha256:" + Sha256Hex(bundle_.text);
    for (const policies::Document& document : bundle_.policies.documents) {
      out["policy." + document.kind] = "sha256:" + document.file.digest;
    }
    if (bundle_.policies.rootfs_manifest) {
      out["manifest"] = "sha256:" + bundle_.policies.rootfs_manifest->file.digest;
    }
    if (const auto mode = state_.annotations.find("dev.nucleus.mode"); mode != state_.annotations.end()) {
      out["mode"] = mode->second;
    }
    out["gvisor.runsc"] = runsc_.path + "@sha256:" + runsc_.digest;
    out["gvisor.version"] = runsc_.abilities.version;
    TellConfinement(confinement_, state_, out);
    evidence::ReadCgroups(state_.cgroups, out);
  }

  Result<container::Launched> MakeContainer() {
    if (options_.io.foreground && ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
      // The sandbox's end is this process's to see, once runsc has made it and gone.
      return std::unexpected(SysError("prctl", "PR_SET_CHILD_SUBREAPER"));
    }
    TRY(MakeStateDir());
    TRY(MakeCgroups());
    TRY(MakeNetwork());
    TRY(LaunchSandbox());
    TRY(SaveProcess());
    net_helper_.reset();  // it has had the time to end
    TRY(RunRuntimeHooks());
    state_.phase = oci::Phase::kCreated;
    Gather();
    FAULT_POINT("create.save-state");
    TRY(directory_->WriteState(state_));
    FAULT_POINT("create.pid-file");
    if (!options_.io.pidfd_socket.empty()) {
      TRY(container::SendPidfd(options_.io.pidfd_socket, pidfd_.get()));
    }
    TRY(container::WritePidFile(options_.io.pid_file, state_.pid));
    TRY(container::TellCreated(settings_, state_));
    container::Launched launched{.pid = state_.pid, .pidfd = std::move(pidfd_), .console = std::move(console_)};
    launched.signal = [settings = settings_, id = options_.id](int signal) {
      if (const Result<> sent = gvisor::Kill(settings, id, signal, false); !sent) {
        settings.warn(sent.error().message);
      }
    };
    if (start_) {
      EnterStage("start");
      // Still locked, and undone whole where it fails.
      TRY(StartOpened(settings_, *directory_, *bundle_.spec, state_, StartsAtOnce()));
    }
    rollback_.Commit();
    return launched;
  }

  container::Settings settings_;
  const container::CreateOptions& options_;
  const bool start_;
  container::Bundle bundle_;
  plan::Host host_;
  plan::Plan plan_;
  Runsc runsc_;
  rootfs::VerifiedRoot root_;
  std::optional<container::StateDir> directory_;
  oci::State state_;
  bool hooks_ran_ = false;
  const char* stage_ = "bundle";
  bool making_ = false;
  Confinement confinement_;
  Fd netns_;
  std::optional<Keeper> keeper_;
  std::optional<container::NetHelper> net_helper_;
  Fd pidfd_;
  Fd console_;
  container::Rollback rollback_;
};

}  // namespace

Result<container::Launched> Create(const container::Settings& settings, const container::CreateOptions& options,
                                   container::Bundle bundle, bool start) {
  return Creation{settings, options, std::move(bundle), start}.Run();
}

}  // namespace nucleus::gvisor
