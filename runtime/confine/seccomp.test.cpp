// What a compiled filter says of syscalls.

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/syscall.h>

#include <boost/test/unit_test.hpp>
#include <cstddef>

#include "oci-config/parse.h"
#include "policies/builtin.h"
#include "runtime/confine/confine.h"
#include "runtime/confine/seccomp_names.h"
#include "runtime/confine/test_util.h"

namespace nucleus::confine {
namespace {

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t kX32Bit = 0x40000000;

constexpr std::uint32_t Errno(std::uint32_t value) {
  return SECCOMP_RET_ERRNO | value;
}

#ifdef __x86_64__

std::uint32_t Native(const SeccompProgram& program, int number, std::initializer_list<std::uint64_t> args = {}) {
  seccomp_data data{};
  data.nr = number;
  data.arch = AUDIT_ARCH_X86_64;
  std::size_t index = 0;
  for (const std::uint64_t arg : args) {
    data.args[index++] = arg;
  }
  return Run(program.filter, data);
}
std::uint32_t On(const SeccompProgram& program, std::uint32_t arch, int number) {
  seccomp_data data{};
  data.nr = number;
  data.arch = arch;
  return Run(program.filter, data);
}

// read is 0, write 1; statx is 332, clone3 435, landlock_restrict_self 446.
const std::string kAllowList = R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
    {"names": ["read", "write", "exit_group", "no_such_syscall_ever", "statx", "clone3"], "action": "SCMP_ACT_ALLOW"},
    {"names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
    {"names": ["ptrace"], "action": "SCMP_ACT_KILL_PROCESS"},
    {"names": ["reboot"], "action": "SCMP_ACT_KILL"},
    {"names": ["kexec_load"], "action": "SCMP_ACT_TRAP"},
    {"names": ["personality"], "action": "SCMP_ACT_LOG"},
    {"names": ["acct"], "action": "SCMP_ACT_TRACE", "errnoRet": 7}]})";

#endif

}  // namespace

#ifdef __x86_64__

BOOST_AUTO_TEST_SUITE(seccomp_filter)

BOOST_AUTO_TEST_CASE(actions) {
  const SeccompProgram program = Compiled(kAllowList);
  BOOST_TEST(Native(program, SYS_read) == kAllow);
  BOOST_TEST(Native(program, SYS_write) == kAllow);
  BOOST_TEST(Native(program, SYS_statx) == kAllow);
  BOOST_TEST(Native(program, SYS_mount) == Errno(5));
  BOOST_TEST(Native(program, SYS_ptrace) == SECCOMP_RET_KILL_PROCESS);
  BOOST_TEST(Native(program, SYS_reboot) == SECCOMP_RET_KILL_THREAD);
  BOOST_TEST(Native(program, SYS_kexec_load) == SECCOMP_RET_TRAP);
  BOOST_TEST(Native(program, SYS_personality) == SECCOMP_RET_LOG);
  BOOST_TEST(Native(program, SYS_acct) == (SECCOMP_RET_TRACE | 7U));
  BOOST_TEST(Native(program, SYS_unshare) == Errno(EPERM));
  BOOST_TEST(!program.listener);
  BOOST_TEST(program.filter.size() <= std::size_t{BPF_MAXINSNS});
}

// Newer than the profile, and every number beyond, up to those that no kernel has.
BOOST_AUTO_TEST_CASE(newer_syscalls_answer_enosys) {
  const SeccompProgram program = Compiled(kAllowList);
  BOOST_TEST(Native(program, 435) == kAllow);
  BOOST_TEST(Native(program, 434) == Errno(EPERM));
  for (const int number : {436, 446, 500, 100000, 0x3FFFFFFF}) {
    BOOST_TEST(Native(program, number) == Errno(ENOSYS));
  }
  // A rule that says the same as the default still tells that its author knew the syscall.
  const SeccompProgram denied = Compiled(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "syscalls": [
      {"names": ["read"], "action": "SCMP_ACT_ALLOW"}, {"names": ["clone3"], "action": "SCMP_ACT_ERRNO"}]})");
  BOOST_TEST(Native(denied, 435) == Errno(EPERM));
  BOOST_TEST(Native(denied, 436) == Errno(ENOSYS));
  // Where the default is to let through, nothing is taken away.
  const SeccompProgram allowed = Compiled(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
      {"names": ["mount"], "action": "SCMP_ACT_ERRNO"}]})");
  BOOST_TEST(Native(allowed, 450) == kAllow);
  BOOST_TEST(Native(allowed, SYS_mount) == Errno(EPERM));
}

