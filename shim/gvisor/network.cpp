#include "shim/gvisor/network.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <functional>

#include "runtime/container/channel.h"
#include "runtime/container/child.h"
#include "runtime/container/process.h"
#include "runtime/container/spawn.h"
#include "runtime/net/loopback.h"
#include "runtime/net/uplinks.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::gvisor {
namespace {

constexpr const char* kOwn = "/proc/self/ns/net";
constexpr const char* kNetworkKey = "annotations[\"dev.nucleus.gvisor.network\"]: ";
constexpr const char* kEgressKey = "annotations[\"dev.nucleus.policy.egress\"]: ";

// What `act` does happens in another network namespace: `enter` goes there. This process has one thread.
Result<> Elsewhere(const std::function<Result<>()>& enter, const std::function<Result<>()>& act) {
  const Fd home = TRY(sys::Open(kOwn, O_RDONLY));
  TRY(enter());
  Result<> done = act();
  TRY(sys::SetNs(home.get(), CLONE_NEWNET, "network namespace"));
  return done;
}

Result<Fd> NewNamespace() {
  Fd made;
  const auto enter = [] { return sys::Unshare(CLONE_NEWNET, "network namespace"); };
  const auto act = [&made]() -> Result<> {
    TRY_IN("network namespace", net::SetLoopbackUp());
    made = TRY(sys::Open(kOwn, O_RDONLY));
    return {};
  };
  TRY(Elsewhere(enter, act));
  return made;
}

Result<bool> IsOwn(const Fd& netns) {
  const Fd mine = TRY(sys::Open(kOwn, O_RDONLY));
  const struct stat here = TRY(sys::Fstat(mine.get(), kOwn));
  const struct stat there = TRY(sys::Fstat(netns.get(), "network namespace"));
  return here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

Result<> CheckNone(const oci::Annotations& annotations) {
  if (annotations.network == oci::NetworkMode::kBridge || annotations.network == oci::NetworkMode::kUserspace) {
    return std::unexpected(
        Failure("annotations[\"dev.nucleus.network\"]: takes dev.nucleus.gvisor.network sandbox or host: none has no "
                "use for it",
                EINVAL));
  }
  if (annotations.egress_policy) {
    return std::unexpected(Failure(
        std::string{kEgressKey} + "takes dev.nucleus.gvisor.network sandbox or host: none lets nothing out", EINVAL));
  }
  return {};
}

// gVisor's stack sends frames of its own: no rule inside of the namespace sees them.
Result<> CheckSandbox(const oci::Annotations& annotations, const plan::Plan& plan) {
  if (!plan.namespaces.Has(CLONE_NEWNET)) {
    return std::unexpected(
        Failure(std::string{kNetworkKey} + "sandbox needs a network namespace in linux.namespaces", EINVAL));
  }
  const bool guarded =
      annotations.network == oci::NetworkMode::kBridge || annotations.network == oci::NetworkMode::kUserspace;
  if (plan.network && plan.network->filtered && (!guarded || plan.network->direct)) {
    return std::unexpected(Failure(std::string{kEgressKey} +
                                       "gVisor's own stack gets around rules inside of its namespace; let nucleus make "
                                       "the uplink (dev.nucleus.network: bridge or userspace), or take "
                                       "dev.nucleus.gvisor.network host",
                                   EPERM));
  }
  return {};
}

// Somebody to be killed in the sandbox's place: nucleus-net ends "the container's init" where a mode wants it to end
// with its gate. It goes with whoever watches it.
Result<pid_t> StartStandIn(Fd& pidfd) {
  const pid_t watcher = ::getpid();
  const pid_t pid = TRY(sys::Clone3({.pidfd = &pidfd}));
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() == watcher && sys::CloseFrom(0, {})) {
      for (;;) {
        ::pause();
      }
    }
    ::_exit(0);
  }
  return pid;
}

// Until the sandbox or its stand-in has ended; then both have.
void Watch(const Fd& sandbox, const Fd& stand_in) {
  std::array<pollfd, 2> ends{
      {{.fd = sandbox.get(), .events = POLLIN, .revents = 0}, {.fd = stand_in.get(), .events = POLLIN, .revents = 0}}};
  while (::poll(ends.data(), ends.size(), -1) < 0 && errno == EINTR) {
  }
  (void)sys::PidfdSendSignal(sandbox.get(), SIGKILL);
}

