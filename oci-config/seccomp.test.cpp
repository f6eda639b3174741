// config.json's `linux.seccomp`.

#include <boost/test/unit_test.hpp>

#include "oci-config/test_util.h"

namespace nucleus::oci {
namespace {

using testing::ErrorOf;
using testing::Good;
using testing::LinuxConfig;
using testing::Refusal;
using testing::SeccompConfig;
using testing::Strings;

Seccomp GoodSeccomp(std::string_view members) {
  return *Good(SeccompConfig(members)).linux_.seccomp;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(seccomp)

BOOST_AUTO_TEST_CASE(every_property) {
  const Seccomp seccomp = GoodSeccomp(R"(
    "defaultErrnoRet": 38,
    "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X32"],
    "flags": ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
              "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"],
    "listenerPath": "/run/agent.sock",
    "listenerMetadata": "m",
    "syscalls": [
      {"names": ["read", "no_such_syscall"], "action": "SCMP_ACT_ALLOW"},
      {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 65535,
       "args": [{"index": 5, "value": 18446744073709551615, "valueTwo": 18446744073709551615, "op": "SCMP_CMP_MASKED_EQ"},
                {"index": 0, "value": 0, "op": "SCMP_CMP_NE"}]},
      {"names": ["mount"], "action": "SCMP_ACT_NOTIFY"}])");
  BOOST_TEST((seccomp.default_action == SeccompAction::kErrno));
  BOOST_TEST(*seccomp.default_errno_ret == 38U);
  BOOST_TEST(seccomp.architectures == (Strings{"SCMP_ARCH_X86_64", "SCMP_ARCH_X32"}), boost::test_tools::per_element());
  BOOST_TEST((*seccomp.flags == std::vector<SeccompFlag>{SeccompFlag::kTsync, SeccompFlag::kLog,
                                                         SeccompFlag::kSpecAllow, SeccompFlag::kWaitKillableRecv}));
  BOOST_TEST(seccomp.listener_path == "/run/agent.sock");
  BOOST_TEST(seccomp.listener_metadata == "m");
  BOOST_REQUIRE(seccomp.syscalls.size() == 3U);
  BOOST_TEST(seccomp.syscalls[0].names == (Strings{"read", "no_such_syscall"}), boost::test_tools::per_element());
  BOOST_TEST((seccomp.syscalls[0].action == SeccompAction::kAllow));
  BOOST_TEST(!seccomp.syscalls[0].errno_ret.has_value());
  BOOST_TEST(*seccomp.syscalls[1].errno_ret == 65535U);
  BOOST_REQUIRE(seccomp.syscalls[1].args.size() == 2U);
  BOOST_TEST(seccomp.syscalls[1].args[0].index == 5U);
  BOOST_TEST(seccomp.syscalls[1].args[0].value == UINT64_MAX);
  BOOST_TEST(seccomp.syscalls[1].args[0].value_two == UINT64_MAX);
  BOOST_TEST((seccomp.syscalls[1].args[0].op == SeccompOperator::kMaskedEq));
  BOOST_TEST(seccomp.syscalls[1].args[1].value_two == 0U);
  BOOST_TEST((seccomp.syscalls[2].action == SeccompAction::kNotify));
}

BOOST_AUTO_TEST_CASE(absent_flags_differ_from_none) {
  BOOST_TEST(!GoodSeccomp(R"("syscalls": [])").flags.has_value());
  BOOST_TEST(!GoodSeccomp(R"("flags": null)").flags.has_value());
  BOOST_TEST(GoodSeccomp(R"("flags": [])").flags.has_value());
}

BOOST_AUTO_TEST_CASE(all_actions) {
  static constexpr std::pair<const char*, SeccompAction> kActions[] = {
      {"KILL", SeccompAction::kKillThread},
      {"KILL_THREAD", SeccompAction::kKillThread},
      {"KILL_PROCESS", SeccompAction::kKillProcess},
      {"TRAP", SeccompAction::kTrap},
      {"ERRNO", SeccompAction::kErrno},
      {"TRACE", SeccompAction::kTrace},
      {"ALLOW", SeccompAction::kAllow},
      {"LOG", SeccompAction::kLog},
  };
  for (const auto& [name, action] : kActions) {
    const std::string word = "\"SCMP_ACT_" + std::string{name} + "\"";
    const Spec as_default = Good(LinuxConfig(R"("seccomp": {"defaultAction": )" + word + "}"));
    BOOST_TEST((as_default.linux_.seccomp->default_action == action));
    const Seccomp as_rule = GoodSeccomp(R"("syscalls": [{"names": ["read"], "action": )" + word + "}]");
    BOOST_TEST((as_rule.syscalls.at(0).action == action));
    // An errno only where the action returns one.
    const std::string with_errno =
        ErrorOf(SeccompConfig(R"("syscalls": [{"names": ["read"], "errnoRet": 1, "action": )" + word + "}]"));
    const bool takes = action == SeccompAction::kErrno || action == SeccompAction::kTrace;
    BOOST_TEST(with_errno == (takes ? "accepted"
                                    : "config.json: linux.seccomp.syscalls[0].errnoRet: only for SCMP_ACT_ERRNO and "
                                      "SCMP_ACT_TRACE"));
  }
}

BOOST_AUTO_TEST_CASE(all_operators) {
  static constexpr std::pair<const char*, SeccompOperator> kOperators[] = {
      {"NE", SeccompOperator::kNe},
      {"LT", SeccompOperator::kLt},
      {"LE", SeccompOperator::kLe},
      {"EQ", SeccompOperator::kEq},
      {"GE", SeccompOperator::kGe},
      {"GT", SeccompOperator::kGt},
      {"MASKED_EQ", SeccompOperator::kMaskedEq},
  };
  for (const auto& [name, op] : kOperators) {
    const Seccomp seccomp = GoodSeccomp(R"("syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW",
        "args": [{"index": 1, "value": 2, "op": "SCMP_CMP_)" +
                                        std::string{name} + "\"}]}]");
    BOOST_TEST((seccomp.syscalls.at(0).args.at(0).op == op));
  }
}

BOOST_AUTO_TEST_CASE(all_architectures) {
  static constexpr const char* kNames[] = {"X86",     "X86_64",      "X32",    "ARM",      "AARCH64",     "MIPS",
                                           "MIPS64",  "MIPS64N32",   "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PPC",
                                           "PPC64",   "PPC64LE",     "S390",   "S390X",    "PARISC",      "PARISC64",
                                           "RISCV64", "LOONGARCH64", "M68K",   "SH",       "SHEB"};
  static_assert(std::size(kNames) == 23);
  for (const char* name : kNames) {
    BOOST_TEST(ErrorOf(SeccompConfig("\"architectures\": [\"SCMP_ARCH_" + std::string{name} + "\"]")) == "accepted");
  }
}

// Of Docker's and podman's own profiles.
BOOST_AUTO_TEST_CASE(what_callers_write) {
  BOOST_TEST(ErrorOf(LinuxConfig(R"("seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
      "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], "syscalls": [
      {"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 4294967295,
       "op": "SCMP_CMP_EQ"}], "comment": "", "includes": {}, "excludes": {}},
      {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "errno": "ENOSYS", "args": []},
      {"names": ["futex_waitv", "uretprobe", "lsm_get_self_attr"], "action": "SCMP_ACT_ALLOW", "args": null}]})")) ==
             "accepted");
  BOOST_TEST(ErrorOf(LinuxConfig(R"("seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": null})")) == "accepted");
}

