// config.json's `process`.

#include <linux/sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>

#include "oci-config/parse.h"
#include "oci-config/read.h"

namespace nucleus::oci {

// Static, not in an unnamed namespace: lookup by argument must find the Read functions.

static constexpr auto kRlimits = std::to_array<RlimitName>({
    {"RLIMIT_AS", RLIMIT_AS},
    {"RLIMIT_CORE", RLIMIT_CORE},
    {"RLIMIT_CPU", RLIMIT_CPU},
    {"RLIMIT_DATA", RLIMIT_DATA},
    {"RLIMIT_FSIZE", RLIMIT_FSIZE},
    {"RLIMIT_LOCKS", RLIMIT_LOCKS},
    {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
    {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
    {"RLIMIT_NICE", RLIMIT_NICE},
    {"RLIMIT_NOFILE", RLIMIT_NOFILE},
    {"RLIMIT_NPROC", RLIMIT_NPROC},
    {"RLIMIT_RSS", RLIMIT_RSS},
    {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
    {"RLIMIT_RTTIME", RLIMIT_RTTIME},
    {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
    {"RLIMIT_STACK", RLIMIT_STACK},
});

static void Read(JsonReader& in, ConsoleSize& out) {
  out = {};
  in.Object({{"height", out.height}, {"width", out.width}});
  in.Check(out.height <= UINT16_MAX, "height", "out of range");
  in.Check(out.width <= UINT16_MAX, "width", "out of range");
}

static void Read(JsonReader& in, User& out) {
  out = {};
  in.Object({{"uid", out.uid}, {"gid", out.gid}, {"umask", out.umask}, {"additionalGids", out.additional_gids}});
  // 2^32 - 1 means "leave as it is" to setresuid(2).
  in.Check(out.uid != UINT32_MAX, "uid", "out of range");
  in.Check(out.gid != UINT32_MAX, "gid", "out of range");
  in.Check(!out.umask || *out.umask <= 0777, "umask", "out of range");
}

static void Read(JsonReader& in, Capabilities& out) {
  out = {};
  in.Object({{"bounding", out.bounding},
             {"effective", out.effective},
             {"inheritable", out.inheritable},
             {"permitted", out.permitted},
             {"ambient", out.ambient}});
}

static void Read(JsonReader& in, Rlimit& out) {
  out = {};
  in.Object({{"type", out.type}, {"soft", out.soft}, {"hard", out.hard}});
  const auto* row = std::find_if(kRlimits.begin(), kRlimits.end(),
                                 [&out](const RlimitName& candidate) { return candidate.name == out.type; });
  if (row == kRlimits.end()) {
    in.FailAt("type", "unknown rlimit \"" + out.type + "\"");
    return;
  }
  out.resource = row->resource;
  in.Check(out.soft <= out.hard, "soft", "must not be greater than hard");
}

static void Read(JsonReader& in, SchedulerPolicy& out) {
  ReadWord(in, out, "scheduler policy",
           {{"SCHED_OTHER", SchedulerPolicy::kOther},
            {"SCHED_FIFO", SchedulerPolicy::kFifo},
            {"SCHED_RR", SchedulerPolicy::kRr},
            {"SCHED_BATCH", SchedulerPolicy::kBatch},
            {"SCHED_ISO", SchedulerPolicy::kIso},
            {"SCHED_IDLE", SchedulerPolicy::kIdle},
            {"SCHED_DEADLINE", SchedulerPolicy::kDeadline}});
}

struct SchedulerFlags {
  std::uint64_t bits = 0;
};

static void Read(JsonReader& in, SchedulerFlags& out) {
  in.Array([&](std::size_t) {
    std::uint64_t bit = 0;
    ReadWord<std::uint64_t>(in, bit, "scheduler flag",
                            {{"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
                             {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
                             {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
                             {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
                             {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
                             {"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
                             {"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX}});
    out.bits |= bit;
  });
}

static void Read(JsonReader& in, Scheduler& out) {
  out = {};
  std::optional<SchedulerPolicy> policy;
  SchedulerFlags flags;
  in.Object({{"policy", policy},
             {"nice", out.nice},
             {"priority", out.priority},
             {"flags", flags},
             {"runtime", out.runtime},
             {"deadline", out.deadline},
             {"period", out.period}});
  in.Check(policy.has_value(), "policy", "required");
  out.policy = policy.value_or(SchedulerPolicy::kOther);
  out.flags = flags.bits;
  in.Check(out.nice >= -20 && out.nice <= 19, "nice", "must be from -20 to 19");
  const bool realtime = out.policy == SchedulerPolicy::kFifo || out.policy == SchedulerPolicy::kRr;
  in.Check(realtime || out.priority == 0, "priority", "only for SCHED_FIFO and SCHED_RR");
  const bool times = out.runtime != 0 || out.deadline != 0 || out.period != 0;
  in.Check(!times || out.policy == SchedulerPolicy::kDeadline, "runtime",
           "runtime, deadline and period are only for SCHED_DEADLINE");
}

static void Read(JsonReader& in, IoPriorityClass& out) {
  ReadWord(in, out, "I/O priority class",
           {{"IOPRIO_CLASS_RT", IoPriorityClass::kRealTime},
            {"IOPRIO_CLASS_BE", IoPriorityClass::kBestEffort},
            {"IOPRIO_CLASS_IDLE", IoPriorityClass::kIdle}});
}

static void Read(JsonReader& in, IoPriority& out) {
  out = {};
  std::optional<IoPriorityClass> io_class;
  in.Object({{"class", io_class}, {"priority", out.priority}});
  in.Check(io_class.has_value(), "class", "required");
  out.io_class = io_class.value_or(IoPriorityClass::kBestEffort);
  in.Check(out.priority >= 0 && out.priority <= 7, "priority", "must be from 0 to 7");
}

static void Read(JsonReader& in, ExecCpuAffinity& out) {
  out = {};
  in.Object({{"initial", out.initial}, {"final", out.final_}});
  in.Check(out.initial.empty() || IsNumberList(out.initial), "initial", "malformed CPU list");
  in.Check(out.final_.empty() || IsNumberList(out.final_), "final", "malformed CPU list");
}

void Read(JsonReader& in, Process& out) {
  out = {};
  in.Object({{"terminal", out.terminal},
             {"consoleSize", out.console_size},
             {"user", out.user},
             {"args", out.args},
             {"env", out.env},
             {"cwd", out.cwd},
             {"capabilities", out.capabilities},
             {"rlimits", out.rlimits},
             {"noNewPrivileges", out.no_new_privileges},
             {"apparmorProfile", out.apparmor_profile},
             {"selinuxLabel", out.selinux_label},
             {"oomScoreAdj", out.oom_score_adj},
             {"scheduler", out.scheduler},
             {"ioPriority", out.io_priority},
             {"execCPUAffinity", out.exec_cpu_affinity}});
  in.Check(!out.args.empty(), "args", "must not be empty");
  in.Check(IsAbsolute(out.cwd), "cwd", "must be an absolute path");
  in.Check(!out.oom_score_adj || (*out.oom_score_adj >= -1000 && *out.oom_score_adj <= 1000), "oomScoreAdj",
           "must be from -1000 to 1000");
  for (std::size_t i = 0; i < out.rlimits.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      in.Check(out.rlimits[i].resource != out.rlimits[j].resource, "rlimits[" + std::to_string(i) + "].type",
               "duplicate " + out.rlimits[i].type);
    }
  }
}

std::span<const RlimitName> RlimitNames() {
  return kRlimits;
}

Result<Process> ParseProcess(std::string_view json, std::string_view name) {
  JsonReader in{json, name};
  Process process;
  Read(in, process);
  TRY(in.Finish());
  return process;
}

}  // namespace nucleus::oci
