// For tests of filters: profiles compiled from JSON, and a small interpreter of classic BPF that runs them.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "oci-config/parse.h"
#include "runtime/confine/confine.h"

namespace nucleus::confine {

// Throws on what the kernel's checker would refuse: an unknown instruction, a jump or a walk out of the program.
inline std::uint32_t Run(const std::vector<sock_filter>& program, const seccomp_data& data) {
  std::uint32_t accumulator = 0;
  std::array<std::optional<std::uint32_t>, BPF_MEMWORDS> memory;
  for (std::size_t at = 0; at < program.size(); ++at) {
    const sock_filter& insn = program[at];
    const auto jump = [&](bool taken) { at += taken ? insn.jt : insn.jf; };
    switch (insn.code) {
      case BPF_LD | BPF_W | BPF_ABS:
        if (insn.k % 4 != 0 || insn.k >= sizeof data) {
          throw std::runtime_error("load outside of seccomp_data");
        }
        std::memcpy(&accumulator, reinterpret_cast<const char*>(&data) + insn.k, sizeof accumulator);
        break;
      case BPF_ALU | BPF_AND | BPF_K:
        accumulator &= insn.k;
        break;
      case BPF_ALU | BPF_XOR | BPF_K:
        accumulator ^= insn.k;
        break;
      case BPF_LD | BPF_IMM:
        accumulator = insn.k;
        break;
      case BPF_ST:
        memory.at(insn.k) = accumulator;
        break;
      case BPF_LD | BPF_MEM:
        accumulator = memory.at(insn.k).value();
        break;
      case BPF_JMP | BPF_JA:
        at += insn.k;
        break;
      case BPF_JMP | BPF_JEQ | BPF_K:
        jump(accumulator == insn.k);
        break;
      case BPF_JMP | BPF_JGT | BPF_K:
        jump(accumulator > insn.k);
        break;
      case BPF_JMP | BPF_JGE | BPF_K:
        jump(accumulator >= insn.k);
        break;
      case BPF_JMP | BPF_JSET | BPF_K:
        jump((accumulator & insn.k) != 0);
        break;
      case BPF_RET | BPF_K:
        return insn.k;
      case BPF_RET | BPF_A:
        return accumulator;
      default:
        throw std::runtime_error("unknown instruction " + std::to_string(insn.code));
    }
  }
  throw std::runtime_error("ran off the end");
}

inline SeccompProgram Compiled(const std::string& seccomp) {
  const Result<oci::Spec> spec = oci::ParseSpec(
      R"({"ociVersion": "1.3.0", "root": {"path": "r"}, "linux": {"seccomp": )" + seccomp + "}}", "config.json");
  if (!spec) {
    throw std::runtime_error(spec.error().message);
  }
  Result<SeccompProgram> program = CompileSeccomp(*spec->linux_.seccomp);
  if (!program) {
    throw std::runtime_error(program.error().message);
  }
  return *std::move(program);
}

}  // namespace nucleus::confine
