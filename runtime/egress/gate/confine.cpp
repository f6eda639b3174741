// Source: seccomp(2), landlock(7), capabilities(7), PR_SET_PDEATHSIG(2const).

#include "runtime/egress/gate/confine.h"

#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "runtime/confine/capabilities.h"
#include "runtime/confine/confine.h"
#include "runtime/confine/landlock.h"

namespace nucleus::gate {
namespace {

constexpr gid_t kNobody = 65534;

oci::SeccompArg Is(std::uint32_t index, std::uint64_t value) {
  oci::SeccompArg argument;
  argument.index = index;
  argument.value = value;
  argument.op = oci::SeccompOperator::kEq;
  return argument;
}

oci::SeccompArg Masked(std::uint32_t index, std::uint64_t mask, std::uint64_t value) {
  oci::SeccompArg argument;
  argument.index = index;
  argument.value = mask;
  argument.value_two = value;
  argument.op = oci::SeccompOperator::kMaskedEq;
  return argument;
}

void Allow(oci::Seccomp& profile, std::vector<std::string> names, std::vector<oci::SeccompArg> arguments = {}) {
  oci::SeccompSyscall rule;
  rule.names = std::move(names);
  rule.args = std::move(arguments);
  profile.syscalls.push_back(std::move(rule));
}

// What both need: memory that is not executable, the time, randomness, an end.
oci::Seccomp CommonProfile() {
  oci::Seccomp profile;
  profile.default_action = oci::SeccompAction::kKillProcess;
  Allow(profile, {"brk", "clock_gettime", "exit_group", "futex", "getrandom", "madvise", "mremap", "munmap",
                  "restart_syscall", "rt_sigreturn"});
  Allow(profile, {"mmap"}, {Masked(2, 4 /* PROT_EXEC */, 0)});
  // Of an allocator that grows a heap of its own.
  Allow(profile, {"mprotect"}, {Masked(2, 4, 0)});
  if (kSanitized) {
    Allow(profile, {"getpid", "gettid", "sched_yield", "sigaltstack", "rt_sigaction", "rt_sigprocmask"});
    Allow(profile, {"write"}, {Is(0, 2)});
  }
  return profile;
}

oci::Seccomp ParserProfile() {
  oci::Seccomp profile = CommonProfile();
  Allow(profile, {"epoll_wait", "epoll_pwait", "epoll_ctl", "recvfrom"});
  Allow(profile, {"accept4"}, {Is(0, kTcpFd)});
  Allow(profile, {"recvmsg"}, {Is(0, kSetterFd)});
  Allow(profile, {"write"}, {Is(0, kReportFd)});
  // The kernel looks at the lower half of a descriptor's number, a comparison at all of it: a number that is wrong in
  // the upper half is no more than one of those that may send where they are connected to.
  Allow(profile, {"sendto"}, {Is(0, kUdpFd)});
  Allow(profile, {"sendto"}, {Is(4, 0)});
  // Here the upper half must not matter: descriptors from kFirstFree on, by their bits.
  static_assert(kFirstFree == 16 && kMaxDescriptors == 512);
  for (std::uint64_t bit = kFirstFree; bit < kMaxDescriptors; bit <<= 1) {
    Allow(profile, {"close"}, {Masked(0, bit, bit)});
  }
  return profile;
}

oci::Seccomp SetterProfile() {
  oci::Seccomp profile = CommonProfile();
  Allow(profile, {"close", "connect", "poll", "ppoll", "recvfrom", "recvmsg", "sendmmsg", "sendmsg", "sendto"});
  for (const std::uint64_t family : {AF_INET, AF_INET6}) {
    for (const std::uint64_t type : {SOCK_DGRAM, SOCK_STREAM}) {
      Allow(profile, {"socket"}, {Is(0, family), Is(1, type | SOCK_NONBLOCK | SOCK_CLOEXEC), Is(2, 0)});
    }
  }
  return profile;
}

Result<> Load(const oci::Seccomp& profile) {
  const confine::SeccompProgram program = TRY(confine::CompileSeccomp(profile));
  const sock_fprog bpf{.len = static_cast<unsigned short>(program.filter.size()),
                       .filter = const_cast<sock_filter*>(program.filter.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program.flags, &bpf) != 0) {
    return std::unexpected(SysError("seccomp", "load the gate's filter"));
  }
  return {};
}

// linux/landlock.h of the newest ABI, as in runtime/confine/landlock.cpp; here without any path.
struct RulesetAttributes {
  std::uint64_t handled_fs;
  std::uint64_t handled_net;  // ABI 4: bind, connect of TCP
  std::uint64_t scoped;       // ABI 6: abstract UNIX sockets, signals
};
struct NetPort {
  std::uint64_t allowed;
  std::uint64_t port;
};
constexpr std::uint64_t kConnect = 2;

// Beside seccomp and the lack of capabilities, so a kernel without it is not refused.
Result<> EnterLandlock(bool connects) {
  const int abi = confine::LandlockAbi();
  if (abi == 0) {
    return {};
  }
  std::uint64_t rights = (1U << 13) - 1;
  rights |= abi >= 2 ? 1U << 13 : 0;
  rights |= abi >= 3 ? 1U << 14 : 0;
  rights |= abi >= 5 ? 1U << 15 : 0;
  const RulesetAttributes attributes{
      .handled_fs = rights, .handled_net = abi >= 4 ? 3U : 0U, .scoped = abi >= 6 ? 3U : 0U};
  const Fd ruleset{static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0))};
  if (!ruleset) {
    return std::unexpected(SysError("landlock_create_ruleset", ""));
  }
  const NetPort port{.allowed = kConnect, .port = 53};
  if (connects && abi >= 4 && ::syscall(SYS_landlock_add_rule, ruleset.get(), 2, &port, 0) != 0) {
    return std::unexpected(SysError("landlock_add_rule", "tcp 53"));
  }
  return confine::EnterLandlock(ruleset.get());
}

