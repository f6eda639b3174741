// create: from a bundle to a process that waits before execve.

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "base/sha256.h"
#include "runtime/confine/seccomp_join.h"
#include "runtime/confine/seccomp_trace.h"
#include "runtime/container/broker.h"
#include "runtime/container/bundle.h"
#include "runtime/container/bundle_plan.h"
#include "runtime/container/bundle_policies.h"
#include "runtime/container/channel.h"
#include "runtime/container/child.h"
#include "runtime/container/container.h"
#include "runtime/container/degrade.h"
#include "runtime/container/evidence.h"
#include "runtime/container/filter_cache.h"
#include "runtime/container/hooks.h"
#include "runtime/container/net_helper.h"
#include "runtime/container/outputs.h"
#include "runtime/container/ready_rules.h"
#include "runtime/container/record.h"
#include "runtime/container/rollback.h"
#include "runtime/container/scope_unit.h"
#include "runtime/container/spawn.h"
#include "runtime/container/start.h"
#include "runtime/container/state_dir.h"
#include "runtime/container/tracing.h"
#include "runtime/container/user_namespace.h"
#include "runtime/container/verified_root.h"
#include "runtime/evidence/event_log.h"
#include "runtime/net/devices.h"
#include "runtime/plan/cgroup_owner.h"
#include "runtime/resctrl/resctrl.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

Result<Fd> ListenForStart(const StateDir& directory) {
  FAULT_POINT("create.start-socket");
  Fd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
  if (!socket) {
    return std::unexpected(SysError("socket", ""));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // Through the descriptor: the state directory's path may be longer than an address can hold.
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory.fd(), kStartSocket);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 1) != 0) {
    return std::unexpected(SysError("bind", directory.path() + "/" + kStartSocket));
  }
  return socket;
}

// What config.json and the policy say, joined.
Result<confine::SeccompProgram> CompilePolicies(const plan::Plan& plan, const Bundle& bundle) {
  FAULT_POINT("create.seccomp-compile");
  confine::SeccompProgram own;
  if (plan.seccomp) {
    own = TRY_IN("linux.seccomp", CompileCached(FilterCacheDirectory(), *plan.seccomp));
  }
  if (!plan.policy_seccomp && !bundle.policy_filter) {
    return own;
  }
  confine::SeccompProgram policy =
      bundle.policy_filter
          ? *bundle.policy_filter
          : TRY_IN("annotations[\"dev.nucleus.policy.seccomp\"]",
                   CompilePolicy(FilterCacheDirectory(), SeccompPolicyDigest(bundle.policies), *plan.policy_seccomp));
  return plan.seccomp ? confine::JoinFilters(own, policy) : Result<confine::SeccompProgram>{std::move(policy)};
}

Result<confine::SeccompProgram> CompileFilters(const plan::Plan& plan, const Bundle& bundle) {
  confine::SeccompProgram policies = TRY(CompilePolicies(plan, bundle));
  return plan.traced ? confine::WithTrace(std::move(policies)) : Result<confine::SeccompProgram>{std::move(policies)};
}

// A container that waits for `start`, still locked.
struct Created {
  Launched process;
  Opened container;
  // Of one that does not stay: it ends while the container starts, and is waited for last.
  std::optional<NetHelper> net_helper;
};

class Creation {
 public:
  Creation(const Settings& settings, const CreateOptions& options, Bundle bundle, bool start_follows)
      : settings_(settings), options_(options), start_follows_(start_follows), bundle_(std::move(bundle)) {
  }

  Result<Created> Run() {
    Result<Created> created = Make();
    if (!created) {
      TellFailure(settings_, options_.id, stage_, created.error(), making_ ? "failed" : "refused");
    }
    return created;
  }

 private:
  void EnterStage(const char* stage) {
    stage_ = stage;
    Enter(settings_, stage);
  }