BOOST_AUTO_TEST_CASE(default_errno) {
  const SeccompProgram program = Compiled(R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "syscalls": [
      {"names": ["read"], "action": "SCMP_ACT_ALLOW"}, {"names": ["write"], "action": "SCMP_ACT_ERRNO"}]})");
  BOOST_TEST(Native(program, SYS_mount) == Errno(38));
  BOOST_TEST(Native(program, SYS_write) == Errno(EPERM));
  BOOST_TEST(Native(program, 9999) == Errno(38));
}

BOOST_AUTO_TEST_CASE(architectures) {
  const std::string rules = R"("syscalls": [{"names": ["read", "clone3"], "action": "SCMP_ACT_ALLOW"}]})";
  const SeccompProgram native = Compiled(R"({"defaultAction": "SCMP_ACT_ERRNO", )" + rules);
  // What is not listed is killed, whatever its number: on x86, 3 is read and 0 is restart_syscall.
  BOOST_TEST(On(native, AUDIT_ARCH_I386, 3) == SECCOMP_RET_KILL_THREAD);
  BOOST_TEST(On(native, AUDIT_ARCH_AARCH64, 63) == SECCOMP_RET_KILL_THREAD);
  BOOST_TEST(Native(native, static_cast<int>(kX32Bit)) != kAllow);
  const SeccompProgram all = Compiled(
      R"({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32",
          "SCMP_ARCH_AARCH64", "SCMP_ARCH_LOONGARCH64"], )" +
      rules);
  BOOST_TEST(Native(all, SYS_read) == kAllow);
  BOOST_TEST(On(all, AUDIT_ARCH_I386, 3) == kAllow);
  BOOST_TEST(On(all, AUDIT_ARCH_I386, 435) == kAllow);
  BOOST_TEST(On(all, AUDIT_ARCH_I386, 0) == Errno(EPERM));
  BOOST_TEST(On(all, AUDIT_ARCH_I386, 436) == Errno(ENOSYS));
  BOOST_TEST(Native(all, static_cast<int>(kX32Bit | 0)) == kAllow);
  BOOST_TEST(Native(all, static_cast<int>(kX32Bit | 1)) == Errno(EPERM));
  BOOST_TEST(Native(all, static_cast<int>(kX32Bit | 435)) == kAllow);
  BOOST_TEST(Native(all, static_cast<int>(kX32Bit | 600)) == Errno(ENOSYS));
  BOOST_TEST(Native(all, 436) == Errno(ENOSYS));
  BOOST_TEST(On(all, AUDIT_ARCH_AARCH64, 63) == SECCOMP_RET_KILL_THREAD);
}

