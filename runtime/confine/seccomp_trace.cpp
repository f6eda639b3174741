// Source: seccomp(2), seccomp_unotify(2).

#include "runtime/confine/seccomp_trace.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

#include "runtime/confine/seccomp_names.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace nucleus::confine {
namespace {

sock_filter Statement(std::uint16_t code, std::uint32_t k) {
  return {.code = code, .jt = 0, .jf = 0, .k = k};
}

sock_filter JumpUnlessEqual(std::uint32_t k, std::size_t over) {
  return {.code = BPF_JMP | BPF_JEQ | BPF_K, .jt = 0, .jf = static_cast<std::uint8_t>(over), .k = k};
}

// A null pointer gets EFAULT where the flags are known, EINVAL where they are not.
bool KernelHas(unsigned long flag) {
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | flag, nullptr) != 0 &&
         errno == EFAULT;
}

// x32 calls come with the architecture of x86-64 and numbers of their own.
std::vector<std::uint32_t> UntracedNumbers(std::uint32_t token) {
  std::vector<std::uint32_t> numbers;
  const auto add = [&numbers](std::uint32_t of) {
    for (const char* name : kUntraced) {
      if (const int number = SyscallNumberOn(of, name); number >= 0) {
        numbers.push_back(static_cast<std::uint32_t>(number));
      }
    }
  };
  add(token);
  if (token == SCMP_ARCH_X86_64) {
    add(SCMP_ARCH_X32);
  }
  return numbers;
}

// The answers of lower precedence than SECCOMP_RET_USER_NOTIF are the numbers from the first to below the second.
constexpr std::uint32_t kYielding = SECCOMP_RET_TRACE;
constexpr std::uint32_t kStrictest = SECCOMP_RET_KILL_PROCESS;

// Every answer that a notification would override becomes a jump to the end, where the trace's own code will stand; an
// answer out of a register (JoinFilters makes such) goes there by way of a look at it.
void TurnAnswersIntoJumps(std::vector<sock_filter>& filter) {
  const std::size_t look = filter.size();
  const std::size_t end = look + 3;
  for (std::size_t at = 0; at < look; ++at) {
    sock_filter& instruction = filter[at];
    const bool yields =
        instruction.code == (BPF_RET | BPF_K) && instruction.k >= kYielding && instruction.k < kStrictest;
    if (yields || instruction.code == (BPF_RET | BPF_A)) {
      instruction = Statement(BPF_JMP | BPF_JA, static_cast<std::uint32_t>((yields ? end : look) - at - 1));
    }
  }
  filter.push_back({.code = BPF_JMP | BPF_JGE | BPF_K, .jt = 1, .jf = 0, .k = kStrictest});
  filter.push_back({.code = BPF_JMP | BPF_JGE | BPF_K, .jt = 1, .jf = 0, .k = kYielding});
  filter.push_back(Statement(BPF_RET | BPF_A, 0));
}

void AppendTrace(std::vector<sock_filter>& filter) {
  filter.push_back(Statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)));
  for (const std::uint32_t token : {std::uint32_t{SCMP_ARCH_X86_64}, std::uint32_t{SCMP_ARCH_X86},
                                    std::uint32_t{SCMP_ARCH_AARCH64}, std::uint32_t{SCMP_ARCH_ARM}}) {
    if (!RunsHere(token)) {
      continue;
    }
    const std::vector<std::uint32_t> numbers = UntracedNumbers(token);
    filter.push_back(JumpUnlessEqual(token, 2 + 2 * numbers.size()));
    filter.push_back(Statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    for (const std::uint32_t number : numbers) {
      filter.push_back(JumpUnlessEqual(number, 1));
      filter.push_back(Statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    }
    filter.push_back(Statement(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
  }
  filter.push_back(Statement(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF));
}

}  // namespace

Result<SeccompProgram> WithTrace(SeccompProgram policies) {
  if (policies.listener) {
    return std::unexpected(Failure("seccomp: SCMP_ACT_NOTIFY and a trace, and only one process can listen", EINVAL));
  }
  if (policies.filter.empty()) {
    policies.flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  } else {
    TurnAnswersIntoJumps(policies.filter);
  }
  AppendTrace(policies.filter);
  policies.listener = true;
  policies.flags |= KernelHas(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0U;
  if (policies.filter.size() > BPF_MAXINSNS) {
    return std::unexpected(Failure("seccomp: with the trace the filter is longer than the kernel's " +
                                       std::to_string(BPF_MAXINSNS) + " instructions",
                                   E2BIG));
  }
  return policies;
}

}  // namespace nucleus::confine
