#include "runtime/container/spawn.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>

#include "runtime/container/channel.h"
#include "runtime/container/child.h"
#include "runtime/plan/sysctl.h"
#include "runtime/sys/syscalls.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace nucleus::container {
namespace {

// These two are entered by the child itself, when it can: the cgroup namespace's root is the cgroup of the moment, and
// a time namespace wants its offsets first.
constexpr std::uint64_t kEnteredLater = CLONE_NEWCGROUP | CLONE_NEWTIME;

// A joined pid namespace takes effect for children: the runtime steps in for the moment of the clone and out again.
class PidNamespaceVisit {
 public:
  static Result<PidNamespaceVisit> Enter(int target) {
    PidNamespaceVisit visit;
    visit.home_ = TRY(sys::Open("/proc/self/ns/pid", O_RDONLY));
    TRY(sys::SetNs(target, CLONE_NEWPID, "pid namespace"));
    return visit;
  }
  // In the child, which stays.
  void Forget() {
    home_.Reset();
  }
  PidNamespaceVisit(PidNamespaceVisit&&) = default;
  PidNamespaceVisit& operator=(PidNamespaceVisit&&) = delete;
  PidNamespaceVisit(const PidNamespaceVisit&) = delete;
  PidNamespaceVisit& operator=(const PidNamespaceVisit&) = delete;
  ~PidNamespaceVisit() {
    if (home_) {
      (void)sys::SetNs(home_.get(), CLONE_NEWPID, "pid namespace");
    }
  }