[[noreturn]] void Keep(int channel) {
  container::ResetSignals();
  ::setsid();
  Fd stand_in;
  if (!StartStandIn(stand_in) || !container::SendWithFd(channel, container::Tag::kPid, stand_in.get())) {
    ::_exit(1);
  }
  if (sys::CloseFrom(0, {channel, stand_in.get()})) {
    const Result<container::Message> told = container::Receive(channel);
    if (told && told->tag == container::Tag::kGo && told->fd) {
      Watch(told->fd, stand_in);
    }
  }
  ::_exit(0);
}

}  // namespace

Result<> CheckNetwork(const oci::Annotations& annotations, const plan::Plan& plan, const Abilities& abilities) {
  if (plan.network && plan.network->broker) {
    return std::unexpected(Failure(std::string{kEgressKey} + "a broker is not supported with gVisor yet", ENOTSUP));
  }
  switch (annotations.gvisor_network) {
    case oci::GvisorNetwork::kNone:
      return CheckNone(annotations);
    case oci::GvisorNetwork::kSandbox:
      return CheckSandbox(annotations, plan);
    case oci::GvisorNetwork::kHost:
      break;
  }
  // It makes such a sandbox in the container's own user namespace, and cannot cut its mounts off there.
  constexpr std::uint32_t kFailing = 20221219;
  if (abilities.date != 0 && abilities.date <= kFailing && plan.namespaces.Creates(CLONE_NEWUSER)) {
    return std::unexpected(Failure("dev.nucleus.gvisor.network: host: runsc " + abilities.version +
                                       " makes no sandbox in a user namespace with this network",
                                   ENOTSUP));
  }
  return {};
}

Result<> CheckNamespaces(const plan::Plan& plan) {
  const std::vector<Fd> joins = TRY(container::OpenJoins(plan.namespaces));
  TRY_IN("config.json", container::CheckOwnNamespaces(plan, joins));
  return {};
}

Result<Fd> PrepareNamespace(const oci::Annotations& annotations, const plan::Plan& plan) {
  if (plan.namespaces.Creates(CLONE_NEWNET)) {
    return NewNamespace();
  }
  std::vector<Fd> joins = TRY(container::OpenJoins(plan.namespaces));
  TRY_IN("config.json", container::CheckOwnNamespaces(plan, joins));
  for (std::size_t i = 0; i < joins.size(); ++i) {
    if (plan.namespaces.join[i].type != CLONE_NEWNET) {
      continue;
    }
    if (annotations.gvisor_network == oci::GvisorNetwork::kSandbox && TRY(IsOwn(joins[i]))) {
      return std::unexpected(Failure("config.json: linux.namespaces: " + plan.namespaces.join[i].path +
                                         " is the host's network namespace, which gVisor's stack is not given",
                                     EPERM));
    }
    return std::move(joins[i]);
  }
  return Fd{};
}

Result<> CheckUplinks(const oci::State& state) {
  const oci::Annotations annotations = TRY(oci::ParseAnnotations(state.annotations));
  if (!annotations.mode || state.network.filtered || annotations.gvisor_network == oci::GvisorNetwork::kNone) {
    return {};
  }
  const std::string path = "/proc/" + std::to_string(state.pid) + "/ns/net";
  const Fd netns = TRY(sys::Open(path, O_RDONLY));
  return Elsewhere([&] { return sys::SetNs(netns.get(), CLONE_NEWNET, path); }, [] { return net::RefuseUplinks(); });
}

Result<Keeper> Keeper::Start(const cgroup::Doors& doors) {
  Keeper keeper;
  Fd theirs;
  TRY(sys::SocketPair(keeper.channel_, theirs));
  const pid_t pid = TRY(sys::Clone3({.cgroup_fd = doors.v2.get()}));
  if (pid == 0) {
    if (const Result<> entered = cgroup::Enter(doors); !entered) {
      container::FailChild(theirs.get(), entered.error());
    }
    Keep(theirs.get());
  }
  theirs.Reset();
  container::Message message = TRY_IN("the sandbox's keeper", container::Receive(keeper.channel_.get()));
  if (message.tag != container::Tag::kPid || !message.fd) {
    return std::unexpected(Failure(message.text, message.code));
  }
  keeper.pidfd_ = std::move(message.fd);
  return keeper;
}

Result<> Keeper::Follow(int sandbox) {
  TRY(container::SendWithFd(channel_.get(), container::Tag::kGo, sandbox));
  channel_.Reset();
  return {};
}

}  // namespace nucleus::gvisor