  Result<Created> Make() {
    const bool terminal = bundle_.spec->process && bundle_.spec->process->terminal;
    TRY(CheckTerminalOptions(terminal, options_.io));
    TRY(LaunchNetHelper());
    EnterStage("plan");
    TRY(MakePlan());
    EnterStage("rootfs");
    // Before anything is made, and before the lock: it may take its time.
    root_ = TRY(VerifyRoot(plan_, bundle_.policies));
    EnterStage("create");
    making_ = true;
    Result<Created> created = MakeContainer();
    if (!created && hooks_ran_) {
      // The runtime's promise to the hooks that ran: poststop runs as well.
      rollback_.Undo();
      RunPoststop();
    }
    return created;
  }

  Result<> MakePlan() {
    trace_file_ = TRY(TraceFileOf(options_, bundle_.annotations));
    BundlePlan planned = TRY(PlanBundle(settings_, options_, bundle_));
    host_ = std::move(planned.host);
    plan_ = std::move(planned.plan);
    if (plan_.process) {
      TakeCallersSize(options_.io, *plan_.process);
    }
    if (plan_.network && plan_.network->broker && plan_.process) {
      broker_token_ = TRY(NewBrokerToken());
      AddBrokerVariables(*plan_.network->broker, broker_token_, plan_.process->env);
    }
    for (const std::string& warning : plan_.warnings) {
      settings_.warn(warning);
    }
    for (const oci::Degradation& degradation : plan_.degradations) {
      Record(settings_.warn, degradation, state_);
    }
    return {};
  }

  Result<> MakeStateDir() {
    directory_.emplace(TRY(StateDir::Make(settings_.root, options_.id)));
    rollback_.Push([this] { (void)directory_->Remove(); });
    FAULT_POINT("create.state-dir");
    state_.oci_version = bundle_.spec->oci_version;
    state_.id = options_.id;
    state_.bundle = bundle_.path;
    state_.rootfs = plan_.rootfs.path;
    state_.created = Now();
    state_.owner = ::geteuid();
    state_.init = plan_.init;
    state_.keyring = !options_.no_new_keyring;
    state_.annotations = bundle_.spec->annotations;
    if (plan_.notify) {
      TRY(directory_->MakeDirectory(kNotifyDirectory));
    }
    FAULT_POINT("create.config-copy");
    TRY(directory_->WriteNew(kConfigFile, bundle_.text));
    directory_->RememberSpec(bundle_.spec);
    if (plan_.network) {
      TRY(WriteNetworkFiles(*directory_, plan_, broker_token_));
    }
    return {};
  }

  // It gets itself ready while the rest is read and planned. Not where there is nothing to do for it.
  Result<> LaunchNetHelper() {
    const oci::Annotations& annotations = bundle_.annotations;
    rules_place_ = PlaceOfRules(bundle_);
    if (rules_place_) {
      ready_rules_ = FindRules(*rules_place_);
    }
    if (ready_rules_) {
      return {};
    }
    if (annotations.egress_policy || annotations.network == oci::NetworkMode::kBridge ||
        annotations.network == oci::NetworkMode::kUserspace) {
      int events = -1;
      if (settings_.events != nullptr) {
        helper_events_ = settings_.events->Inherit(net::kHelperEvents, events);
      }
      net_helper_.emplace(TRY(NetHelper::Launch(-1, events)));
    }
    return {};
  }

  Result<> AskNetHelper() {
    if (!plan_.network) {
      net_helper_.reset();
      return {};
    }
    if (ready_rules_) {
      loads_rules_ = MayLoadRules();
      return {};  // they go with the namespace
    }
    if (!net_helper_) {
      return std::unexpected(Failure("network: nucleus-net was not started", EPROTO));
    }
    net::HelperRequest request = TRY(SetupRequest(settings_, plan_, bundle_, host_, *directory_));
    request.events = helper_events_;
    if (rules_place_) {
      request.image_directory = rules_place_->directory;
      request.image_key = rules_place_->key;
    }
    rollback_.Push([this] {
      net_helper_.reset();
      (void)TakeNetworkAway(state_);
    });
    return net_helper_->Ask(request);
  }

