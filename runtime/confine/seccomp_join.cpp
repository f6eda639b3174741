// Layout of the joined program:
//
//   first, each answer replaced by a jump to what that answer leads to:
//     allow         → the second filter as it is. No scratch memory on this way: the kernel then sees that a syscall is
//                     always allowed and does not run the filter for it.
//     anything else → remembered in M[0], then the second filter again, its answers replaced by a comparison
//   second, with comparisons (where the first has answers other than allow)
//   second

#include "runtime/confine/seccomp_join.h"

#include <linux/seccomp.h>

#include <algorithm>
#include <map>

namespace nucleus::confine {
namespace {

constexpr std::uint32_t kSignBit = 0x80000000;  // precedence is the order of the answers as signed numbers

sock_filter Statement(std::uint16_t code, std::uint32_t k) {
  return {.code = code, .jt = 0, .jf = 0, .k = k};
}

bool IsAnswer(const sock_filter& instruction) {
  return instruction.code == (BPF_RET | BPF_K);
}

Result<> Check(const SeccompProgram& program) {
  for (const sock_filter& instruction : program.filter) {
    const int kind = BPF_CLASS(instruction.code);
    const bool scratch = kind == BPF_ST || kind == BPF_STX || kind == BPF_MISC ||
                         ((kind == BPF_LD || kind == BPF_LDX) && BPF_MODE(instruction.code) == BPF_MEM);
    if (scratch || (kind == BPF_RET && !IsAnswer(instruction))) {
      return std::unexpected(Failure("seccomp: the filter cannot be joined with another", EINVAL));
    }
  }
  return {};
}

class Joiner {
 public:
  // The program with each answer turned into a jump that Land() points somewhere.
  void AppendWithJumps(const std::vector<sock_filter>& filter) {
    jumps_.clear();
    for (const sock_filter& instruction : filter) {
      if (IsAnswer(instruction)) {
        jumps_[instruction.k].push_back(out_.size());
        out_.push_back(Statement(BPF_JMP | BPF_JA, 0));
      } else {
        out_.push_back(instruction);
      }
    }
  }
  void Append(const std::vector<sock_filter>& filter) {
    out_.insert(out_.end(), filter.begin(), filter.end());
  }
  void Append(std::uint16_t code, std::uint32_t k) {
    out_.push_back(Statement(code, k));
  }
  // The jumps that stand for `answer`.
  [[nodiscard]] std::vector<std::size_t> JumpsOf(std::uint32_t answer) const {
    const auto found = jumps_.find(answer);
    return found == jumps_.end() ? std::vector<std::size_t>{} : found->second;
  }
  // A jump whose end is told later.
  void JumpLater(std::vector<std::size_t>& jumps) {
    jumps.push_back(out_.size());
    Append(BPF_JMP | BPF_JA, 0);
  }
  // These jumps lead to what is appended next.
  void Point(const std::vector<std::size_t>& jumps) {
    for (const std::size_t at : jumps) {
      out_[at].k = static_cast<std::uint32_t>(out_.size() - at - 1);
    }
  }
  [[nodiscard]] std::vector<std::uint32_t> Answers() const {
    std::vector<std::uint32_t> answers;
    answers.reserve(jumps_.size());
    for (const auto& [answer, at] : jumps_) {
      answers.push_back(answer);
    }
    return answers;
  }
  std::vector<sock_filter> Take() {
    return std::move(out_);
  }

 private:
  std::vector<sock_filter> out_;
  std::map<std::uint32_t, std::vector<std::size_t>> jumps_;
};

// Returns M[0] where that is stricter than `answer`.
void AppendComparison(Joiner& joiner, std::uint32_t answer) {
  joiner.Append(BPF_LD | BPF_MEM, 0);
  joiner.Append(BPF_ALU | BPF_AND | BPF_K, SECCOMP_RET_ACTION_FULL);
  joiner.Append(BPF_ALU | BPF_XOR | BPF_K, kSignBit);
  joiner.Append({sock_filter{
      .code = BPF_JMP | BPF_JGE | BPF_K, .jt = 0, .jf = 1, .k = (answer & SECCOMP_RET_ACTION_FULL) ^ kSignBit}});
  joiner.Append(BPF_RET | BPF_K, answer);
  joiner.Append(BPF_LD | BPF_MEM, 0);
  joiner.Append(BPF_RET | BPF_A, 0);
}

unsigned JoinFlags(const SeccompProgram& first, const SeccompProgram& second) {
  // Speculation may go on only where both say so; each may ask for the log; the rest is about the listener.
  const unsigned both = first.flags & second.flags & SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  return both | ((first.flags | second.flags) & ~static_cast<unsigned>(SECCOMP_FILTER_FLAG_SPEC_ALLOW));
}

}  // namespace

Result<SeccompProgram> JoinFilters(const SeccompProgram& first, const SeccompProgram& second) {
  TRY(Check(first));
  TRY(Check(second));
  if (first.listener && second.listener) {
    return std::unexpected(Failure("seccomp: two filters with SCMP_ACT_NOTIFY, and only one agent can listen", EINVAL));
  }
  Joiner joiner;
  joiner.AppendWithJumps(first.filter);
  const std::vector<std::size_t> allowed = joiner.JumpsOf(SECCOMP_RET_ALLOW);
  std::vector<std::size_t> remembered;
  for (const std::uint32_t answer : joiner.Answers()) {
    if (answer != SECCOMP_RET_ALLOW) {
      joiner.Point(joiner.JumpsOf(answer));
      joiner.Append(BPF_LD | BPF_IMM, answer);
      joiner.Append(BPF_ST, 0);
      joiner.JumpLater(remembered);
    }
  }
  // Right after a jump: the kernel's checker takes what stands behind an answer for reached from it, without M[0].
  if (!remembered.empty()) {
    joiner.Point(remembered);
    joiner.AppendWithJumps(second.filter);
    for (const std::uint32_t answer : joiner.Answers()) {
      joiner.Point(joiner.JumpsOf(answer));
      AppendComparison(joiner, answer);
    }
  }
  joiner.Point(allowed);
  joiner.Append(second.filter);
  SeccompProgram joined{
      .filter = joiner.Take(), .flags = JoinFlags(first, second), .listener = first.listener || second.listener};
  if (joined.filter.size() > BPF_MAXINSNS) {
    return std::unexpected(Failure(
        "seccomp: both filters together are longer than the kernel's " + std::to_string(BPF_MAXINSNS) + " instructions",
        E2BIG));
  }
  return joined;
}

}  // namespace nucleus::confine
