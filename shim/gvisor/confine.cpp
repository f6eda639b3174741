// Source: landlock(7), seccomp(2); what runsc calls on the host: runsc/boot/filter of gVisor, and strace.

#include "shim/gvisor/confine.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "policies/mode.h"
#include "runtime/confine/landlock.h"
#include "runtime/container/channel.h"
#include "runtime/container/evidence.h"
#include "runtime/container/filter_cache.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::gvisor {
namespace {

oci::SeccompArg Compare(oci::SeccompOperator op, std::uint64_t value) {
  oci::SeccompArg argument;
  argument.index = 0;
  argument.op = op;
  argument.value = value;
  return argument;
}

// EPERM and never a death: gVisor's platforms let the container's own calls trap in processes of the host, whose
// filters ask for that, and the kernel takes a trap before an errno.
void Deny(oci::Seccomp& profile, std::vector<std::string> names, std::vector<oci::SeccompArg> arguments = {}) {
  oci::SeccompSyscall rule;
  rule.names = std::move(names);
  rule.action = oci::SeccompAction::kErrno;
  rule.args = std::move(arguments);
  profile.syscalls.push_back(std::move(rule));
}

// A list of what is refused, not of what is allowed: which calls Go and each platform make differs from one runsc to
// the next, and its sandbox and gofer load lists of allowed ones themselves.
oci::Seccomp Profile(Part part, oci::GvisorNetwork network) {
  oci::Seccomp profile;
  profile.default_action = oci::SeccompAction::kAllow;
  // The host itself: its kernel's code, clock, swap, log, accounts.
  Deny(profile,
       {"init_module",   "finit_module",    "delete_module",  "create_module", "query_module",  "get_kernel_syms",
        "kexec_load",    "kexec_file_load", "reboot",         "swapon",        "swapoff",       "settimeofday",
        "clock_settime", "adjtimex",        "clock_adjtime",  "stime",         "acct",          "syslog",
        "quotactl",      "quotactl_fd",     "nfsservctl",     "sethostname",   "setdomainname", "vhangup",
        "iopl",          "ioperm",          "lookup_dcookie", "uselib",        "_sysctl",       "sysfs",
        "ustat"});
  // Parts of the kernel that escapes have come through, and that no kernel in user space needs.
  Deny(profile, {"bpf", "perf_event_open", "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd",
                 "add_key", "request_key", "keyctl", "fanotify_init", "fanotify_mark", "open_by_handle_at", "vmsplice",
                 "migrate_pages", "move_pages"});
  // Other processes' memory and descriptors; what is of its own kind it traces.
  Deny(profile, {"process_vm_writev", "pidfd_getfd", "kcmp"});
  // Families of sockets: UNIX, IPv4, IPv6, netlink, and packets where its stack sends them. Wider numbers than the
  // kernel looks at are greater than all of these.
  Deny(profile, {"socket", "socketpair"}, {Compare(oci::SeccompOperator::kGt, AF_PACKET)});
  for (std::uint64_t family = AF_INET + 1; family < AF_NETLINK; ++family) {
    if (family != AF_INET6) {
      Deny(profile, {"socket", "socketpair"}, {Compare(oci::SeccompOperator::kEq, family)});
    }
  }
  const bool stack = network == oci::GvisorNetwork::kSandbox && (part == Part::kSandbox || part == Part::kPlug);
  if (!stack) {
    Deny(profile, {"socket", "socketpair"}, {Compare(oci::SeccompOperator::kEq, AF_PACKET)});
  }
  if (part == Part::kPlug) {
    Deny(profile, {"ptrace", "process_vm_readv"});
  } else if (part != Part::kSandbox) {
    Deny(profile, {"mount", "umount2", "pivot_root", "chroot", "fsopen", "fsmount", "fspick", "open_tree", "move_mount",
                   "mount_setattr", "setns", "unshare", "ptrace", "process_vm_readv", "mknod", "mknodat"});
  }
  return profile;
}

// What a mode goes on without; a bundle that names none has not asked for it either, but what fails is an error.
bool MayGoOn(std::optional<oci::Mode> mode, policies::Stage stage) {
  return policies::MayDegrade(mode, stage);
}

Result<> LoadFilter(const confine::SeccompProgram& program) {
  FAULT_POINT("child.seccomp");
  const sock_fprog bpf{.len = static_cast<unsigned short>(program.filter.size()),
                       .filter = const_cast<sock_filter*>(program.filter.data())};
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program.flags, &bpf) != 0) {
    return std::unexpected(SysError("seccomp", "load the filter of runsc's processes"));
  }
  return {};
}

