#include "runtime/cgroup/device_program.h"

#include <cstddef>

#include "runtime/cgroup/device_rules.h"

namespace nucleus::cgroup {
namespace {

// Registers of the program.
constexpr std::uint8_t kContext = BPF_REG_1;
constexpr std::uint8_t kType = BPF_REG_2;
constexpr std::uint8_t kAccess = BPF_REG_3;
constexpr std::uint8_t kMajor = BPF_REG_4;
constexpr std::uint8_t kMinor = BPF_REG_5;
constexpr std::uint8_t kScratch = BPF_REG_6;

bpf_insn Instruction(int code, std::uint8_t destination, std::uint8_t source, std::int16_t offset, std::int32_t value) {
  bpf_insn instruction{};
  instruction.code = static_cast<std::uint8_t>(code);
  instruction.dst_reg = destination & 0xF;
  instruction.src_reg = source & 0xF;
  instruction.off = offset;
  instruction.imm = value;
  return instruction;
}

bpf_insn Load(std::uint8_t destination, std::size_t offset) {
  return Instruction(BPF_LDX | BPF_MEM | BPF_W, destination, kContext, static_cast<std::int16_t>(offset), 0);
}

void Return(std::vector<bpf_insn>& program, bool allow) {
  program.push_back(Instruction(BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow ? 1 : 0));
  program.push_back(Instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
}

// Each kind of access (read, write, mknod) is decided by the last rule that speaks of it: a rule that denies ends the
// matter for any that is still open, one that allows takes its own off what is open.
void EmitRule(std::vector<bpf_insn>& program, const oci::DeviceRule& rule) {
  std::vector<std::size_t> to_next;  // jumps whose target is the next rule
  const auto unless_equal = [&](std::uint8_t reg, std::int32_t value) {
    to_next.push_back(program.size());
    program.push_back(Instruction(BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, 0, value));
  };
  if (rule.type != 'a') {
    unless_equal(kType, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
  }
  if (rule.major && *rule.major >= 0) {
    unless_equal(kMajor, static_cast<std::int32_t>(*rule.major));
  }
  if (rule.minor && *rule.minor >= 0) {
    unless_equal(kMinor, static_cast<std::int32_t>(*rule.minor));
  }
  const int bits = AccessBits(rule.access);
  if (rule.allow) {
    program.push_back(Instruction(BPF_ALU | BPF_AND | BPF_K, kAccess, 0, 0, ~bits));
    unless_equal(kAccess, 0);
  } else {
    program.push_back(Instruction(BPF_ALU | BPF_MOV | BPF_X, kScratch, kAccess, 0, 0));
    program.push_back(Instruction(BPF_ALU | BPF_AND | BPF_K, kScratch, 0, 0, bits));
    to_next.push_back(program.size());
    program.push_back(Instruction(BPF_JMP32 | BPF_JEQ | BPF_K, kScratch, 0, 0, 0));
  }
  Return(program, rule.allow);
  for (const std::size_t jump : to_next) {
    program[jump].off = static_cast<std::int16_t>(program.size() - jump - 1);
  }
}

}  // namespace

std::vector<bpf_insn> CompileDeviceProgram(const std::vector<oci::DeviceRule>& rules) {
  std::vector<bpf_insn> program;
  // access_type: the kind of device in the low half, the access in the high half.
  program.push_back(Load(kType, offsetof(bpf_cgroup_dev_ctx, access_type)));
  program.push_back(Instruction(BPF_ALU | BPF_MOV | BPF_X, kAccess, kType, 0, 0));
  program.push_back(Instruction(BPF_ALU | BPF_AND | BPF_K, kType, 0, 0, 0xFFFF));
  program.push_back(Instruction(BPF_ALU | BPF_RSH | BPF_K, kAccess, 0, 0, 16));
  program.push_back(Load(kMajor, offsetof(bpf_cgroup_dev_ctx, major)));
  program.push_back(Load(kMinor, offsetof(bpf_cgroup_dev_ctx, minor)));
  bool decided = false;
  for (auto rule = rules.rbegin(); rule != rules.rend() && !decided; ++rule) {
    // A rule for everything ends the list: nothing before it can be reached, and the kernel refuses dead code.
    if (IsForEverything(*rule)) {
      Return(program, rule->allow);
      decided = true;
    } else {
      EmitRule(program, *rule);
    }
  }
  if (!decided) {
    Return(program, true);
  }
  return program;
}

}  // namespace nucleus::cgroup