Result<> Limit(int resource, rlim_t most, const char* name) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    return std::unexpected(SysError("getrlimit", name));
  }
  limit.rlim_max = std::min(limit.rlim_max, most);
  limit.rlim_cur = std::min(limit.rlim_cur, limit.rlim_max);
  if (::setrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    return std::unexpected(SysError("setrlimit", name));
  }
  return {};
}

Result<> SetLimits(rlim_t descriptors) {
  constexpr rlim_t kMemory = rlim_t{512} << 20;
  constexpr rlim_t kReportFile = rlim_t{64} << 20;
  TRY(Limit(RLIMIT_CORE, 0, "core"));
  TRY(Limit(RLIMIT_NPROC, 0, "nproc"));
  TRY(Limit(RLIMIT_FSIZE, kReportFile, "fsize"));
  TRY(Limit(RLIMIT_NOFILE, descriptors, "nofile"));
  TRY(Limit(RLIMIT_MEMLOCK, 0, "memlock"));
  TRY(Limit(RLIMIT_MSGQUEUE, 0, "msgqueue"));
  // A sanitizer's shadow is larger than the machine.
  return kSanitized ? Result<>{} : Limit(RLIMIT_AS, kMemory, "as");
}

std::uint64_t Permitted() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) {
    return 0;
  }
  return std::uint64_t{data[1].permitted} << 32 | data[0].permitted;
}

// Nobody, where there is such a one: in a user namespace it may not be mapped, and an ordinary user can only stay what
// it is. Either way no capability is left.
Result<> BecomeNobody() {
  if ((Permitted() >> CAP_SETUID & 1) == 0 || (Permitted() >> CAP_SETGID & 1) == 0) {
    return {};
  }
  // EPERM: a user namespace that denies it; what groups there are then are the user's own.
  if (::setgroups(0, nullptr) != 0 && errno != EPERM) {
    return std::unexpected(SysError("setgroups", ""));
  }
  // EINVAL: not mapped.
  if (::setresgid(kNobody, kNobody, kNobody) != 0 && errno != EINVAL) {
    return std::unexpected(SysError("setresgid", "65534"));
  }
  if (::setresuid(kNobody, kNobody, kNobody) != 0 && errno != EINVAL) {
    return std::unexpected(SysError("setresuid", "65534"));
  }
  return {};
}

// Capabilities, and what makes that final. After the change of ids, which would undo some of it.
Result<> Drop(std::uint64_t keep) {
  TRY(confine::SetCapabilities({.effective = keep, .permitted = keep}, 0));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_NO_NEW_PRIVS"));
  }
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_DUMPABLE"));
  }
  // A supervisor that ended before this is seen by the end of its socket.
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_PDEATHSIG"));
  }
  return {};
}

Result<> DropBounding(std::uint64_t keep) {
  if ((Permitted() >> CAP_SETPCAP & 1) == 0) {
    return {};  // nothing is executed any more, and no_new_privs is on
  }
  return confine::DropBounding(keep);
}

}  // namespace

Result<> ConfineParser() {
  TRY(DropBounding(0));
  TRY(BecomeNobody());
  TRY(Drop(0));
  TRY(SetLimits(kMaxDescriptors));
  TRY(EnterLandlock(false));
  return Load(ParserProfile());
}

Result<> ConfineSetter() {
  constexpr std::uint64_t kNetAdmin = std::uint64_t{1} << CAP_NET_ADMIN;
  TRY(DropBounding(kNetAdmin));
  TRY(Drop(Permitted() & kNetAdmin));
  TRY(SetLimits(kMaxDescriptors));
  TRY(EnterLandlock(true));
  return Load(SetterProfile());
}

}  // namespace nucleus::gate