BOOST_AUTO_TEST_CASE(refusals) {
  static constexpr Refusal kRefusals[] = {
      {R"("defaultErrnoRet": 65536)", "defaultErrnoRet: out of range"},
      {R"("defaultErrnoRet": -1)", "defaultErrnoRet: out of range"},
      {R"("architectures": ["x86_64"])", R"(architectures[0]: unknown architecture "x86_64")"},
      {R"("architectures": ["SCMP_ARCH_NATIVE2"])", R"(architectures[0]: unknown architecture "SCMP_ARCH_NATIVE2")"},
      {R"("architectures": "SCMP_ARCH_X86")", "architectures: expected array"},
      {R"("flags": ["SECCOMP_FILTER_FLAG_NEW_LISTENER"])",
       R"(flags[0]: unknown seccomp flag "SECCOMP_FILTER_FLAG_NEW_LISTENER")"},
      {R"("flags": "x")", "flags: expected array"},
      {R"("listenerMetadata": "m")", "listenerMetadata: needs listenerPath"},
      {R"("listenerPath": 1)", "listenerPath: expected string"},
      {R"("syscalls": {})", "syscalls: expected array"},
      {R"("syscalls": [{"action": "SCMP_ACT_ALLOW"}])", "syscalls[0].names: must not be empty"},
      {R"("syscalls": [{"names": [], "action": "SCMP_ACT_ALLOW"}])", "syscalls[0].names: must not be empty"},
      {R"("syscalls": [{"names": ["a", ""], "action": "SCMP_ACT_ALLOW"}])", "syscalls[0].names[1]: must not be empty"},
      {R"("syscalls": [{"names": "read", "action": "SCMP_ACT_ALLOW"}])", "syscalls[0].names: expected array"},
      {R"("syscalls": [{"names": ["read"]}])", "syscalls[0].action: required"},
      {R"("syscalls": [{"names": ["read"], "action": "ALLOW"}])",
       R"(syscalls[0].action: unknown seccomp action "ALLOW")"},
      {R"("syscalls": [{"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 65536}])",
       "syscalls[0].errnoRet: out of range"},
      {R"("syscalls": [{"names": ["read"], "action": "SCMP_ACT_NOTIFY"}])",
       "syscalls[0].action: SCMP_ACT_NOTIFY needs listenerPath"},
      {R"("syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 6, "value": 0,
                        "op": "SCMP_CMP_EQ"}]}])",
       "syscalls[0].args[0].index: must be from 0 to 5"},
      {R"("syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0}]}])",
       "syscalls[0].args[0].op: required"},
      {R"("syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 0, "op": "=="}]}])",
       R"(syscalls[0].args[0].op: unknown operator "==")"},
      {R"("syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": -1,
                        "op": "SCMP_CMP_EQ"}]}])",
       "syscalls[0].args[0].value: out of range"},
      {R"("syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0,
                        "value": 18446744073709551616, "op": "SCMP_CMP_EQ"}]}])",
       "syscalls[0].args[0].value: out of range"},
  };
  for (const Refusal& refusal : kRefusals) {
    BOOST_TEST_CONTEXT("the fragment " << refusal.fragment) {
      BOOST_TEST(ErrorOf(SeccompConfig(refusal.fragment)) ==
                 "config.json: linux.seccomp." + std::string{refusal.error});
    }
  }
  BOOST_TEST(ErrorOf(LinuxConfig(R"("seccomp": {"syscalls": []})")) ==
             "config.json: linux.seccomp.defaultAction: required");
  BOOST_TEST(ErrorOf(LinuxConfig(R"("seccomp": {"defaultAction": "SCMP_ACT_NOTIFY", "listenerPath": "/x"})")) ==
             "config.json: linux.seccomp.defaultAction: must not be SCMP_ACT_NOTIFY");
  BOOST_TEST(ErrorOf(LinuxConfig(R"("seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1})")) ==
             "config.json: linux.seccomp.defaultErrnoRet: only for SCMP_ACT_ERRNO and SCMP_ACT_TRACE");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::oci