BOOST_AUTO_TEST_CASE(comparisons_are_of_64_bits) {
  static constexpr const char* kOperators[] = {"NE", "LT", "LE", "EQ", "GE", "GT"};
  static constexpr std::uint64_t kValues[] = {0,          1,           0x7FFFFFFF,        0x80000000,
                                              0xFFFFFFFF, 0x100000000, 0x100000001,       0xFFFFFFFF00000000,
                                              UINT64_MAX, 0xFFFFFFFE,  0x7FFFFFFFFFFFFFFF};
  for (const std::string op : kOperators) {
    for (const std::uint64_t value : kValues) {
      const SeccompProgram program = Compiled(
          R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["ioctl"], "action": "SCMP_ACT_ALLOW",
              "args": [{"index": 2, "value": )" +
          std::to_string(value) + R"(, "op": "SCMP_CMP_)" + op + R"("}]}]})");
      for (const std::uint64_t argument : kValues) {
        const bool wanted = op == "NE"   ? argument != value
                            : op == "LT" ? argument < value
                            : op == "LE" ? argument <= value
                            : op == "EQ" ? argument == value
                            : op == "GE" ? argument >= value
                                         : argument > value;
        BOOST_TEST_CONTEXT(argument << " " << op << " " << value) {
          BOOST_TEST(Native(program, SYS_ioctl, {0, 0, argument}) == (wanted ? kAllow : Errno(EPERM)));
        }
      }
    }
  }
}

// value is the mask, valueTwo what must be left.
BOOST_AUTO_TEST_CASE(masked_comparison) {
  const SeccompProgram program = Compiled(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["clone"],
      "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2114060288, "valueTwo": 0,
      "op": "SCMP_CMP_MASKED_EQ"}]}]})");
  BOOST_TEST(Native(program, SYS_clone, {0}) == kAllow);
  BOOST_TEST(Native(program, SYS_clone, {0x11}) == kAllow);
  BOOST_TEST(Native(program, SYS_clone, {0x10000000}) == Errno(EPERM));  // CLONE_NEWUSER
  BOOST_TEST(Native(program, SYS_clone, {0x00020000}) == Errno(EPERM));  // CLONE_NEWNS
  BOOST_TEST(Native(program, SYS_clone, {0x100000000}) == kAllow);
}

BOOST_AUTO_TEST_CASE(several_arguments) {
  const auto rule = [](const std::string& args) {
    return Compiled(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["socket"],
        "action": "SCMP_ACT_ALLOW", "args": [)" +
                    args + "]}]}");
  };
  // All of one rule must hold.
  const SeccompProgram both = rule(R"({"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
      {"index": 2, "value": 3, "op": "SCMP_CMP_EQ"})");
  BOOST_TEST(Native(both, SYS_socket, {1, 0, 3}) == kAllow);
  BOOST_TEST(Native(both, SYS_socket, {1, 0, 2}) == Errno(EPERM));
  BOOST_TEST(Native(both, SYS_socket, {2, 0, 3}) == Errno(EPERM));
  // The same argument twice means either.
  const SeccompProgram either = rule(R"({"index": 0, "value": 1, "op": "SCMP_CMP_EQ"},
      {"index": 0, "value": 2, "op": "SCMP_CMP_EQ"})");
  BOOST_TEST(Native(either, SYS_socket, {1}) == kAllow);
  BOOST_TEST(Native(either, SYS_socket, {2}) == kAllow);
  BOOST_TEST(Native(either, SYS_socket, {3}) == Errno(EPERM));
}

BOOST_AUTO_TEST_CASE(flags_and_listener) {
  const auto with = [](const std::string& members) {
    return Compiled(R"({"defaultAction": "SCMP_ACT_ALLOW", )" + members + "}");
  };
  BOOST_TEST(with(R"("syscalls": [])").flags == static_cast<unsigned>(SECCOMP_FILTER_FLAG_SPEC_ALLOW));
  BOOST_TEST(with(R"("flags": [])").flags == 0U);
  BOOST_TEST(with(R"("flags": ["SECCOMP_FILTER_FLAG_TSYNC"])").flags == 0U);
  BOOST_TEST(with(R"("flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"])").flags ==
             static_cast<unsigned>(SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW));
  BOOST_TEST(with(R"("flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"])").flags == 0U);
  const SeccompProgram notify = with(R"("listenerPath": "/l", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
      "syscalls": [{"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}])");
  BOOST_TEST(notify.listener);
  BOOST_TEST(notify.flags == 1U << 5);
  BOOST_TEST(Native(notify, SYS_mount) == SECCOMP_RET_USER_NOTIF);
}

BOOST_AUTO_TEST_CASE(syscalls_that_libseccomp_does_not_know) {
  const SeccompProgram program = Compiled(R"({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
      {"names": ["mseal", "read"], "action": "SCMP_ACT_ALLOW"}]})");
  BOOST_TEST(Native(program, 462) == kAllow);
  BOOST_TEST(Native(program, 461) == Errno(EPERM));
  BOOST_TEST(Native(program, 463) == Errno(ENOSYS));
  BOOST_TEST(SyscallNumber("mseal") == 462);
  BOOST_TEST(SyscallNumber("read") == 0);
  BOOST_TEST(SyscallNumber("no_such_syscall_ever") < 0);
}