  // The init is in all its namespaces, and nothing else has happened in them: its first words are these. The network is
  // made while it builds its root.
  Result<> BeginNetwork() {
    if (ready_rules_) {
      FAULT_POINT("create.net-setup");
      return loads_rules_ ? LoadReadyRules() : Result<>{};
    }
    if (!net_helper_) {
      return {};
    }
    std::array<Fd, 2> namespaces;  // network, user
    for (Fd& entry : namespaces) {
      Message message = TRY(ReceiveFromChild());
      if (message.tag != Tag::kNetwork) {
        return std::unexpected(Failure("the container's init has not shown its network namespace", EPROTO));
      }
      entry = std::move(message.fd);
    }
    return HandOverNetwork(*net_helper_, {.netns = namespaces[0].get(),
                                          .userns = namespaces[1].get(),
                                          .init = spawned_.pidfd.get(),
                                          .rootless = host_.rootless()});
  }

  // Before anything that is not ours may run in it: a hook, a link that is moved there, the workload.
  Result<> AwaitNetwork() {
    if (ready_rules_) {
      FAULT_POINT("create.net-ready");
      // Its word came before any that leads here.
      return rules_loaded_ ? Result<>{}
                           : std::unexpected(Failure("egress: the container's init has not loaded the rules", EPROTO));
    }
    if (!net_helper_ || network_made_) {
      return {};
    }
    network_made_ = true;
    return CompleteNetwork(*net_helper_, state_, [this] { return directory_->WriteState(state_); });
  }

  [[nodiscard]] bool NetworkComesFirst() const {
    return !plan_.hooks.prestart.empty() || !plan_.hooks.create_runtime.empty() ||
           !plan_.hooks.create_container.empty() || !plan_.net_devices.empty();
  }

  // Before there is anything to trace; it ends with the last process that may send it something.
  Result<> StartTracer() {
    if (trace_file_.empty() || !plan_.process) {
      return {};
    }
    const char* asked_by =
        options_.seccomp_trace.empty() ? "annotations[\"dev.nucleus.seccomp.trace\"]" : "--seccomp-trace";
    tracing_ =
        TRY_IN(asked_by, LaunchTracer(*directory_, trace_file_, options_.id, Sha256Hex(bundle_.text), options_.learn));
    state_.tracer = tracing_.tracer;
    rollback_.Push([this] {
      tracing_.init.Reset();
      (void)StopTracer(state_);
    });
    FAULT_POINT("create.tracer");
    return {};
  }

  // The cgroups of v1 are made while the init builds its root, and it moves itself there before it mounts any and
  // before anything of the bundle runs. That takes the host's paths and rights: not where it joins a mount namespace or
  // is in a user namespace. v2's is made first in any case: the init is born in it.
  [[nodiscard]] bool CgroupsComeFirst() const {
    const bool v1 = std::ranges::any_of(plan_.cgroups, [](const auto& cgroup) { return !cgroup.hierarchy.empty(); });
    return !v1 || host_.rootless() || plan_.namespaces.Has(CLONE_NEWUSER) || !plan_.namespaces.Creates(CLONE_NEWNS);
  }

  // On disk before they are there: a crash of this command must not leave what `delete` does not know.
  Result<> AnnounceCgroups() {
    oci::State announced = state_;
    for (oci::StateCgroup& cgroup : announced.cgroups) {
      cgroup.created = ::access(cgroup.path.c_str(), F_OK) != 0;
    }
    return directory_->WriteState(announced);
  }

  // Where the mode goes on without, the container has none; but v2's on a hybrid host, where the init was born.
  Result<> OrWithoutCgroups(const Result<>& made) {
    if (made || !plan_.MayDegrade(policies::Stage::kCgroup)) {
      return made;
    }
    (void)cgroup::Remove(state_.cgroups);
    std::erase_if(state_.cgroups,
                  [](const oci::StateCgroup& cgroup) { return ::access(cgroup.path.c_str(), F_OK) != 0; });
    Record(settings_.warn, {.stage = "cgroup", .reason = made.error().message}, state_);
    return {};
  }

