// Shorter filters: their answers against those of the program that they were made of, argument checks included.

#include "runtime/confine/seccomp_shrink.h"

#include <linux/audit.h>

#include <boost/test/unit_test.hpp>
#include <random>
#include <set>

#include "policies/builtin.h"
#include "runtime/confine/test_util.h"

namespace nucleus::confine {

BOOST_AUTO_TEST_SUITE(seccomp_shrink)

namespace {

constexpr std::uint16_t kLoad = BPF_LD | BPF_W | BPF_ABS;

sock_filter Load(std::uint32_t offset) {
  return BPF_STMT(kLoad, offset);
}
sock_filter If(std::uint16_t code, std::uint32_t k, std::uint8_t yes, std::uint8_t no) {
  return BPF_JUMP(static_cast<std::uint16_t>(BPF_JMP | code | BPF_K), k, yes, no);
}
sock_filter Return(std::uint32_t answer) {
  return BPF_STMT(BPF_RET | BPF_K, answer);
}

// A number of rules with the same end for neighbours, as libseccomp lays them out: one comparison for each.
std::vector<sock_filter> OneByOne(const std::vector<std::uint32_t>& allowed) {
  std::vector<sock_filter> filter = {Load(4), If(BPF_JEQ, AUDIT_ARCH_X86_64, 1, 0), Return(SECCOMP_RET_KILL_PROCESS),
                                     Load(0)};
  for (const std::uint32_t number : allowed) {
    filter.push_back(If(BPF_JEQ, number, 0, 1));
    filter.push_back(Return(SECCOMP_RET_ALLOW));
  }
  filter.push_back(Return(SECCOMP_RET_ERRNO | 1));
  return filter;
}

void CheckSame(const std::vector<sock_filter>& before, const std::vector<sock_filter>& after) {
  std::set<std::uint32_t> values = {0, 1, 0x3fffffff, 0x40000000, 0x40000001, 0x7fffffff, 0xffffffff};
  for (const sock_filter& instruction : before) {
    if (BPF_CLASS(instruction.code) == BPF_JMP) {
      values.insert({instruction.k - 1, instruction.k, instruction.k + 1});
    }
  }
  for (std::uint32_t number = 0; number < 600; ++number) {
    values.insert(number);
  }
  const std::vector<std::uint32_t> list{values.begin(), values.end()};
  std::mt19937 random{7};
  std::size_t different = 0;
  for (const unsigned arch : {unsigned{AUDIT_ARCH_X86_64}, unsigned{AUDIT_ARCH_I386}, unsigned{AUDIT_ARCH_AARCH64},
                              unsigned{AUDIT_ARCH_ARM}, 0U, 1U, 0xffffffffU}) {
    for (const std::uint32_t number : list) {
      for (int attempt = 0; attempt < 12; ++attempt) {
        seccomp_data data{.nr = static_cast<int>(number), .arch = arch, .instruction_pointer = 0, .args = {}};
        for (auto& arg : data.args) {
          arg = attempt == 0 ? 0 : list[random() % list.size()] | (std::uint64_t{random() % 3 == 0} << 32);
        }
        different += Run(before, data) != Run(after, data) ? 1 : 0;
      }
    }
  }
  BOOST_TEST(different == 0U);
}

}  // namespace

BOOST_AUTO_TEST_CASE(neighbours_are_one) {
  std::vector<std::uint32_t> allowed;
  for (std::uint32_t number = 10; number < 90; ++number) {
    allowed.push_back(number);
  }
  const std::vector<sock_filter> before = OneByOne(allowed);
  const std::vector<sock_filter> after = ShrinkFilter(before);
  // Architecture, number, two ends of the range, and three answers.
  BOOST_TEST(after.size() == 8U);
  CheckSame(before, after);
}

BOOST_AUTO_TEST_CASE(far_more_than_a_jump_reaches) {
  std::vector<std::uint32_t> allowed;
  for (std::uint32_t number = 1; number < 2000; number += 5) {
    allowed.insert(allowed.end(), {number, number + 1, number + 2});
  }
  const std::vector<sock_filter> before = OneByOne(allowed);
  const std::vector<sock_filter> after = ShrinkFilter(before);
  BOOST_TEST(after.size() < before.size());
  CheckSame(before, after);
}

BOOST_AUTO_TEST_CASE(answers_of_profiles) {
  const std::vector<std::string> profiles = {
      std::string{policies::BuiltinAgentSeccomp()},
      R"({"defaultAction": "SCMP_ACT_ALLOW"})",
      R"({"defaultAction": "SCMP_ACT_KILL_PROCESS"})",
      R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
          "syscalls": [{"names": ["write"], "action": "SCMP_ACT_ERRNO", "errnoRet": 5},
                       {"names": ["read", "pread64"], "action": "SCMP_ACT_TRAP"},
                       {"names": ["close"], "action": "SCMP_ACT_KILL_THREAD"}]})",
      R"({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 7,
          "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
          "syscalls": [{"names": ["read", "write", "close", "stat", "fstat"], "action": "SCMP_ACT_ALLOW"},
                       {"names": ["personality"], "action": "SCMP_ACT_ALLOW",
                        "args": [{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]},
                       {"names": ["personality"], "action": "SCMP_ACT_ALLOW",
                        "args": [{"index": 0, "value": 131072, "op": "SCMP_CMP_EQ"}]},
                       {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
                        "args": [{"index": 0, "value": 2114060288, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}]})",
  };
  for (const std::string& profile : profiles) {
    // What is compiled has been made shorter already: there is nothing left to do.
    const SeccompProgram program = Compiled(profile);
    CheckSame(program.filter, ShrinkFilter(program.filter));
  }
  BOOST_TEST(Compiled(profiles[0]).filter.size() < 250U);
}

BOOST_AUTO_TEST_CASE(another_kind_is_left_alone) {
  std::vector<sock_filter> masked = OneByOne({1, 2, 3, 4, 5, 6});
  masked.insert(masked.begin() + 4, BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff));
  std::vector<sock_filter> bits = OneByOne({1, 2, 3, 4, 5, 6});
  bits[4].code = BPF_JMP | BPF_JSET | BPF_K;
  std::vector<sock_filter> above = OneByOne({1, 2, 3, 4, 5, 6});
  above[1].code = BPF_JMP | BPF_JGT | BPF_K;
  for (const std::vector<sock_filter>& filter : {masked, bits, above, std::vector<sock_filter>{}}) {
    const std::vector<sock_filter> after = ShrinkFilter(filter);
    BOOST_TEST(after.size() == filter.size());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::confine
