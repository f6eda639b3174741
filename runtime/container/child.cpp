#include "runtime/container/child.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>

#include "policies/mode.h"
#include "runtime/container/broker.h"
#include "runtime/container/channel.h"
#include "runtime/container/degrade.h"
#include "runtime/container/hooks.h"
#include "runtime/container/process.h"
#include "runtime/container/tracing.h"
#include "runtime/net/loopback.h"
#include "runtime/net/uplinks.h"
#include "runtime/rootfs/audit.h"
#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace nucleus::container {
namespace {

Result<> BecomeRootInside(bool deny_setgroups) {
  // Raw system calls: the C library's would look for other threads.
  if (!deny_setgroups && ::syscall(SYS_setgroups, 0, nullptr) != 0 && errno != EPERM) {
    return std::unexpected(SysError("setgroups", ""));
  }
  if (::syscall(SYS_setresgid, 0, 0, 0) != 0) {
    return std::unexpected(SysError("setresgid", "0"));
  }
  if (::syscall(SYS_setresuid, 0, 0, 0) != 0) {
    return std::unexpected(SysError("setresuid", "0"));
  }
  return {};
}

// clone3 could make the time namespace, but then its offsets could no longer be set: they are fixed once a process is
// in it.
Result<> EnterTimeNamespace(const std::map<std::string, oci::TimeOffset>& offsets) {
  TRY(sys::Unshare(CLONE_NEWTIME, "time namespace"));
  if (!offsets.empty()) {
    const Fd file = TRY(sys::Open("/proc/self/timens_offsets", O_WRONLY));
    std::string text;
    for (const auto& [clock, offset] : offsets) {
      text += clock + " " + std::to_string(offset.secs) + " " + std::to_string(offset.nanosecs) + "\n";
    }
    TRY(WriteAll(file.get(), text, "/proc/self/timens_offsets"));
  }
  const Fd made = TRY(sys::Open("/proc/self/ns/time_for_children", O_RDONLY));
  return sys::SetNs(made.get(), CLONE_NEWTIME, "time namespace");
}

// Waits for the runtime to have put this process into its cgroups; learns the pid that it has on the host.
class Gate : public rootfs::CgroupGate {
 public:
  Gate(int channel, bool enter, bool make_namespace, std::string rules, oci::State& state)
      : channel_(channel), enter_(enter), make_namespace_(make_namespace), rules_(std::move(rules)), state_(state) {
  }

  Result<> Pass() override {
    if (passed_) {
      return {};
    }
    TRY(Send(channel_, Tag::kCgroup, rules_));
    const Message reply = TRY(Receive(channel_));
    if (reply.tag != Tag::kGo) {
      return std::unexpected(Failure("unexpected message from the runtime", EPROTO));
    }
    std::from_chars(reply.text.data(), reply.text.data() + reply.text.size(), state_.pid);
    if (reply.code == kWithoutV1) {
      std::erase_if(state_.cgroups, [](const oci::StateCgroup& cgroup) { return !cgroup.hierarchy.empty(); });
    } else if (enter_) {
      TRY(EnterV1());
    }
    if (make_namespace_) {
      FAULT_POINT("child.cgroup-namespace");
      // Only now: its root is the cgroup that the process is in.
      TRY(sys::Unshare(CLONE_NEWCGROUP, "cgroup namespace"));
    }
    passed_ = true;
    return {};
  }

 private:
  // By the host's paths, which this process still sees.
  [[nodiscard]] Result<> EnterV1() const {
    std::vector<oci::StateCgroup> v1 = state_.cgroups;
    std::erase_if(v1, [](const oci::StateCgroup& cgroup) { return cgroup.hierarchy.empty(); });
    const cgroup::Doors doors = TRY(cgroup::OpenDoors(v1));
    return cgroup::Enter(doors);
  }