 private:
  PidNamespaceVisit() = default;
  Fd home_;
};

Result<Spawned> SpawnDirectly(const plan::Namespaces& namespaces, std::vector<Fd> joins, int cgroup_fd,
                              const std::function<void(std::vector<Fd>)>& child) {
  std::optional<PidNamespaceVisit> visit;
  for (std::size_t i = 0; i < joins.size(); ++i) {
    if (namespaces.join[i].type == CLONE_NEWPID) {
      visit.emplace(TRY_IN(namespaces.join[i].path, PidNamespaceVisit::Enter(joins[i].get())));
      joins[i].Reset();
    }
  }
  Spawned result;
  const pid_t pid =
      TRY(sys::Clone3({.flags = namespaces.create & ~kEnteredLater, .cgroup_fd = cgroup_fd, .pidfd = &result.pidfd}));
  if (pid == 0) {
    if (visit) {
      visit->Forget();
    }
    child(std::move(joins));
    ::_exit(1);
  }
  result.pid = pid;
  return result;
}

// The helper's life: join everything, clone the init as its own sibling, say its pid. A cgroup namespace is left to the
// init: in that of a container the runtime's cgroup is out of sight, and v2 then has no way from one to the other
// (nsdelegate, which systemd mounts with).
void RunHelper(const plan::Namespaces& namespaces, std::vector<Fd> joins, int cgroup_fd, int channel,
               const std::function<void(std::vector<Fd>)>& child) {
  for (std::size_t i = 0; i < joins.size(); ++i) {
    if (namespaces.join[i].type == CLONE_NEWCGROUP) {
      continue;
    }
    const Result<> joined = sys::SetNs(joins[i].get(), namespaces.join[i].type, namespaces.join[i].path);
    if (!joined) {
      FailChild(channel, joined.error());
    }
    joins[i].Reset();
  }
  const Result<pid_t> pid =
      sys::Clone3({.flags = (namespaces.create & ~kEnteredLater) | CLONE_PARENT, .cgroup_fd = cgroup_fd});
  if (!pid) {
    FailChild(channel, pid.error());
  }
  if (*pid == 0) {
    child(std::move(joins));
    ::_exit(1);
  }
  const Result<> told = Send(channel, Tag::kPid, std::to_string(*pid));
  ::_exit(told ? 0 : 1);
}

// `inside`: the helper itself is born in the cgroup, and what it clones stays there.
Result<Spawned> SpawnThroughHelper(const plan::Namespaces& namespaces, std::vector<Fd>& joins, int cgroup_fd,
                                   bool inside, const std::function<void(std::vector<Fd>)>& child) {
  Fd ours;
  Fd theirs;
  TRY(sys::SocketPair(ours, theirs));
  const pid_t helper = TRY(sys::Clone3({.cgroup_fd = inside ? cgroup_fd : -1}));
  if (helper == 0) {
    RunHelper(namespaces, std::move(joins), inside ? -1 : cgroup_fd, theirs.get(), child);
  }
  theirs.Reset();
  Result<Message> message = Receive(ours.get());
  int status = 0;
  while (::waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  if (!message) {
    return std::unexpected(Context("joining namespaces", std::move(message).error()));
  }
  if (message->tag == Tag::kError) {
    return std::unexpected(Failure(message->text, message->code));
  }
  Spawned result;
  std::from_chars(message->text.data(), message->text.data() + message->text.size(), result.pid);
  result.pidfd = TRY(sys::PidfdOpen(result.pid));
  return result;
}

Result<bool> IsOwnNamespace(const plan::NamespaceJoin& join, const Fd& fd) {
  const std::string own = std::string{"/proc/self/ns/"} + plan::NamespaceFile(join.type);
  const Fd mine = TRY(sys::Open(own, O_RDONLY));
  const struct stat here = TRY(sys::Fstat(mine.get(), own));
  const struct stat joined = TRY(sys::Fstat(fd.get(), join.path));
  return here.st_ino == joined.st_ino && here.st_dev == joined.st_dev;
}

}  // namespace

Result<std::vector<Fd>> OpenJoins(const plan::Namespaces& namespaces) {
  std::vector<Fd> joins;
  for (const plan::NamespaceJoin& join : namespaces.join) {
    Fd fd = TRY(sys::Open(join.path, O_RDONLY));
    const int type = ::ioctl(fd.get(), NS_GET_NSTYPE);
    if (type != join.type) {
      return std::unexpected(Failure(
          "linux.namespaces: " + join.path + " is not a " + plan::NamespaceFile(join.type) + " namespace", EINVAL));
    }
    joins.push_back(std::move(fd));
  }
  return joins;
}

Result<> CheckJoinedSysctls(const plan::Plan& plan, const std::vector<Fd>& joins) {
  for (const auto& [key, value] : plan.sysctl) {
    for (std::size_t i = 0; i < joins.size(); ++i) {
      const int type = plan.namespaces.join[i].type;
      if (plan::SysctlNamespace(key) != type) {
        continue;
      }
      if (TRY(IsOwnNamespace(plan.namespaces.join[i], joins[i]))) {
        return std::unexpected(Failure(
            "linux.sysctl[\"" + key + "\"]: not allowed in the host's " + plan::NamespaceFile(type) + " namespace",
            EPERM));
      }
    }
  }
  return {};
}

Result<> CheckOwnNamespaces(const plan::Plan& plan, const std::vector<Fd>& joins) {
  for (std::size_t i = 0; i < joins.size() && plan.own_namespaces; ++i) {
    const plan::NamespaceJoin& join = plan.namespaces.join[i];
    if (TRY(IsOwnNamespace(join, joins[i]))) {
      return std::unexpected(Failure("linux.namespaces: " + join.path + " is the host's " +
                                         plan::NamespaceFile(join.type) + " namespace, which " +
                                         std::string{oci::ModeName(*plan.mode)} + " mode forbids",
                                     EINVAL));
    }
  }
  return {};
}

Result<> CheckJoinedNetwork(const plan::Plan& plan, const std::vector<Fd>& joins) {
  for (std::size_t i = 0; i < joins.size() && !plan.net_devices.empty(); ++i) {
    const plan::NamespaceJoin& join = plan.namespaces.join[i];
    if (join.type == CLONE_NEWNET && TRY(IsOwnNamespace(join, joins[i]))) {
      return std::unexpected(Failure("linux.netDevices: " + join.path + " is the host's network namespace", EINVAL));
    }
  }
  return {};
}

Result<Spawned> Spawn(const plan::Namespaces& namespaces, std::vector<Fd> joins, int cgroup_fd,
                      const std::function<void(std::vector<Fd>)>& child) {
  const bool helper =
      namespaces.Joins(CLONE_NEWUSER) || (namespaces.Creates(CLONE_NEWUSER) && !namespaces.join.empty());
  Result<Spawned> spawned = helper ? SpawnThroughHelper(namespaces, joins, cgroup_fd, false, child)
                                   : SpawnDirectly(namespaces, std::move(joins), cgroup_fd, child);
  // A cgroup that belongs to the container's user: in that user namespace root's own rights over it are gone.
  if (helper && !spawned && spawned.error().code == EACCES && cgroup_fd >= 0) {
    spawned = SpawnThroughHelper(namespaces, joins, cgroup_fd, true, child);
  }
  // For an ordinary user it takes write access to the cgroup that holds the runtime's and the container's.
  if (!spawned && spawned.error().code == EACCES && cgroup_fd >= 0) {
    return std::unexpected(Context("enter the container's cgroup", spawned.error()));
  }
  return spawned;
}

}  // namespace nucleus::container