BOOST_AUTO_TEST_CASE(thousands_of_rules_fit_or_are_refused) {
  std::string rules;
  for (int value = 0; value < 3000; ++value) {
    rules += (value == 0 ? "" : ",") +
             std::string{R"({"names": ["ioctl"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 1, "value": )"} +
             std::to_string(value) + R"(, "op": "SCMP_CMP_EQ"}]})";
  }
  const Result<oci::Spec> spec = oci::ParseSpec(
      R"({"ociVersion": "1.3.0", "root": {"path": "r"}, "linux": {"seccomp": {"defaultAction": "SCMP_ACT_ERRNO",
          "syscalls": [)" +
          rules + "]}}}",
      "config.json");
  BOOST_REQUIRE(spec.has_value());
  const Result<SeccompProgram> program = CompileSeccomp(*spec->linux_.seccomp);
  if (program) {
    BOOST_TEST(program->filter.size() <= std::size_t{BPF_MAXINSNS});
    BOOST_TEST(Native(*program, SYS_ioctl, {0, 2999}) == kAllow);
    BOOST_TEST(Native(*program, SYS_ioctl, {0, 3000}) == Errno(EPERM));
  } else {
    BOOST_TEST(program.error().code == E2BIG);
  }
}

BOOST_AUTO_TEST_CASE(shared_with_a_child) {
  const SeccompProgram program = Compiled(kAllowList);
  const Result<std::unique_ptr<SharedProgram>> shared = SharedProgram::Create();
  BOOST_REQUIRE(shared.has_value());
  BOOST_REQUIRE((*shared)->Set(program).has_value());
  const SeccompProgram copy = (*shared)->Get();
  BOOST_TEST(copy.flags == program.flags);
  BOOST_TEST(copy.listener == program.listener);
  BOOST_REQUIRE(copy.filter.size() == program.filter.size());
  BOOST_TEST(std::memcmp(copy.filter.data(), program.filter.data(), copy.filter.size() * sizeof(sock_filter)) == 0);
  SeccompProgram bad;
  BOOST_TEST(!(*shared)->Set(bad).has_value());
  bad.filter.resize(BPF_MAXINSNS + 1);
  BOOST_TEST(!(*shared)->Set(bad).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

#endif

BOOST_AUTO_TEST_SUITE(seccomp_names)

BOOST_AUTO_TEST_CASE(architectures) {
  BOOST_TEST(ArchitectureToken("SCMP_ARCH_X86_64") != 0U);
  BOOST_TEST(ArchitectureToken("x86_64") == 0U);
  BOOST_TEST(ArchitectureToken("") == 0U);
  BOOST_TEST(!RunsHere(0));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(builtin_agent_seccomp)

BOOST_AUTO_TEST_CASE(its_names_are_system_calls_of_one_of_its_architectures) {
  const Result<oci::Seccomp> profile = oci::ParseSeccompDocument(policies::BuiltinAgentSeccomp(), "agent-seccomp.json");
  BOOST_TEST_REQUIRE(profile.has_value());
  for (const oci::SeccompSyscall& rule : profile->syscalls) {
    for (const std::string& name : rule.names) {
      const bool known = SyscallNumberOn(SCMP_ARCH_X86_64, name) >= 0 || SyscallNumberOn(SCMP_ARCH_AARCH64, name) >= 0;
      BOOST_TEST(known, name);
    }
  }
}

BOOST_AUTO_TEST_CASE(it_compiles) {
  const Result<oci::Seccomp> profile = oci::ParseSeccompDocument(policies::BuiltinAgentSeccomp(), "agent-seccomp.json");
  BOOST_TEST_REQUIRE(profile.has_value());
  const Result<SeccompProgram> program = CompileSeccomp(*profile);
  BOOST_TEST_REQUIRE(program.has_value());
  BOOST_TEST(program->flags == 0U);
  BOOST_TEST(!program->listener);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::confine
