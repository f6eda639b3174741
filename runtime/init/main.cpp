// nucleus-init, process 1 of a container that has one: reaps every orphan, forwards signals to the workload, and ends
// as the workload ends, whereupon the kernel ends the rest of the pid namespace. A program of its own, some kilobytes
// in a sealed memfd (runtime/container/init.h tells why), without the C library, memory of its own, or a descriptor.
//
//   nucleus-init PID     PID: the workload's, a child of the process that executes this
//
// Signals are blocked when it starts. Its descriptor 0 is a pipe: one byte says that it has confined itself (0), or
// the errno why it could not.
// Source: seccomp(2), capset(2), sigwaitinfo(2), pid_namespaces(7).

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstddef>

#include "runtime/sys/raw_call.h"

namespace {

using nucleus::sys::RawCall;

#if defined(__x86_64__)

constexpr unsigned kArchitecture = AUDIT_ARCH_X86_64;

// NOLINTNEXTLINE(hicpp-no-assembler): the entry of a program has no C++ form.
__asm__(
    ".text\n"
    ".globl _start\n"
    "_start:\n"
    "  xor %ebp, %ebp\n"
    "  mov %rsp, %rdi\n"
    "  and $-16, %rsp\n"
    "  call NucleusInit\n");

#elif defined(__aarch64__)

constexpr unsigned kArchitecture = AUDIT_ARCH_AARCH64;

// NOLINTNEXTLINE(hicpp-no-assembler)
__asm__(
    ".text\n"
    ".globl _start\n"
    "_start:\n"
    "  mov x29, xzr\n"
    "  mov x0, sp\n"
    "  bl NucleusInit\n");

#else
#error "nucleus-init: not written for this processor"
#endif

constexpr unsigned long kAllSignals = ~0UL;

long Address(const void* place) {
  return reinterpret_cast<long>(place);
}

// All that is left to do from then on. Whatever else comes is not this program's own idea: the container ends.
constexpr sock_filter Permit(unsigned number, unsigned char jump) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, jump, 0);
}
constexpr sock_filter kFilter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 0, 8),
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
    Permit(__NR_rt_sigtimedwait, 7),
    Permit(__NR_wait4, 6),
    Permit(__NR_kill, 5),
    Permit(__NR_rt_sigqueueinfo, 4),
    Permit(__NR_write, 3),
    Permit(__NR_close, 2),
    Permit(__NR_exit_group, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

// Without CAP_KILL a workload that has become another user could not be told anything. It reaches this pid namespace
// alone, whose processes end with this one in any case.
long KeepOnlyKill() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2] = {};
  if (const long result = RawCall(__NR_capget, Address(&header), Address(sets)); result < 0) {
    return result;
  }
  const unsigned kept = sets[0].permitted & (1U << CAP_KILL);
  sets[0].permitted = kept;
  sets[0].effective = kept;
  sets[0].inheritable = 0;  // and with it the ambient set
  sets[1].permitted = 0;
  sets[1].effective = 0;
  sets[1].inheritable = 0;
  return RawCall(__NR_capset, Address(&header), Address(sets));
}

// 0, or an errno below zero. What it is under already (identity, limits, labels, Landlock) was the process's before.
long Confine() {
  // The C library of the process that executed this one keeps two signals out of every mask.
  RawCall(__NR_rt_sigprocmask, SIG_SETMASK, Address(&kAllSignals), 0, sizeof kAllSignals);
  const char name[] = "nucleus-init";
  RawCall(__NR_prctl, PR_SET_NAME, Address(name));
  // No directory of the workload is kept busy; where "/" is closed to this user it stays where it is.
  RawCall(__NR_chdir, Address("/"));
  long result = RawCall(__NR_prctl, PR_SET_DUMPABLE, 0);
  if (result == 0) {
    result = KeepOnlyKill();
  }
  // It executes nothing any more.
  if (result == 0) {
    result = RawCall(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1);
  }
  if (result == 0) {
    auto* filter = const_cast<sock_filter*>(kFilter);
    // Nobody relocates this program: the address has to be computed.
    __asm__("" : "+r"(filter));  // NOLINT(hicpp-no-assembler)
    const sock_fprog program{.len = sizeof kFilter / sizeof kFilter[0], .filter = filter};
    result = RawCall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, Address(&program));
  }
  return result;
}

long Number(const char* text) {
  long value = 0;
  for (; *text >= '0' && *text <= '9'; ++text) {
    value = value * 10 + (*text - '0');
  }
  return value;
}

[[noreturn]] void End(int status) {
  for (;;) {
    RawCall(__NR_exit_group, status);
  }
}

// Ends with the workload; as callers see a signal's death with every runtime, 128 and its number.
void Reap(long workload) {
  for (;;) {
    int status = 0;
    const long ended = RawCall(__NR_wait4, -1, Address(&status), WNOHANG | __WALL);
    if (ended <= 0) {
      return;
    }
    if (ended == workload) {
      constexpr int kSignalBase = 128;
      End(WIFSIGNALED(status) ? kSignalBase + WTERMSIG(status) : WEXITSTATUS(status));
    }
  }
}

// Every signal but SIGCHLD, which tells of children: two of a kind become one, so that one that was sent by somebody
// cannot be told from the kernel's.
[[noreturn]] void Serve(long workload) {
  for (;;) {
    siginfo_t info;
    info.si_code = 0;  // not all of it: that would be a call of memset
    const long signal = RawCall(__NR_rt_sigtimedwait, Address(&kAllSignals), Address(&info), 0, sizeof kAllSignals);
    if (signal == SIGCHLD) {
      Reap(workload);
    } else if (signal > 0 && info.si_code == SI_QUEUE) {
      RawCall(__NR_rt_sigqueueinfo, workload, signal, Address(&info));
    } else if (signal > 0) {
      RawCall(__NR_kill, workload, signal);
    } else if (signal != -EINTR) {
      End(1);
    }
  }
}

}  // namespace

extern "C" [[noreturn, gnu::used, gnu::visibility("hidden")]] void NucleusInit(const long* stack) {
  const auto* const argv = reinterpret_cast<const char* const*>(stack + 1);
  const long workload = *stack == 2 ? Number(argv[1]) : 0;
  const long result = workload > 1 ? Confine() : -EINVAL;
  const auto answer = static_cast<char>(-result);
  const long told = RawCall(__NR_write, 0, Address(&answer), 1);
  if (result != 0 || told != 1) {
    // The other process reports it, and ends; this one's end would come before.
    RawCall(__NR_wait4, workload, 0, 0);
    End(1);
  }
  RawCall(__NR_close, 0);
  Serve(workload);
}
