// config.json's `linux.seccomp`.

#include <algorithm>
#include <array>

#include "oci-config/parse.h"
#include "oci-config/read.h"

namespace nucleus::oci {

// Static, not in an unnamed namespace: lookup by argument must find the Read functions.

static constexpr auto kArchitectures = std::to_array<std::string_view>(
    {"SCMP_ARCH_X86",         "SCMP_ARCH_X86_64", "SCMP_ARCH_X32",       "SCMP_ARCH_ARM",     "SCMP_ARCH_AARCH64",
     "SCMP_ARCH_MIPS",        "SCMP_ARCH_MIPS64", "SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL",  "SCMP_ARCH_MIPSEL64",
     "SCMP_ARCH_MIPSEL64N32", "SCMP_ARCH_PPC",    "SCMP_ARCH_PPC64",     "SCMP_ARCH_PPC64LE", "SCMP_ARCH_S390",
     "SCMP_ARCH_S390X",       "SCMP_ARCH_PARISC", "SCMP_ARCH_PARISC64",  "SCMP_ARCH_RISCV64", "SCMP_ARCH_LOONGARCH64",
     "SCMP_ARCH_M68K",        "SCMP_ARCH_SH",     "SCMP_ARCH_SHEB"});

static void Read(JsonReader& in, SeccompAction& out) {
  ReadWord(in, out, "seccomp action",
           {{"SCMP_ACT_KILL", SeccompAction::kKillThread},
            {"SCMP_ACT_KILL_THREAD", SeccompAction::kKillThread},
            {"SCMP_ACT_KILL_PROCESS", SeccompAction::kKillProcess},
            {"SCMP_ACT_TRAP", SeccompAction::kTrap},
            {"SCMP_ACT_ERRNO", SeccompAction::kErrno},
            {"SCMP_ACT_TRACE", SeccompAction::kTrace},
            {"SCMP_ACT_ALLOW", SeccompAction::kAllow},
            {"SCMP_ACT_LOG", SeccompAction::kLog},
            {"SCMP_ACT_NOTIFY", SeccompAction::kNotify}});
}

static void Read(JsonReader& in, SeccompOperator& out) {
  ReadWord(in, out, "operator",
           {{"SCMP_CMP_NE", SeccompOperator::kNe},
            {"SCMP_CMP_LT", SeccompOperator::kLt},
            {"SCMP_CMP_LE", SeccompOperator::kLe},
            {"SCMP_CMP_EQ", SeccompOperator::kEq},
            {"SCMP_CMP_GE", SeccompOperator::kGe},
            {"SCMP_CMP_GT", SeccompOperator::kGt},
            {"SCMP_CMP_MASKED_EQ", SeccompOperator::kMaskedEq}});
}

static void Read(JsonReader& in, SeccompFlag& out) {
  ReadWord(in, out, "seccomp flag",
           {{"SECCOMP_FILTER_FLAG_TSYNC", SeccompFlag::kTsync},
            {"SECCOMP_FILTER_FLAG_LOG", SeccompFlag::kLog},
            {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SeccompFlag::kSpecAllow},
            {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SeccompFlag::kWaitKillableRecv}});
}

static void Read(JsonReader& in, SeccompArg& out) {
  out = {};
  std::optional<SeccompOperator> op;
  in.Object({{"index", out.index}, {"value", out.value}, {"valueTwo", out.value_two}, {"op", op}});
  in.Check(out.index <= 5, "index", "must be from 0 to 5");
  in.Check(op.has_value(), "op", "required");
  out.op = op.value_or(SeccompOperator::kEq);
}

static bool TakesErrno(SeccompAction action) {
  return action == SeccompAction::kErrno || action == SeccompAction::kTrace;
}

static void CheckErrno(JsonReader& in, std::string_view property, SeccompAction action,
                       const std::optional<std::uint32_t>& value) {
  // A kernel return value has 16 bits for it.
  in.Check(!value || TakesErrno(action), property, "only for SCMP_ACT_ERRNO and SCMP_ACT_TRACE");
  in.Check(!value || *value <= UINT16_MAX, property, "out of range");
}

static void Read(JsonReader& in, SeccompSyscall& out) {
  out = {};
  std::optional<SeccompAction> action;
  in.Object({{"names", out.names}, {"action", action}, {"errnoRet", out.errno_ret}, {"args", out.args}});
  in.Check(!out.names.empty(), "names", "must not be empty");
  for (std::size_t i = 0; i < out.names.size(); ++i) {
    in.Check(!out.names[i].empty(), "names[" + std::to_string(i) + "]", "must not be empty");
  }
  in.Check(action.has_value(), "action", "required");
  out.action = action.value_or(SeccompAction::kAllow);
  CheckErrno(in, "errnoRet", out.action, out.errno_ret);
}

void Read(JsonReader& in, Seccomp& out) {
  out = {};
  std::optional<SeccompAction> default_action;
  in.Object({{"defaultAction", default_action},
             {"defaultErrnoRet", out.default_errno_ret},
             {"architectures", out.architectures},
             {"flags", out.flags},
             {"listenerPath", out.listener_path},
             {"listenerMetadata", out.listener_metadata},
             {"syscalls", out.syscalls}});
  in.Check(default_action.has_value(), "defaultAction", "required");
  out.default_action = default_action.value_or(SeccompAction::kErrno);
  in.Check(out.default_action != SeccompAction::kNotify, "defaultAction", "must not be SCMP_ACT_NOTIFY");
  CheckErrno(in, "defaultErrnoRet", out.default_action, out.default_errno_ret);
  for (std::size_t i = 0; i < out.architectures.size(); ++i) {
    in.Check(std::find(kArchitectures.begin(), kArchitectures.end(), out.architectures[i]) != kArchitectures.end(),
             "architectures[" + std::to_string(i) + "]", "unknown architecture \"" + out.architectures[i] + "\"");
  }
  in.Check(out.listener_metadata.empty() || !out.listener_path.empty(), "listenerMetadata", "needs listenerPath");
  for (std::size_t i = 0; i < out.syscalls.size(); ++i) {
    in.Check(out.syscalls[i].action != SeccompAction::kNotify || !out.listener_path.empty(),
             "syscalls[" + std::to_string(i) + "].action", "SCMP_ACT_NOTIFY needs listenerPath");
  }
}

Result<Seccomp> ParseSeccompDocument(std::string_view json, std::string_view name) {
  JsonReader in{json, name, JsonReader::Rules::kPolicy};
  Seccomp seccomp;
  Read(in, seccomp);
  TRY(in.Finish());
  return seccomp;
}

std::vector<std::string> KnownSeccompArchitectures() {
  return {kArchitectures.begin(), kArchitectures.end()};
}

}  // namespace nucleus::oci