  int channel_;
  bool enter_;
  bool make_namespace_;
  std::string rules_;
  oci::State& state_;
  bool passed_ = false;
};

// Nothing of the bundle runs in the namespace yet, and no link but the loopback is there.
Result<> LoadReadyRules(ChildInput& input) {
  net::Socket socket = TRY_IN(kRulesFailed, net::Socket::OpenFilter());
  const net::LoadedTable loaded = TRY_IN(kRulesFailed, net::LoadRules(std::move(socket), *input.rules, input.plan->id));
  input.rules_handle = std::to_string(loaded.handle);
  return {};
}

Result<> EnterNamespaces(ChildInput& input) {
  FAULT_POINT("child.namespaces");
  const plan::Plan& plan = *input.plan;
  for (std::size_t i = 0; i < input.joins.size(); ++i) {
    if (input.joins[i]) {
      const plan::NamespaceJoin& join = plan.namespaces.join[i];
      TRY(sys::SetNs(input.joins[i].get(), join.type, join.path));
    }
  }
  if (plan.namespaces.Creates(CLONE_NEWUSER)) {
    // A process that cannot be dumped has its files in /proc owned by root: an ordinary user could not write the
    // mappings. For root's own containers it stays closed: where the pid namespace is another container's, a process of
    // that with uid 0 owns this new user namespace, has all capabilities in it, and could trace.
    const bool opens = SaysWhenMappable(input.state);
    if (opens) {
      ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
      TRY(Send(input.channel, Tag::kUserNamespace));
    }
    TRY(AwaitGo(input.channel));
    if (opens && ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
      return std::unexpected(SysError("prctl", "PR_SET_DUMPABLE"));
    }
  }
  if (plan.namespaces.Has(CLONE_NEWUSER)) {
    TRY(BecomeRootInside(plan.deny_setgroups));
  }
  if (plan.namespaces.Creates(CLONE_NEWNET)) {
    FAULT_POINT("child.loopback");
    TRY_IN("network namespace", net::SetLoopbackUp());
    if (input.rules != nullptr) {
      TRY(LoadReadyRules(input));
    }
  }
  if (plan.namespaces.Creates(CLONE_NEWTIME)) {
    TRY(EnterTimeNamespace(plan.time_offsets));
  }
  return {};
}

Result<> SetNames(const plan::Plan& plan) {
  FAULT_POINT("child.hostname");
  if (!plan.hostname.empty() && ::sethostname(plan.hostname.data(), plan.hostname.size()) != 0) {
    return std::unexpected(SysError("sethostname", plan.hostname));
  }
  if (!plan.domainname.empty() && ::setdomainname(plan.domainname.data(), plan.domainname.size()) != 0) {
    return std::unexpected(SysError("setdomainname", plan.domainname));
  }
  return {};
}

// Callers of runc find a missing working directory made for them.
Result<> MakeWorkingDirectory(const plan::Plan& plan, const rootfs::Handles& handles) {
  if (!plan.process) {
    return {};
  }
  FAULT_POINT("child.cwd");
  const rootfs::Resolver resolver{handles.root.get()};
  const Result<Fd> existing = resolver.Open(plan.process->cwd, O_PATH);
  if (!existing && existing.error().code == ENOENT) {
    TRY_IN("process.cwd", resolver.MakeDirectory(plan.process->cwd));
  }
  return {};
}

Result<> RunCreateHooks(ChildInput& input) {
  const oci::Hooks& hooks = input.plan->hooks;
  if (!hooks.prestart.empty() || !hooks.create_runtime.empty()) {
    TRY(Send(input.channel, Tag::kRuntimeHooks));
    TRY(AwaitGo(input.channel));
  }
  if (!hooks.create_container.empty()) {
    FAULT_POINT("child.container-hooks");
    TRY(RunHooks("createContainer", hooks.create_container, oci::FormatOciState(input.state, "creating")));
  }
  return {};
}

Result<std::optional<rootfs::Console>> SetUpConsole(const plan::Plan& plan, const rootfs::Handles& handles) {
  if (!plan.process || !plan.process->terminal) {
    return std::optional<rootfs::Console>{};
  }
  FAULT_POINT("child.console");
  return std::optional<rootfs::Console>{
      TRY_IN("terminal", rootfs::OpenConsole(handles, plan.process->console_size, true))};
}

Result<> AuditRoot(const ChildInput& input, const rootfs::Handles& handles) {
  const plan::Rootfs& plan = input.plan->rootfs;
  if (plan.audit == plan::Audit::kNone) {
    return {};
  }
  constexpr policies::Stage kStage = policies::Stage::kMountAudit;
  Result<> audited = rootfs::AuditMounts(plan, handles);
  if (audited || plan.audit == plan::Audit::kError) {
    return audited ? Result<>{} : std::unexpected(Context(policies::Row(kStage).name, std::move(audited).error()));
  }
  return OrDegrade(input.plan->mode, [&input] { return input.channel; })(kStage, std::move(audited).error());
}

Result<> MakeReadonly(const plan::Plan& plan, const rootfs::Handles& handles) {
  FAULT_POINT("child.readonly");
  return rootfs::MakeReadonly(plan.rootfs, handles);
}

Result<> MaskPaths(const plan::Plan& plan, const rootfs::Handles& handles) {
  FAULT_POINT("child.masks");
  return rootfs::MaskPaths(plan.rootfs, handles);
}

Result<> HidePaths(const ChildInput& input, const rootfs::Handles& handles) {
  const confine::OnFailure on_failure = OrDegrade(input.plan->mode, [&input] { return input.channel; });
  for (const auto step : {&MakeReadonly, &MaskPaths}) {
    if (Result<> done = step(*input.plan, handles); !done) {
      TRY(on_failure(policies::Stage::kMaskedPaths, std::move(done).error()));
    }
  }
  return {};
}

// With a mount namespace of its own: the root is built and entered.
Result<std::optional<rootfs::Console>> BuildRoot(ChildInput& input, Gate& gate) {
  const plan::Plan& plan = *input.plan;
  FAULT_POINT("child.root");
  const rootfs::Handles handles = TRY(rootfs::OpenRoot(plan.rootfs, std::move(input.root)));
  FAULT_POINT("child.mounts");
  const rootfs::CgroupView view{.cgroups = &input.state.cgroups,
                                .host = input.cgroup_host,
                                .own_namespace = plan.namespaces.Creates(CLONE_NEWCGROUP)};
  TRY(rootfs::Mount(plan.rootfs, handles, input.sources, view, gate));
  input.sources.clear();
  FAULT_POINT("child.devices");
  TRY(rootfs::MakeDevices(plan.rootfs, handles));
  TRY(MakeWorkingDirectory(plan, handles));
  TRY(gate.Pass());
  TRY(RunCreateHooks(input));
  FAULT_POINT("child.sysctl");
  TRY(rootfs::WriteSysctls(plan.sysctl));
  TRY(SetNames(plan));
  std::optional<rootfs::Console> console = TRY(SetUpConsole(plan, handles));
  TRY(HidePaths(input, handles));
  FAULT_POINT("child.pivot");
  TRY(rootfs::EnterRoot(plan.rootfs, handles));
  TRY(rootfs::FinishRoot(plan.rootfs, handles));
  TRY(AuditRoot(input, handles));
  return console;
}

// In a mount namespace that is the host's: nothing is mounted, the root is changed by chroot alone.
Result<std::optional<rootfs::Console>> ChangeRoot(ChildInput& input, Gate& gate) {
  const plan::Plan& plan = *input.plan;
  rootfs::Handles handles;
  handles.root = TRY(sys::Open(plan.rootfs.path, O_PATH | O_DIRECTORY));
  TRY(gate.Pass());
  TRY(RunCreateHooks(input));
  TRY(rootfs::WriteSysctls(plan.sysctl));
  TRY(SetNames(plan));
  if (plan.process && plan.process->terminal) {
    return std::unexpected(Failure("process.terminal: needs a mount namespace in linux.namespaces"));
  }
  if (::fchdir(handles.root.get()) != 0 || ::chroot(".") != 0) {
    return std::unexpected(SysError("chroot", plan.rootfs.path));
  }
  return std::optional<rootfs::Console>{};
}

// Waits for `start`. A connection that ends before it said so (the command was killed) is forgotten.
Result<Fd> AwaitStart(int listener) {
  for (;;) {
    Fd connection{::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)};
    if (!connection) {
      if (errno == EINTR || errno == ECONNABORTED) {
        continue;
      }
      return std::unexpected(SysError("accept", "start socket"));
    }
    const Result<Message> message = Receive(connection.get());
    if (message && message->tag == Tag::kGo) {
      return connection;
    }
  }
}

