// The device program says what the rules say: a small interpreter of eBPF runs it, and a reference evaluates the rules.

#include "runtime/cgroup/device_program.h"

#include <array>
#include <boost/test/unit_test.hpp>
#include <optional>
#include <random>
#include <set>

#include "runtime/cgroup/device_rules.h"

namespace nucleus::cgroup {
namespace {

using oci::DeviceRule;

struct Access {
  char type = 'c';  // c or b
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  int bits = 0;  // BPF_DEVCG_ACC_*
};

// Runs the few instructions that such a program may have; throws on anything else, on a jump out of the program and on
// one backwards. `reached` collects what was executed.
std::uint64_t Run(const std::vector<bpf_insn>& program, const Access& access, std::set<std::size_t>& reached) {
  const bpf_cgroup_dev_ctx context = {
      .access_type = (static_cast<std::uint32_t>(access.bits) << 16) |
                     static_cast<std::uint32_t>(access.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR),
      .major = access.major,
      .minor = access.minor};
  std::array<std::optional<std::uint64_t>, 11> registers{};
  registers[1] = 0;  // the context
  const auto value = [&registers](unsigned number) {
    if (!registers.at(number)) {
      throw std::runtime_error("register read before it was written");
    }
    return *registers[number];
  };
  for (std::size_t at = 0; at < program.size(); ++at) {
    reached.insert(at);
    const bpf_insn& insn = program[at];
    const auto immediate32 = static_cast<std::uint32_t>(insn.imm);
    switch (insn.code) {
      case BPF_LDX | BPF_MEM | BPF_W: {
        if (insn.src_reg != 1 || value(1) != 0 || insn.off < 0 || insn.off % 4 != 0 ||
            static_cast<std::size_t>(insn.off) >= sizeof context) {
          throw std::runtime_error("load from elsewhere than the context");
        }
        std::uint32_t word = 0;
        std::memcpy(&word, reinterpret_cast<const char*>(&context) + insn.off, sizeof word);
        registers.at(insn.dst_reg) = word;
        break;
      }
      case BPF_ALU | BPF_MOV | BPF_X:
        registers.at(insn.dst_reg) = static_cast<std::uint32_t>(value(insn.src_reg));
        break;
      case BPF_ALU64 | BPF_MOV | BPF_K:
        registers.at(insn.dst_reg) = static_cast<std::uint64_t>(std::int64_t{insn.imm});
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        registers.at(insn.dst_reg) = static_cast<std::uint32_t>(value(insn.dst_reg)) & immediate32;
        break;
      case BPF_ALU | BPF_RSH | BPF_K:
        registers.at(insn.dst_reg) = static_cast<std::uint32_t>(value(insn.dst_reg)) >> immediate32;
        break;
      case BPF_JMP32 | BPF_JNE | BPF_K:
      case BPF_JMP32 | BPF_JEQ | BPF_K: {
        if (insn.off < 0 || at + 1 + static_cast<std::size_t>(insn.off) >= program.size()) {
          throw std::runtime_error("jump out of the program");
        }
        const bool equal = static_cast<std::uint32_t>(value(insn.dst_reg)) == immediate32;
        const bool wants_equal = insn.code == (BPF_JMP32 | BPF_JEQ | BPF_K);
        if (equal == wants_equal) {
          at += static_cast<std::size_t>(insn.off);
        }
        break;
      }
      case BPF_JMP | BPF_EXIT:
        return value(0);
      default:
        throw std::runtime_error("unknown instruction " + std::to_string(insn.code));
    }
  }
  throw std::runtime_error("ran off the end");
}

int Bits(const std::string& access) {
  int bits = 0;
  bits |= access.find('r') != std::string::npos ? BPF_DEVCG_ACC_READ : 0;
  bits |= access.find('w') != std::string::npos ? BPF_DEVCG_ACC_WRITE : 0;
  bits |= access.find('m') != std::string::npos ? BPF_DEVCG_ACC_MKNOD : 0;
  return access.empty() ? BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD : bits;
}

// The definition: every single access in its own right, the last rule that speaks of it decides, nothing said allows;
// all that is asked for must be allowed.
bool Reference(const std::vector<DeviceRule>& rules, const Access& access) {
  for (const int bit : {BPF_DEVCG_ACC_READ, BPF_DEVCG_ACC_WRITE, BPF_DEVCG_ACC_MKNOD}) {
    if ((access.bits & bit) == 0) {
      continue;
    }
    bool allowed = true;
    for (const DeviceRule& rule : rules) {
      const auto any = [](const std::optional<std::int64_t>& number) { return !number || *number == -1; };
      const bool matches = (Bits(rule.access) & bit) != 0 && (rule.type == 'a' || rule.type == access.type) &&
                           (any(rule.major) || *rule.major == access.major) &&
                           (any(rule.minor) || *rule.minor == access.minor);
      if (matches) {
        allowed = rule.allow;
      }
    }
    if (!allowed) {
      return false;
    }
  }
  return true;
}

const std::string kNames = "rwm";

std::string Describe(const std::vector<DeviceRule>& rules, const Access& access) {
  std::string text;
  for (const DeviceRule& rule : rules) {
    text += (rule.allow ? "allow " : "deny ") + std::string{rule.type} + " " +
            (rule.major ? std::to_string(*rule.major) : "*") + ":" + (rule.minor ? std::to_string(*rule.minor) : "*") +
            " " + rule.access + "; ";
  }
  return text + "access " + std::string{access.type} + " " + std::to_string(access.major) + ":" +
         std::to_string(access.minor) + " bits " + std::to_string(access.bits);
}

// All accesses that could tell the rules apart.
void Compare(const std::vector<DeviceRule>& rules) {
  const std::vector<bpf_insn> program = CompileDeviceProgram(rules);
  std::set<std::size_t> reached;
  for (const char type : {'c', 'b'}) {
    for (const std::uint32_t major : {0U, 1U, 2U, 10U, 0xFFFFFFFFU}) {
      for (const std::uint32_t minor : {0U, 1U, 3U, 229U, 0xFFFFFFFFU}) {
        for (int bits = 1; bits < 8; ++bits) {
          const Access access{.type = type, .major = major, .minor = minor, .bits = bits};
          // Millions of them: a check of Boost's each would take longer than all else.
          if (Run(program, access, reached) != (Reference(rules, access) ? 1U : 0U)) {
            BOOST_FAIL(Describe(rules, access));
          }
        }
      }
    }
  }
}

DeviceRule Rule(bool allow, char type, std::optional<std::int64_t> major, std::optional<std::int64_t> minor,
                const std::string& access) {
  return {.allow = allow, .type = type, .major = major, .minor = minor, .access = access};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(device_program)

BOOST_AUTO_TEST_CASE(no_rules_allow) {
  Compare({});
}

BOOST_AUTO_TEST_CASE(single_rules) {
  for (const bool allow : {false, true}) {
    for (const char type : {'a', 'b', 'c'}) {
      for (const std::optional<std::int64_t> major : {std::optional<std::int64_t>{}, {-1}, {0}, {10}, {4294967295}}) {
        for (const std::optional<std::int64_t> minor :
             {std::optional<std::int64_t>{}, {-1}, {0}, {229}, {4294967295}}) {
          for (const char* access : {"", "r", "w", "m", "rw", "rm", "wm", "rwm", "mwr", "rr"}) {
            Compare({Rule(allow, type, major, minor, access)});
            Compare({Rule(!allow, 'a', {}, {}, "rwm"), Rule(allow, type, major, minor, access)});
          }
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(the_last_match_decides) {
  Compare({Rule(false, 'a', {}, {}, ""), Rule(true, 'c', 1, 3, "rw"), Rule(false, 'c', 1, 3, "w")});
  Compare({Rule(true, 'c', 1, 3, "rw"), Rule(false, 'a', {}, {}, "")});
  Compare({Rule(false, 'c', 1, 3, "rw"), Rule(true, 'a', {}, {}, ""), Rule(false, 'b', {}, 0, "m")});
  Compare({Rule(false, 'c', 1, {}, "rwm"), Rule(true, 'c', {}, 3, "r"), Rule(false, 'c', 1, 3, "w")});
  // A wildcard in the middle makes everything before it dead.
  Compare({Rule(true, 'c', 1, 1, "r"), Rule(false, 'a', {}, {}, "rwm"), Rule(true, 'b', 2, {}, "")});
  // What two rules allow together.
  Compare({Rule(false, 'a', {}, {}, ""), Rule(true, 'c', 1, 3, "r"), Rule(true, 'c', 1, 3, "w")});
  Compare({Rule(false, 'a', {}, {}, ""), Rule(true, 'c', {}, {}, "m"), Rule(true, 'c', 10, 229, "rw")});
}

BOOST_AUTO_TEST_CASE(random_lists) {
  std::mt19937 random{20260101};
  const auto pick = [&random](std::initializer_list<std::int64_t> numbers) {
    return *(numbers.begin() + std::uniform_int_distribution<std::size_t>{0, numbers.size() - 1}(random));
  };
  for (int round = 0; round < 600; ++round) {
    std::vector<DeviceRule> rules;
    const auto count = pick({1, 2, 3, 4, 6, 9});
    for (std::int64_t i = 0; i < count; ++i) {
      std::string access;
      for (const char c : kNames) {
        access += pick({0, 1}) == 1 ? std::string{c} : "";
      }
      rules.push_back(Rule(pick({0, 1}) == 1, "aabbccc"[pick({0, 2, 3, 4, 5, 6})], pick({-1, 0, 1, 10}),
                           pick({-1, 0, 1, 3, 229}), access));
    }
    Compare(rules);
  }
}

// The kernel's verifier refuses a program with an instruction that nothing reaches.
BOOST_AUTO_TEST_CASE(no_dead_code) {
  const std::vector<DeviceRule> lists[] = {
      {},
      {Rule(false, 'a', {}, {}, "rwm")},
      {Rule(true, 'c', 1, 1, "r"), Rule(false, 'a', {}, {}, "")},
      WithDefaultDevices({}),
      WithDefaultDevices({Rule(true, 'a', {}, {}, "rwm")}),
      WithDefaultDevices({Rule(true, 'c', 10, 229, "rw"), Rule(true, 'b', {}, {}, "r")})};
  for (const auto& rules : lists) {
    const std::vector<bpf_insn> program = CompileDeviceProgram(rules);
    std::set<std::size_t> reached;
    for (const char type : {'c', 'b'}) {
      for (const std::uint32_t major : {0U, 1U, 5U, 10U, 136U}) {
        for (const std::uint32_t minor : {0U, 1U, 2U, 3U, 5U, 7U, 8U, 9U, 229U}) {
          for (int bits = 1; bits < 8; ++bits) {
            Run(program, {.type = type, .major = major, .minor = minor, .bits = bits}, reached);
          }
        }
      }
    }
    BOOST_TEST(reached.size() == program.size());
  }
}

BOOST_AUTO_TEST_CASE(thousands_of_rules) {
  // Jumps have 16 bits: each rule's stay within the rule.
  std::vector<DeviceRule> rules = {Rule(false, 'a', {}, {}, "rwm")};
  for (int i = 0; i < 20000; ++i) {
    rules.push_back(Rule(true, 'c', 1000, i, "rw"));
  }
  const std::vector<bpf_insn> program = CompileDeviceProgram(rules);
  std::set<std::size_t> reached;
  BOOST_TEST(Run(program, {.type = 'c', .major = 1000, .minor = 0, .bits = BPF_DEVCG_ACC_READ}, reached) == 1U);
  BOOST_TEST(Run(program, {.type = 'c', .major = 1000, .minor = 20000, .bits = BPF_DEVCG_ACC_READ}, reached) == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(device_list_v1)

// The kernel's own evaluation: one exception must cover all of the access where others are denied; none may touch it
// where others are allowed.
BOOST_AUTO_TEST_CASE(says_the_same_or_refuses) {
  std::mt19937 random{20260102};
  const auto pick = [&random](std::initializer_list<std::int64_t> numbers) {
    return *(numbers.begin() + std::uniform_int_distribution<std::size_t>{0, numbers.size() - 1}(random));
  };
  int said = 0;
  for (int round = 0; round < 20000; ++round) {
    std::vector<DeviceRule> rules = {Rule(false, 'a', {}, {}, "rwm")};
    const auto count = pick({0, 1, 2, 3, 4});
    for (std::int64_t i = 0; i < count; ++i) {
      std::string access;
      for (const char c : kNames) {
        access += pick({0, 1}) == 1 ? std::string{c} : "";
      }
      rules.push_back(
          Rule(pick({0, 1, 1}) == 1, "abc"[pick({0, 1, 2})], pick({-1, 1, 10}), pick({-1, 3, 229}), access));
    }
    const Result<DeviceList> list = ForV1(rules);
    if (!list) {
      BOOST_TEST(list.error().message.starts_with("cgroup v1 cannot except "));
      continue;
    }
    ++said;
    for (const char type : {'c', 'b'}) {
      for (const std::uint32_t major : {1U, 2U, 10U}) {
        for (const std::uint32_t minor : {1U, 3U, 229U}) {
          for (const int bits : {BPF_DEVCG_ACC_READ, BPF_DEVCG_ACC_WRITE, BPF_DEVCG_ACC_MKNOD}) {
            const Access access{.type = type, .major = major, .minor = minor, .bits = bits};
            bool excepted = false;
            for (const DeviceRule& rule : list->exceptions) {
              if (rule.allow == list->allow_others || rule.type == 'a' || rule.access.empty()) {
                BOOST_FAIL("an exception that is none: " + Describe(rules, access));
              }
              const auto any = [](const std::optional<std::int64_t>& number) { return !number || *number == -1; };
              excepted = excepted || (rule.type == type && (any(rule.major) || *rule.major == major) &&
                                      (any(rule.minor) || *rule.minor == minor) && (Bits(rule.access) & bits) != 0);
            }
            if ((excepted != list->allow_others) != Reference(rules, access)) {
              BOOST_FAIL(Describe(rules, access));
            }
          }
        }
      }
    }
  }
  BOOST_TEST(said > 10000);
}

BOOST_AUTO_TEST_CASE(merged_and_removed) {
  const Result<DeviceList> merged =
      ForV1({Rule(false, 'a', {}, {}, ""), Rule(true, 'c', 1, 3, "r"), Rule(true, 'c', 1, 3, "w"),
             Rule(true, 'b', 8, {}, "m"), Rule(true, 'b', 8, -1, "r")});
  BOOST_REQUIRE(merged.has_value());
  BOOST_TEST(!merged->allow_others);
  BOOST_REQUIRE(merged->exceptions.size() == 2U);
  BOOST_TEST(merged->exceptions[0].access == "rw");
  BOOST_TEST(merged->exceptions[1].access == "rm");
  const Result<DeviceList> removed =
      ForV1({Rule(false, 'a', {}, {}, ""), Rule(true, 'c', 1, 3, "rw"), Rule(false, 'c', 1, {}, "w"),
             Rule(true, 'b', 8, 0, "r"), Rule(false, 'a', {}, {}, "r")});
  BOOST_REQUIRE(removed.has_value());
  BOOST_TEST(removed->exceptions.empty());
  // Privileged: everything, with nothing excepted by the defaults behind it.
  const Result<DeviceList> all = ForV1(WithDefaultDevices({Rule(true, 'a', {}, {}, "rwm")}));
  BOOST_REQUIRE(all.has_value());
  BOOST_TEST(all->allow_others);
  BOOST_TEST(all->exceptions.empty());
}

BOOST_AUTO_TEST_CASE(a_hole_in_a_wildcard_is_refused) {
  const Result<DeviceList> hole =
      ForV1(WithDefaultDevices({Rule(true, 'c', 10, {}, "rw"), Rule(false, 'c', 10, 229, "w")}));
  BOOST_REQUIRE(!hole.has_value());
  BOOST_TEST(hole.error().message == "cgroup v1 cannot except \"c 10:229 w\" from \"c 10:* rw\"");
  // Of access that was never granted nothing need be taken.
  BOOST_TEST(
      ForV1({Rule(false, 'a', {}, {}, ""), Rule(true, 'c', 10, {}, "r"), Rule(false, 'c', 10, 229, "w")}).has_value());
}

// "a" with a number or less than all access is not everything.
BOOST_AUTO_TEST_CASE(partial_wildcards) {
  const Result<DeviceList> list =
      ForV1({Rule(false, 'a', {}, {}, ""), Rule(true, 'a', 10, 229, "rw"), Rule(true, 'a', {}, {}, "m")});
  BOOST_REQUIRE(list.has_value());
  BOOST_TEST(!list->allow_others);
  BOOST_TEST(list->exceptions.size() == 4U);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(default_devices)

BOOST_AUTO_TEST_CASE(what_every_container_gets) {
  const std::vector<DeviceRule> rules = WithDefaultDevices({});
  const auto may = [&rules](char type, std::uint32_t major, std::uint32_t minor, const std::string& access) {
    return Reference(rules, {.type = type, .major = major, .minor = minor, .bits = Bits(access)});
  };
  for (const std::uint32_t minor : {3U, 5U, 7U, 8U, 9U}) {
    BOOST_TEST(may('c', 1, minor, "rwm"));
  }
  BOOST_TEST(may('c', 5, 0, "rw"));
  BOOST_TEST(may('c', 5, 1, "rw"));
  BOOST_TEST(may('c', 5, 2, "rw"));
  BOOST_TEST(may('c', 136, 0, "rw"));
  BOOST_TEST(may('c', 136, 1048575, "rw"));
  // A node alone opens nothing.
  BOOST_TEST(may('c', 10, 229, "m"));
  BOOST_TEST(may('b', 8, 0, "m"));
  // Memory, ports, disks and the rest.
  BOOST_TEST(!may('c', 1, 1, "r"));
  BOOST_TEST(!may('c', 1, 4, "r"));
  BOOST_TEST(!may('c', 1, 11, "r"));
  BOOST_TEST(!may('c', 4, 0, "r"));
  BOOST_TEST(!may('c', 5, 3, "r"));
  BOOST_TEST(!may('b', 8, 0, "r"));
  BOOST_TEST(!may('b', 1, 3, "r"));
  BOOST_TEST(!may('c', 10, 229, "rm"));
}

BOOST_AUTO_TEST_CASE(the_bundles_rules) {
  const auto may = [](const std::vector<DeviceRule>& rules, char type, std::uint32_t major, std::uint32_t minor,
                      const std::string& access) {
    return Reference(WithDefaultDevices(rules), {.type = type, .major = major, .minor = minor, .bits = Bits(access)});
  };
  // The first rule of every config that podman, containerd and docker write.
  const std::vector<DeviceRule> deny = {Rule(false, 'a', {}, {}, "rwm")};
  BOOST_TEST(may(deny, 'c', 1, 3, "rw"));
  BOOST_TEST(!may(deny, 'c', 10, 229, "r"));
  const std::vector<DeviceRule> fuse = {Rule(false, 'a', {}, {}, "rwm"), Rule(true, 'c', 10, 229, "rw")};
  BOOST_TEST(may(fuse, 'c', 10, 229, "rw"));
  BOOST_TEST(!may(fuse, 'c', 10, 228, "r"));
  // Privileged.
  const std::vector<DeviceRule> all = {Rule(true, 'a', {}, {}, "rwm")};
  BOOST_TEST(may(all, 'b', 8, 0, "rwm"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::cgroup
