// Two filters as one: the answers of the joined program against those of the two, and a real process under it.

#include "runtime/confine/seccomp_join.h"

#include <linux/audit.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "runtime/confine/seccomp_load.h"
#include "runtime/confine/test_util.h"

namespace nucleus::confine {

BOOST_AUTO_TEST_SUITE(seccomp_join)

namespace {

// What the kernel does with two filters that were loaded in this order.
std::uint32_t Stricter(std::uint32_t first, std::uint32_t second) {
  const auto order = [](std::uint32_t answer) { return static_cast<std::int32_t>(answer & SECCOMP_RET_ACTION_FULL); };
  return order(first) < order(second) ? first : second;
}

SeccompProgram Joined(const SeccompProgram& first, const SeccompProgram& second) {
  Result<SeccompProgram> joined = JoinFilters(first, second);
  if (!joined) {
    throw std::runtime_error(joined.error().message);
  }
  return *std::move(joined);
}

const std::vector<std::string> kProfiles = {
    R"({"defaultAction": "SCMP_ACT_ALLOW"})",
    R"({"defaultAction": "SCMP_ACT_KILL_PROCESS"})",
    R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 7, "syscalls": [
        {"names": ["read", "write", "close"], "action": "SCMP_ACT_ALLOW"}]})",
    R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
        {"names": ["read"], "action": "SCMP_ACT_TRAP"},
        {"names": ["close"], "action": "SCMP_ACT_KILL_THREAD"},
        {"names": ["stat"], "action": "SCMP_ACT_LOG"}]})",
    R"({"defaultAction": "SCMP_ACT_LOG", "syscalls": [
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
        {"names": ["open"], "action": "SCMP_ACT_TRACE", "errnoRet": 3},
        {"names": ["close"], "action": "SCMP_ACT_ERRNO", "errnoRet": 9}]})",
};

}  // namespace

BOOST_AUTO_TEST_CASE(answers_as_the_stricter_of_both) {
  for (const std::string& a : kProfiles) {
    for (const std::string& b : kProfiles) {
      const SeccompProgram first = Compiled(a);
      const SeccompProgram second = Compiled(b);
      const SeccompProgram joined = Joined(first, second);
      for (const unsigned arch :
           {unsigned{AUDIT_ARCH_X86_64}, unsigned{AUDIT_ARCH_I386}, unsigned{AUDIT_ARCH_AARCH64}}) {
        for (int number = -1; number < 470; ++number) {
          for (std::uint64_t argument = 0; argument < 3; ++argument) {
            seccomp_data data{};
            data.nr = number;
            data.arch = arch;
            data.args[0] = argument;
            const std::uint32_t expected = Stricter(Run(first.filter, data), Run(second.filter, data));
            if (Run(joined.filter, data) != expected) {
              BOOST_ERROR(a << " and " << b << ": syscall " << number << " on " << arch);
            }
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(flags_of_both) {
  SeccompProgram first = Compiled(kProfiles[0]);
  SeccompProgram second = first;
  first.flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  second.flags = SECCOMP_FILTER_FLAG_LOG;
  BOOST_TEST(Joined(first, second).flags == static_cast<unsigned>(SECCOMP_FILTER_FLAG_LOG));
  second.flags |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  BOOST_TEST(Joined(first, second).flags ==
             static_cast<unsigned>(SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW));
}

BOOST_AUTO_TEST_CASE(one_listener_at_most) {
  SeccompProgram first = Compiled(kProfiles[0]);
  SeccompProgram second = first;
  first.listener = true;
  BOOST_TEST(Joined(first, second).listener);
  BOOST_TEST(Joined(second, first).listener);
  second.listener = true;
  BOOST_TEST(!JoinFilters(first, second).has_value());
}

BOOST_AUTO_TEST_CASE(what_cannot_be_joined) {
  SeccompProgram plain = Compiled(kProfiles[0]);
  SeccompProgram scratch = plain;
  scratch.filter.insert(scratch.filter.begin(), {.code = BPF_ST, .jt = 0, .jf = 0, .k = 0});
  BOOST_TEST(!JoinFilters(plain, scratch).has_value());
  BOOST_TEST(!JoinFilters(scratch, plain).has_value());
  SeccompProgram computed = plain;
  computed.filter.back().code = BPF_RET | BPF_A;
  BOOST_TEST(!JoinFilters(plain, computed).has_value());
  SeccompProgram huge = plain;
  huge.filter.insert(huge.filter.begin(), BPF_MAXINSNS - huge.filter.size(),
                     {.code = BPF_JMP | BPF_JA, .jt = 0, .jf = 0, .k = 0});
  const Result<SeccompProgram> both = JoinFilters(huge, plain);
  BOOST_REQUIRE(!both.has_value());
  BOOST_TEST(both.error().code == E2BIG);
}

// Neither filter lets the other be loaded after it: only the joined one can be.
BOOST_AUTO_TEST_CASE(the_kernel_takes_it) {
  // The second line is what the sanitizers' own code makes.
  const std::string allowed = R"("read", "write", "exit_group", "rt_sigreturn",
      "mmap", "munmap", "madvise", "brk", "futex", "sigaltstack", "rt_sigaction", "rt_sigprocmask", "getpid", "gettid")";
  const SeccompProgram joined =
      Joined(Compiled(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 7, "syscalls": [{"names": [)" +
                      allowed + R"(, "getppid"], "action": "SCMP_ACT_ALLOW"}]})"),
             Compiled(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 8, "syscalls": [{"names": [)" +
                      allowed + R"(, "getuid"], "action": "SCMP_ACT_ALLOW"}]})"));
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (!LoadFilter(joined, -1, "")) {
      ::_exit(1);
    }
    const bool refused_by_second = ::syscall(SYS_getppid) == -1 && errno == 8;
    const bool refused_by_first = ::syscall(SYS_getuid) == -1 && errno == 7;
    const bool refused_by_both = ::syscall(SYS_getgid) == -1 && errno == 8;
    ::_exit(refused_by_first && refused_by_second && refused_by_both && ::write(-1, "", 0) == -1 && errno == EBADF ? 0
                                                                                                                   : 2);
  }
  int status = 0;
  BOOST_REQUIRE(::waitpid(child, &status, 0) == child);
  BOOST_TEST(status == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::confine