std::string AgentMessage(const ChildInput& input) {
  const confine::Confinement& confinement = input.plan->confinement;
  if (input.plan->traced) {
    return kTracerGreeting;
  }
  if (confinement.seccomp_listener_path.empty()) {
    return {};
  }
  return oci::FormatContainerProcessState(input.state, "creating", input.state.pid,
                                          confinement.seccomp_listener_metadata);
}

Result<> CarryOut(ChildInput& input, Fd& start) {
  const plan::Plan& plan = *input.plan;
  ::umask(0);
  // What the runtime has open (its state directory above all) is not for a process that enters a container.
  std::vector<int> keep = {input.channel, input.start_listener, input.tracer};
  for (const Fd& join : input.joins) {
    keep.push_back(join.get());
  }
  for (const Fd& source : input.sources) {
    keep.push_back(source.get());
  }
  keep.push_back(input.root.tree.get());
  TRY(sys::CloseFrom(3 + input.preserve_fds, std::move(keep)));
  if (input.await_scope) {
    const Message go = TRY(Receive(input.channel));
    if (go.tag != Tag::kGo) {
      return std::unexpected(Failure("unexpected message from the runtime", EPROTO));
    }
    input.state.cgroups = cgroup::At(*input.cgroup_host, go.text);
  }
  TRY(EnterNamespaces(input));
  if (input.show_network) {
    for (const char* path : {"/proc/self/ns/net", "/proc/self/ns/user"}) {
      const Fd own = TRY(sys::Open(path, O_RDONLY));
      TRY(SendWithFd(input.channel, Tag::kNetwork, own.get()));
    }
  }
  if (::setsid() < 0) {
    return std::unexpected(SysError("setsid", ""));
  }
  // The agent's socket lies on the host: connected while its path can be reached.
  Fd agent;
  if (plan.process && !plan.confinement.seccomp_listener_path.empty()) {
    agent = TRY_IN("linux.seccomp.listenerPath", sys::ConnectUnix(plan.confinement.seccomp_listener_path, SOCK_STREAM));
  }
  if (plan.traced) {
    agent.Reset(input.tracer);
  }
  Gate gate{input.channel, input.enter_v1_cgroups, plan.namespaces.Creates(CLONE_NEWCGROUP), input.rules_handle,
            input.state};
  std::optional<rootfs::Console> console =
      TRY(plan.namespaces.Has(CLONE_NEWNS) ? BuildRoot(input, gate) : ChangeRoot(input, gate));

  const auto wait_for_start = [&input, &start, &plan]() -> Result<> {
    TRY(Send(input.channel, Tag::kReady));
    start = TRY(AwaitStart(input.start_listener));
    if (!plan.hooks.start_container.empty()) {
      TRY(Send(start.get(), Tag::kRuntimeHooks));
      FAULT_POINT("child.start-hooks");
      TRY(RunHooks("startContainer", plan.hooks.start_container, oci::FormatOciState(input.state, "created")));
    }
    if (plan.traced) {
      TRY(CheckTracer(input.tracer));
    }
    if (plan.deny_uplinks) {
      FAULT_POINT("child.uplinks");
      TRY_IN("egress: everything is denied", net::RefuseUplinks());
    }
    if (plan.network && plan.network->broker) {
      FAULT_POINT("child.broker");
      TRY(ReachBroker(*plan.network->broker));
    }
    // From here on only execve's own answer is left; the filter may refuse any later word.
    return Send(start.get(), Tag::kReady);
  };
  if (!plan.process) {
    TRY(wait_for_start());
    return std::unexpected(Failure("process: needed to start the container"));
  }
  TRY(ConnectStreams(std::move(console), input.channel, plan.confinement.uid));
  return ConfineAndExecute(
      {.process = &*plan.process,
       .confinement = &plan.confinement,
       .shared_program = plan.confinement.has_seccomp ? input.program : nullptr,
       .program = plan.confinement.has_seccomp ? input.filter : nullptr,
       .preserve_fds = input.preserve_fds,
       .listener_socket = agent.get(),
       .listener_state = AgentMessage(input),
       .init = plan.init,
       .failed = [&start, &input](const Error& error) { FailChild(start ? start.get() : input.channel, error); },
       .on_failure = OrDegrade(plan.mode, [&start, &input] { return start ? start.get() : input.channel; })},
      wait_for_start);
}

}  // namespace

void FailChild(int channel, const Error& error) {
  (void)Send(channel, Tag::kError, error.message, error.code);
  ::_exit(1);
}

void RunChild(ChildInput& input) {
  Fd start;
  const Result<> result = CarryOut(input, start);
  // Whoever waits is told: `create` until this process was ready, `start` from then on.
  FailChild(start ? start.get() : input.channel, result.error());
}

}  // namespace nucleus::container