constexpr unsigned kRead = policies::kLandlockRead;
constexpr unsigned kWrite = policies::kLandlockWrite | policies::kLandlockTruncate;
constexpr unsigned kAll =
    kRead | kWrite | policies::kLandlockCreate | policies::kLandlockRemove | policies::kLandlockIoctl;

Result<Fd> RulesetOf(const Confinement& confinement, int program) {
  const int abi = confinement.landlock_abi;
  if (confinement.part == Part::kPlug) {
    return Fd{};
  }
  if (confinement.part == Part::kSandbox) {
    // Where its sockets are the host's, the container's are among them.
    return confine::MakeLandlockScope(confinement.network != oci::GvisorNetwork::kHost,
                                      policies::kLandlockAbstractUnix | policies::kLandlockSignal, abi);
  }
  policies::LandlockPolicy policy;
  policy.handles_tcp = abi >= 4;
  const bool client = confinement.part == Part::kClient;
  policy.rules = {{.path = "/proc", .access = kRead | (client ? kWrite : 0), .as_it_fits = true}};
  if (client) {
    policy.rules.push_back({.path = confinement.directory, .access = kAll, .as_it_fits = true});
    if (::access("/dev/ptmx", F_OK) == 0) {
      policy.rules.push_back(
          {.path = "/dev/ptmx", .access = kRead | kWrite | policies::kLandlockIoctl, .as_it_fits = true});
    }
  }
  Fd ruleset = TRY(confine::MakeLandlockRuleset(policy, abi));
  TRY(confine::AllowFile(ruleset.get(), program, kRead | policies::kLandlockExecute, abi, "runsc"));
  return ruleset;
}

Result<> EnterDomain(const Confinement& confinement, int program) {
  FAULT_POINT("child.landlock");
  const Fd ruleset = TRY(RulesetOf(confinement, program));
  return ruleset ? confine::EnterLandlock(ruleset.get()) : Result<>{};
}

bool Has(const oci::State& state, std::string_view stage) {
  return std::ranges::any_of(state.degradations,
                             [stage](const oci::Degradation& degradation) { return degradation.stage == stage; });
}

std::string DomainWords(const Confinement& confinement) {
  const int abi = confinement.landlock_abi;
  const bool tcp = confinement.network != oci::GvisorNetwork::kHost && abi >= 4;
  std::string words = tcp ? "tcp" : "";
  if (abi >= 6) {
    words += std::string{words.empty() ? "" : ","} + "abstract-unix-socket,signal";
  }
  return words;
}

}  // namespace

Result<Confinement> MakeConfinement(Confinement request, std::vector<oci::Degradation>& degradations) {
  const auto compile = [&request]() -> Result<confine::SeccompProgram> {
    FAULT_POINT("create.seccomp-compile");
    return container::CompileCached(container::FilterCacheDirectory(), Profile(request.part, request.network));
  };
  request.landlock_abi = confine::LandlockAbi();
  Result<confine::SeccompProgram> filter = compile();
  if (filter) {
    request.filter = std::move(*filter);
  } else if (MayGoOn(request.mode, policies::Stage::kSeccomp)) {
    degradations.push_back({.stage = kHostSeccomp, .reason = filter.error().message});
  } else {
    return std::unexpected(filter.error());
  }
  return request;
}

Result<> Confine(const Confinement& confinement, int program, int channel) {
  const auto go_on = [&](policies::Stage stage, const char* name, const Result<>& done) -> Result<> {
    if (done || !MayGoOn(confinement.mode, stage)) {
      return done;
    }
    return container::Send(channel, container::Tag::kDegraded, std::string{name} + ":" + done.error().message);
  };
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_NO_NEW_PRIVS"));
  }
  if (confinement.landlock_abi > 0) {
    TRY(go_on(policies::Stage::kLandlock, kHostLandlock, EnterDomain(confinement, program)));
  }
  return confinement.filter ? go_on(policies::Stage::kSeccomp, kHostSeccomp, LoadFilter(*confinement.filter))
                            : Result<>{};
}

void TellConfinement(const Confinement& confinement, const oci::State& state, oci::StringMap& evidence) {
  if (const std::string words = DomainWords(confinement); !words.empty() && !Has(state, kHostLandlock)) {
    evidence["gvisor.host.landlock"] = words;
    evidence["gvisor.host.landlock.abi"] = std::to_string(confinement.landlock_abi);
  }
  if (confinement.filter && !Has(state, kHostSeccomp)) {
    evidence["gvisor.host.seccomp.filter"] = container::FilterDigest(*confinement.filter);
  }
  evidence["gvisor.host.root"] = "own";
}

}  // namespace nucleus::gvisor