  Result<> MakeUnifiedCgroup() {
    for (oci::StateCgroup& cgroup : state_.cgroups) {
      if (cgroup.hierarchy.empty()) {
        std::vector<oci::StateCgroup> alone = {cgroup};
        TRY(cgroup::Create(host_.cgroups, alone, true));
        cgroup = alone[0];
      }
    }
    return {};
  }

  Result<> MakeAllCgroups() {
    FAULT_POINT("create.cgroup-make");
    return cgroup::Create(host_.cgroups, state_.cgroups, !bundle_.spec->linux_.cgroups_path.empty());
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

  Result<> MakeCgroups() {
    if (state_.cgroups.empty()) {
      return {};
    }
    TRY(OrWithoutCgroups(MakeAllCgroups()));
    if (IsDegraded(state_, policies::Stage::kCgroup)) {
      return {};
    }
    if (const Result<> applied = ApplyLimits(); !applied) {
      if (!plan_.MayDegrade(policies::Stage::kCgroup)) {
        return applied;
      }
      // The container can still be stopped and counted by its cgroups: they stay.
      Record(settings_.warn, {.stage = "cgroup", .reason = applied.error().message}, state_);
    }
    const std::optional<uid_t> owner = plan::CgroupOwner(plan_);
    return owner && !host_.rootless() ? cgroup::Delegate(host_.cgroups, state_.cgroups, *owner) : Result<>{};
  }

  Result<> MakeResctrlGroup() {
    if (!plan_.intel_rdt) {
      return {};
    }
    const std::string mount = TRY(resctrl::ReadMount());
    state_.resctrl = TRY(resctrl::Create(mount, *plan_.intel_rdt, options_.id));
    rollback_.Push([this] { (void)resctrl::Remove(state_.resctrl); });
    return {};
  }

  Result<> Clone() {
    start_listener_ = TRY(ListenForStart(*directory_));
    Fd child_channel;
    TRY(sys::SocketPair(channel_, child_channel));
    std::vector<Fd> joins = TRY(OpenJoins(plan_.namespaces));
    TRY_IN("config.json", CheckJoinedSysctls(plan_, joins));
    TRY_IN("config.json", CheckJoinedNetwork(plan_, joins));
    TRY_IN("config.json", CheckOwnNamespaces(plan_, joins));
    if (plan_.process && plan_.confinement.has_seccomp) {
      if (!FilterIsReady()) {
        program_ = TRY(confine::SharedProgram::Create());
      }
    }
    std::vector<Fd> sources = TRY(OpenIdmappedSources(plan_));
    TakeMadeSources(root_, sources);
    std::vector<oci::StateCgroup> enter = state_.cgroups;
    if (!CgroupsComeFirst()) {
      std::erase_if(enter, [](const oci::StateCgroup& cgroup) { return !cgroup.hierarchy.empty(); });
    }
    const cgroup::Doors doors = TRY(cgroup::OpenDoors(enter));
    FAULT_POINT("create.clone");
    spawned_ = TRY(Spawn(plan_.namespaces, std::move(joins), doors.v2.get(), [&](std::vector<Fd> left) {
      if (const Result<> entered = cgroup::Enter(doors); !entered) {
        FailChild(child_channel.get(), entered.error());
      }
      ChildInput input{.plan = &plan_,
                       .cgroup_host = &host_.cgroups,
                       .joins = std::move(left),
                       .sources = std::move(sources),
                       .root = std::move(root_),
                       .rules = plan_.network && ready_rules_ && !loads_rules_ ? &*ready_rules_ : nullptr,
                       .show_network = plan_.network && !ready_rules_,
                       .channel = child_channel.get(),
                       .start_listener = start_listener_.get(),
                       .filter = FilterIsReady() ? bundle_.policy_filter.get() : nullptr,
                       .program = program_.get(),
                       .tracer = tracing_.init.get(),
                       .preserve_fds = options_.io.preserve_fds,
                       .enter_v1_cgroups = !CgroupsComeFirst(),
                       .await_scope = plan_.scope.has_value(),
                       .state = state_};
      RunChild(input);
    }));
    tracing_.init.Reset();
    rollback_.Push([this] {
      (void)sys::PidfdSendSignal(spawned_.pidfd.get(), SIGKILL);
      while (::waitpid(spawned_.pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    });
    return {};
  }

  // From here a crash of this command leaves a process that the state names.
  Result<> SaveProcess() {
    state_.pid = spawned_.pid;
    state_.start_time = TRY(sys::ReadProcessStat(spawned_.pid)).start_time;
    return directory_->WriteState(state_);
  }

  // systemd makes a scope around a process that is there. The init waits for it before its first step.
  Result<> EnterScope() {
    FAULT_POINT("create.systemd-unit");
    const std::string path = TRY(StartUnit(*plan_.scope, host_.cgroups.unified(), spawned_.pid, state_.systemd));
    state_.cgroups = cgroup::At(host_.cgroups, path);
    TRY(directory_->WriteState(state_));
    TRY(MakeCgroups());
    TRY(cgroup::Attach(state_.cgroups, spawned_.pid));
    return Send(channel_.get(), Tag::kGo, path);
  }

  // The init asks for this before it runs anything of the bundle; without an answer it ends.
  Result<> OpenGate(const Message& request) {
    if (ready_rules_ && !rules_loaded_ && !request.text.empty()) {
      net::LoadedTable loaded{.handle = 0, .rules = ready_rules_->rules, .elements = ready_rules_->elements};
      std::from_chars(request.text.data(), request.text.data() + request.text.size(), loaded.handle);
      NoteRules(loaded);
    }
    if (net_helper_) {
      TRY(AdmitUplink(*net_helper_, state_, [this] { return directory_->WriteState(state_); }));
    }
    if (NetworkComesFirst()) {
      TRY(AwaitNetwork());
    }
    TRY(GiveNetDevices());
    const bool v1 = std::ranges::any_of(state_.cgroups, [](const auto& cgroup) { return !cgroup.hierarchy.empty(); });
    return Send(channel_.get(), Tag::kGo, std::to_string(spawned_.pid), v1 ? 0 : kWithoutV1);
  }

  Result<> MapIds() {
    if (SaysWhenMappable(state_)) {
      const Message request = TRY(ReceiveFromChild());
      if (request.tag != Tag::kUserNamespace) {
        return std::unexpected(Failure("unexpected message from the container's init", EPROTO));
      }
    }
    FAULT_POINT("create.id-maps");
    TRY(WriteIdMappings(spawned_.pid, plan_));
    TRY(SetOomScore());
    return Send(channel_.get(), Tag::kGo);
  }

  // Where the init has ended already, why: that led to `error`.
  Error WordOfChild(Error error) {
    pollfd ready{.fd = channel_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 0) == 1) {
      if (Result<Message> message = ReceiveFromChild(); !message) {
        return std::move(message).error();
      }
    }
    return error;
  }

  // While the child builds its root: everything that the runtime has to do about it.
  Result<> ServeChild() {
    // A process that is born in its cgroup is found by it; where v1's are made now, the init needs them first.
    if (CgroupsComeFirst()) {
      TRY(SaveProcess());
    }
    if (plan_.scope) {
      TRY(EnterScope());
    }
    if (plan_.namespaces.Creates(CLONE_NEWUSER)) {
      if (Result<> mapped = MapIds(); !mapped) {
        return std::unexpected(WordOfChild(std::move(mapped).error()));
      }
    }
    TRY(BeginNetwork());
    if (!CgroupsComeFirst()) {
      TRY(MakeCgroups());
    }
    FAULT_POINT("create.cgroup-attach");
    if (plan_.intel_rdt) {
      TRY(resctrl::Attach(state_.resctrl, spawned_.pid));
    }
    if (!plan_.namespaces.Creates(CLONE_NEWUSER)) {
      TRY(SetOomScore());
    }
    // Behind the gate hooks of the bundle may run: all of its limits come first. It waits there by now.
    if (!CgroupsComeFirst()) {
      const Message request = TRY(ReceiveFromChild());
      if (request.tag != Tag::kCgroup) {
        return std::unexpected(Failure("unexpected message from the container's init", EPROTO));
      }
      TRY(OpenGate(request));
      TRY(SaveProcess());
    }
    // For `exec`, which nobody can ask for before this container is created.
    TRY(plan_.process && plan_.confinement.has_seccomp ? PassFilters() : KeepPolicies(*directory_, bundle_.policies));
    for (;;) {
      Message message = TRY(ReceiveFromChild());
      switch (message.tag) {
        case Tag::kCgroup:
          TRY(OpenGate(message));
          break;
        case Tag::kRuntimeHooks:
          TRY(RunRuntimeHooks());
          TRY(Send(channel_.get(), Tag::kGo));
          break;
        case Tag::kConsole:
          FAULT_POINT("create.console-send");
          if (options_.io.foreground) {
            console_ = std::move(message.fd);
          } else {
            TRY(SendConsole(options_.io.console_socket, message.fd.get()));
          }
          break;
        case Tag::kWarning:
          settings_.warn(message.text);
          break;
        case Tag::kDegraded:
          Record(settings_.warn, TakeDegradation(message), state_);
          break;
        case Tag::kReady:
          return AwaitNetwork();
        default:
          return std::unexpected(Failure("unexpected message from the container's init", EPROTO));
      }
    }
  }

  // The very program that PassFilters will find, and nothing that could still go wrong: the init has it from its birth.
  [[nodiscard]] bool FilterIsReady() const {
    return bundle_.policy_filter && !plan_.seccomp && !plan_.traced && !plan_.MayDegrade(policies::Stage::kSeccomp);
  }

  Result<> PassFilters() {
    const Result<confine::SeccompProgram> program = CompileFilters(plan_, bundle_);
    if (!program && plan_.MayDegrade(policies::Stage::kSeccomp)) {
      Record(settings_.warn, {.stage = "seccomp", .reason = program.error().message}, state_);
      return KeepPolicies(*directory_, bundle_.policies);
    }
    if (!program) {
      return std::unexpected(program.error());
    }
    if (program_) {
      TRY(program_->Set(*program));
    }
    if (WantsEvidence(settings_, state_.annotations)) {
      state_.evidence["seccomp.filter"] = FilterDigest(*program);
    }
    return KeepPolicies(*directory_, bundle_.policies, &*program);
  }

  Result<> GiveNetDevices() {
    if (plan_.net_devices.empty()) {
      return {};
    }
    devices_.emplace(TRY_IN("linux.netDevices", net::Devices::Open(spawned_.pid)));
    // Before the init is killed, as everything is undone backwards; they would come back even after that.
    rollback_.Push([this] {
      for (const Error& error : devices_->TakeBack()) {
        settings_.warn(error.message);
      }
    });
    for (const plan::NetDevice& device : plan_.net_devices) {
      TRY_IN("linux.netDevices[\"" + device.host_name + "\"]", devices_->Give(device));
    }
    FAULT_POINT("create.net-devices");
    return {};
  }

  // Nothing of the bundle runs in the namespace before the gate is open, and no link but the loopback is there.
  Result<> LoadReadyRules() {
    Result<net::LoadedTable> loaded = LoadRulesInto(spawned_.pidfd.get(), *ready_rules_, plan_.id);
    if (!loaded) {
      ForgetRules(*rules_place_);
      return std::unexpected(WordOfChild(Context(kRulesFailed, std::move(loaded).error())));
    }
    NoteRules(*loaded);
    return {};
  }

  void NoteRules(const net::LoadedTable& inside) {
    net::Facts facts{.mode = state_.network.mode,
                     .policy_digest = {},
                     .generation = state_.network.generation,
                     .inside = inside,
                     .outside = {}};
    for (const policies::Document& document : bundle_.policies.documents) {
      if (document.kind == "egress") {
        facts.policy_digest = document.file.digest;
      }
    }
    state_.evidence["egress"] = net::Format(facts);
    rules_loaded_ = true;
  }

  Result<Message> ReceiveFromChild() {
    Result<Message> message = Receive(channel_.get());
    if (!message) {
      if (cgroup::WasOomKilled(state_.cgroups).value_or(false)) {
        return std::unexpected(Failure("container init was OOM-killed (memory limit too low?)", ENOMEM));
      }
      return std::unexpected(Failure("the container's init ended before it was ready", ECHILD));
    }
    if (message->tag == Tag::kError) {
      if (ready_rules_ && message->text.starts_with(kRulesFailed)) {
        ForgetRules(*rules_place_);
      }
      return std::unexpected(Failure("unable to start container process: " + message->text, message->code));
    }
    return message;
  }

  Result<> SetOomScore() {
    if (!plan_.process || !plan_.process->oom_score_adj) {
      return {};
    }
    const std::string path = "/proc/" + std::to_string(spawned_.pid) + "/oom_score_adj";
    const Fd file = TRY_IN("process.oomScoreAdj", sys::Open(path, O_WRONLY));
    TRY_IN("process.oomScoreAdj", WriteAll(file.get(), std::to_string(*plan_.process->oom_score_adj), path));
    return {};
  }

  Result<> RunRuntimeHooks() {
    hooks_ran_ = true;
    FAULT_POINT("create.runtime-hooks");
    const std::string state = oci::FormatOciState(state_, "creating");
    TRY(RunHooks("prestart", plan_.hooks.prestart, state));
    return RunHooks("createRuntime", plan_.hooks.create_runtime, state);
  }

  void RunPoststop() {
    state_.pid = 0;
    for (const Error& error :
         RunHooksToTheEnd("poststop", plan_.hooks.poststop, oci::FormatOciState(state_, "stopped"))) {
      settings_.warn(error.message);
    }
  }

  // `start` in the same breath saves the next state itself, unless somebody is there to see this one.
  [[nodiscard]] bool SavesCreated() const {
    return !start_follows_ || !options_.io.foreground || !options_.io.pid_file.empty() ||
           !options_.io.pidfd_socket.empty() || !plan_.hooks.start_container.empty();
  }

  Result<Created> MakeContainer() {
    TRY(MakeStateDir());
    TRY(StartTracer());
    if (plan_.network) {
      state_.network = PlannedNetwork(plan_);
    }
    state_.cgroups = plan_.cgroups;
    // Removed once the process is gone, whenever they are made.
    rollback_.Push([this] { (void)cgroup::Remove(state_.cgroups); });
    if (plan_.scope) {
      state_.systemd = PlannedUnit(*plan_.scope);
      rollback_.Push([this] { (void)StopUnit(state_); });
    }
    TRY(AnnounceCgroups());
    TRY(CgroupsComeFirst() ? MakeCgroups() : OrWithoutCgroups(MakeUnifiedCgroup()));
    TRY(MakeResctrlGroup());
    TRY(AskNetHelper());
    hooks_ran_ = !plan_.hooks.create_container.empty();
    TRY(Clone());
    TRY(ServeChild());
    state_.phase = oci::Phase::kCreated;
    if (WantsEvidence(settings_, state_.annotations)) {
      // Of a state that goes as its process does, only what that one is while it lives can be asked for.
      const bool now = SavesCreated() || settings_.events != nullptr || !options_.deleted_at_end;
      GatherCreated(bundle_, plan_, spawned_.pidfd.get(), now, state_);
    }
    FAULT_POINT("create.save-state");
    if (SavesCreated()) {
      TRY(directory_->WriteState(state_));
    }
    FAULT_POINT("create.pid-file");
    if (!options_.io.pidfd_socket.empty()) {
      TRY(SendPidfd(options_.io.pidfd_socket, spawned_.pidfd.get()));
    }
    TRY(WritePidFile(options_.io.pid_file, spawned_.pid));
    // Asked for and not to be had is an error: nothing has run yet.
    TRY(TellCreated(settings_, state_));
    rollback_.Commit();
    return Created{
        .process = {.pid = spawned_.pid, .pidfd = std::move(spawned_.pidfd), .console = std::move(console_)},
        .container = {.directory = std::move(*directory_), .state = std::move(state_), .status = Status::kCreated},
        .net_helper = std::move(net_helper_)};
  }

  const Settings& settings_;
  const CreateOptions& options_;
  const bool start_follows_;
  Bundle bundle_;
  plan::Host host_;
  plan::Plan plan_;
  rootfs::VerifiedRoot root_;
  std::optional<StateDir> directory_;
  oci::State state_;
  std::string trace_file_;
  std::string broker_token_;
  std::optional<NetHelper> net_helper_;
  // Rules that no helper loads; and where they are, or will be for the next container.
  std::optional<RulesPlace> rules_place_;
  std::optional<net::RuleImage> ready_rules_;
  bool loads_rules_ = false;  // this process; else the init
  bool rules_loaded_ = false;
  std::string helper_events_;  // what it is told to do with the descriptor that it has been given
  bool network_made_ = false;
  Tracing tracing_;
  Fd start_listener_;
  Fd channel_;
  std::unique_ptr<confine::SharedProgram> program_;
  bool hooks_ran_ = false;
  const char* stage_ = "bundle";  // for the events: what failed
  bool making_ = false;           // and whether anything was made
  Spawned spawned_;
  Fd console_;
  std::optional<net::Devices> devices_;
  // Last, so that it runs while the rest is still there.
  Rollback rollback_;
};

}  // namespace

Result<Bundle> OpenBundle(const Settings& settings, const CreateOptions& options) {
  Enter(settings, "bundle");
  Result<> valid = ValidateId(options.id);
  Result<Bundle> bundle = valid ? LoadBundle(options.bundle, options.config, options.config_digest, settings.warn, true)
                                : std::unexpected(valid.error());
  if (!bundle) {
    TellFailure(settings, options.id, "bundle", bundle.error(), "refused");
  }
  return bundle;
}

Result<Launched> Create(const Settings& settings, const CreateOptions& options, Bundle bundle) {
  Created created = TRY(Creation(settings, options, std::move(bundle), false).Run());
  return std::move(created.process);
}

Result<Launched> CreateAndStart(const Settings& settings, const CreateOptions& options, Bundle bundle) {
  Created created = TRY(Creation(settings, options, std::move(bundle), true).Run());
  Enter(settings, "start");
  Result<std::unique_ptr<ReadyProxy>> ready =
      ReadyProxy::Listen(created.container.directory.fd(), settings.notify_socket);
  const Result<> started =
      ready ? StartOpened(settings, created.container, created.process.pidfd.get()) : std::unexpected(ready.error());
  if (!started) {
    TellFailure(settings, options.id, "start", started.error());
    // The lock goes first: Delete takes it again. The error that led here is the one to report.
    std::optional<Opened>{std::move(created.container)}.reset();
    if (const Result<> deleted = Delete(settings, options.id, true); !deleted) {
      settings.warn("delete " + options.id + ": " + deleted.error().message);
    }
    return std::unexpected(started.error());
  }
  created.process.ready = std::move(*ready);
  return std::move(created.process);
}

}  // namespace nucleus::container
