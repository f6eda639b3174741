// config.json's `process`.

#include <linux/sched.h>
#include <sys/resource.h>

#include <boost/test/unit_test.hpp>

#include "oci-config/test_util.h"

namespace nucleus::oci {
namespace {

using testing::Config;
using testing::ErrorOf;
using testing::Good;
using testing::ProcessConfig;
using testing::Refusal;
using testing::Strings;

Process GoodProcess(std::string_view members) {
  return *Good(ProcessConfig(members)).process;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(process)

BOOST_AUTO_TEST_CASE(absent) {
  BOOST_TEST(!Good(Config("")).process.has_value());
}

BOOST_AUTO_TEST_CASE(every_property) {
  const Process process = *Good(Config(R"("process": {
    "terminal": true,
    "consoleSize": {"height": 24, "width": 65535},
    "user": {"uid": 1000, "gid": 4294967294, "umask": 511, "additionalGids": [5, 6, 6], "username": "x"},
    "args": ["/bin/sh", "-c", ""],
    "env": ["PATH=/bin", "EMPTY=", "NOEQUALS"],
    "cwd": "/work",
    "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_KILL"], "inheritable": ["CAP_FOWNER"],
                     "permitted": ["CAP_SETUID", "CAP_UNHEARD_OF"], "ambient": ["CAP_SETGID"]},
    "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 1024, "hard": 2048},
                {"type": "RLIMIT_CORE", "soft": 18446744073709551615, "hard": 18446744073709551615}],
    "noNewPrivileges": true,
    "apparmorProfile": "docker-default",
    "selinuxLabel": "system_u:system_r:svirt_lxc_net_t:s0:c124,c675",
    "oomScoreAdj": -1000,
    "scheduler": {"policy": "SCHED_DEADLINE", "nice": 0, "priority": 0,
                  "flags": ["SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM"],
                  "runtime": 1, "deadline": 2, "period": 18446744073709551615},
    "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 7},
    "execCPUAffinity": {"initial": "0-3,7", "final": "2"}
  })"))
                               .process;
  BOOST_TEST(process.terminal);
  BOOST_TEST(process.console_size->height == 24U);
  BOOST_TEST(process.console_size->width == 65535U);
  BOOST_TEST(process.user.uid == 1000U);
  BOOST_TEST(process.user.gid == 4294967294U);
  BOOST_TEST(*process.user.umask == 0777U);
  BOOST_TEST(process.user.additional_gids == (std::vector<std::uint32_t>{5, 6, 6}), boost::test_tools::per_element());
  BOOST_TEST(process.args == (Strings{"/bin/sh", "-c", ""}), boost::test_tools::per_element());
  BOOST_TEST(process.env == (Strings{"PATH=/bin", "EMPTY=", "NOEQUALS"}), boost::test_tools::per_element());
  BOOST_TEST(process.cwd == "/work");
  BOOST_TEST(process.capabilities->bounding == Strings{"CAP_CHOWN"}, boost::test_tools::per_element());
  BOOST_TEST(process.capabilities->effective == Strings{"CAP_KILL"}, boost::test_tools::per_element());
  BOOST_TEST(process.capabilities->inheritable == Strings{"CAP_FOWNER"}, boost::test_tools::per_element());
  BOOST_TEST(process.capabilities->permitted == (Strings{"CAP_SETUID", "CAP_UNHEARD_OF"}),
             boost::test_tools::per_element());
  BOOST_TEST(process.capabilities->ambient == Strings{"CAP_SETGID"}, boost::test_tools::per_element());
  BOOST_REQUIRE(process.rlimits.size() == 2U);
  BOOST_TEST(process.rlimits[0].resource == static_cast<int>(RLIMIT_NOFILE));
  BOOST_TEST(process.rlimits[0].soft == 1024U);
  BOOST_TEST(process.rlimits[0].hard == 2048U);
  BOOST_TEST(process.rlimits[1].hard == RLIM_INFINITY);
  BOOST_TEST(process.no_new_privileges);
  BOOST_TEST(process.apparmor_profile == "docker-default");
  BOOST_TEST(process.selinux_label == "system_u:system_r:svirt_lxc_net_t:s0:c124,c675");
  BOOST_TEST(*process.oom_score_adj == -1000);
  BOOST_TEST((process.scheduler->policy == SchedulerPolicy::kDeadline));
  BOOST_TEST(process.scheduler->flags == std::uint64_t{SCHED_FLAG_RESET_ON_FORK | SCHED_FLAG_RECLAIM});
  BOOST_TEST(process.scheduler->runtime == 1U);
  BOOST_TEST(process.scheduler->deadline == 2U);
  BOOST_TEST(process.scheduler->period == UINT64_MAX);
  BOOST_TEST((process.io_priority->io_class == IoPriorityClass::kIdle));
  BOOST_TEST(process.io_priority->priority == 7);
  BOOST_TEST(process.exec_cpu_affinity->initial == "0-3,7");
  BOOST_TEST(process.exec_cpu_affinity->final_ == "2");
}

BOOST_AUTO_TEST_CASE(defaults) {
  const Process process = GoodProcess(R"("user": {})");
  BOOST_TEST(!process.terminal);
  BOOST_TEST(!process.console_size.has_value());
  BOOST_TEST(process.user.uid == 0U);
  BOOST_TEST(!process.user.umask.has_value());
  BOOST_TEST(!process.capabilities.has_value());
  BOOST_TEST(!process.no_new_privileges);
  BOOST_TEST(!process.oom_score_adj.has_value());
  BOOST_TEST(!process.scheduler.has_value());
  BOOST_TEST(!process.io_priority.has_value());
  BOOST_TEST(!process.exec_cpu_affinity.has_value());
}

// What podman, containerd, docker and buildah put there, whatever it means to us.
BOOST_AUTO_TEST_CASE(what_callers_write) {
  const Process process =
      GoodProcess(R"("rlimits": [], "apparmorProfile": "", "selinuxLabel": "", "capabilities": {}, "env": [],
          "consoleSize": {"height": 0, "width": 0}, "oomScoreAdj": 0, "noNewPrivileges": false,
          "user": {"uid": 0, "gid": 0, "umask": 18, "additionalGids": [0, 1, 2, 3, 10], "username": "root"})");
  BOOST_TEST(process.rlimits.empty());
  BOOST_TEST(process.capabilities.has_value());
  BOOST_TEST(*process.user.umask == 022U);
  BOOST_TEST(*process.oom_score_adj == 0);
}

BOOST_AUTO_TEST_CASE(all_rlimits) {
  const std::pair<const char*, int> names[] = {
      {"AS", RLIMIT_AS},           {"CORE", RLIMIT_CORE},         {"CPU", RLIMIT_CPU},
      {"DATA", RLIMIT_DATA},       {"FSIZE", RLIMIT_FSIZE},       {"LOCKS", RLIMIT_LOCKS},
      {"MEMLOCK", RLIMIT_MEMLOCK}, {"MSGQUEUE", RLIMIT_MSGQUEUE}, {"NICE", RLIMIT_NICE},
      {"NOFILE", RLIMIT_NOFILE},   {"NPROC", RLIMIT_NPROC},       {"RSS", RLIMIT_RSS},
      {"RTPRIO", RLIMIT_RTPRIO},   {"RTTIME", RLIMIT_RTTIME},     {"SIGPENDING", RLIMIT_SIGPENDING},
      {"STACK", RLIMIT_STACK},
  };
  for (const auto& [name, resource] : names) {
    const Process process =
        GoodProcess("\"rlimits\": [{\"type\": \"RLIMIT_" + std::string{name} + "\", \"soft\": 0, \"hard\": 0}]");
    BOOST_TEST(process.rlimits.at(0).resource == resource);
    BOOST_TEST(process.rlimits.at(0).type == "RLIMIT_" + std::string{name});
  }
}

BOOST_AUTO_TEST_CASE(all_scheduler_policies_and_flags) {
  const std::pair<const char*, SchedulerPolicy> policies[] = {
      {"SCHED_OTHER", SchedulerPolicy::kOther},
      {"SCHED_FIFO", SchedulerPolicy::kFifo},
      {"SCHED_RR", SchedulerPolicy::kRr},
      {"SCHED_BATCH", SchedulerPolicy::kBatch},
      {"SCHED_ISO", SchedulerPolicy::kIso},
      {"SCHED_IDLE", SchedulerPolicy::kIdle},
      {"SCHED_DEADLINE", SchedulerPolicy::kDeadline},
  };
  for (const auto& [name, policy] : policies) {
    const Process process = GoodProcess("\"scheduler\": {\"policy\": \"" + std::string{name} + "\"}");
    BOOST_TEST((process.scheduler->policy == policy));
  }
  const std::pair<const char*, std::uint64_t> flags[] = {
      {"SCHED_FLAG_RESET_ON_FORK", 0x01},  {"SCHED_FLAG_RECLAIM", 0x02},     {"SCHED_FLAG_DL_OVERRUN", 0x04},
      {"SCHED_FLAG_KEEP_POLICY", 0x08},    {"SCHED_FLAG_KEEP_PARAMS", 0x10}, {"SCHED_FLAG_UTIL_CLAMP_MIN", 0x20},
      {"SCHED_FLAG_UTIL_CLAMP_MAX", 0x40},
  };
  for (const auto& [name, bit] : flags) {
    const Process process =
        GoodProcess("\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"flags\": [\"" + std::string{name} + "\"]}");
    BOOST_TEST(process.scheduler->flags == bit);
  }
  BOOST_TEST(GoodProcess(R"("scheduler": {"policy": "SCHED_FIFO", "priority": 99})").scheduler->priority == 99);
  BOOST_TEST(GoodProcess(R"("scheduler": {"policy": "SCHED_BATCH", "nice": -20})").scheduler->nice == -20);
  BOOST_TEST(GoodProcess(R"("scheduler": {"policy": "SCHED_BATCH", "nice": 19})").scheduler->nice == 19);
}

BOOST_AUTO_TEST_CASE(refusals) {
  static constexpr Refusal kRefusals[] = {
      {R"("terminal": "yes")", "terminal: expected boolean"},
      {R"("consoleSize": [])", "consoleSize: expected object"},
      {R"("consoleSize": {"height": -1})", "consoleSize.height: out of range"},
      {R"("consoleSize": {"width": 65536})", "consoleSize.width: out of range"},
      {R"("user": "root")", "user: expected object"},
      {R"("user": {"uid": "0"})", "user.uid: expected integer"},
      {R"("user": {"uid": -1})", "user.uid: out of range"},
      {R"("user": {"uid": 4294967295})", "user.uid: out of range"},
      {R"("user": {"uid": 4294967296})", "user.uid: out of range"},
      {R"("user": {"gid": 4294967295})", "user.gid: out of range"},
      {R"("user": {"umask": 512})", "user.umask: out of range"},
      {R"("user": {"umask": "022"})", "user.umask: expected integer"},
      {R"("user": {"additionalGids": 1})", "user.additionalGids: expected array"},
      {R"("user": {"additionalGids": [1, -1]})", "user.additionalGids[1]: out of range"},
      {R"("args": [])", "args: must not be empty"},
      {R"("args": "sh")", "args: expected array"},
      {R"("args": ["sh", 1])", "args[1]: expected string"},
      {R"("env": {"A": "B"})", "env: expected array"},
      {R"("cwd": "")", "cwd: must be an absolute path"},
      {R"("cwd": "work")", "cwd: must be an absolute path"},
      {R"("cwd": 1)", "cwd: expected string"},
      {R"("capabilities": ["CAP_CHOWN"])", "capabilities: expected object"},
      {R"("capabilities": {"bounding": "CAP_CHOWN"})", "capabilities.bounding: expected array"},
      {R"("capabilities": {"ambient": [1]})", "capabilities.ambient[0]: expected string"},
      {R"("rlimits": {})", "rlimits: expected array"},
      {R"("rlimits": [{"soft": 1, "hard": 1}])", R"(rlimits[0].type: unknown rlimit "")"},
      {R"("rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}])", R"(rlimits[0].type: unknown rlimit "RLIMIT_X")"},
      {R"("rlimits": [{"type": "NOFILE", "soft": 1, "hard": 1}])", R"(rlimits[0].type: unknown rlimit "NOFILE")"},
      {R"("rlimits": [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}])",
       "rlimits[0].soft: must not be greater than hard"},
      {R"("rlimits": [{"type": "RLIMIT_CPU", "soft": -1, "hard": 1}])", "rlimits[0].soft: out of range"},
      {R"("rlimits": [{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}, {"type": "RLIMIT_AS", "soft": 1, "hard": 1},
                      {"type": "RLIMIT_CPU", "soft": 1, "hard": 1}])",
       "rlimits[2].type: duplicate RLIMIT_CPU"},
      {R"("noNewPrivileges": 1)", "noNewPrivileges: expected boolean"},
      {R"("apparmorProfile": true)", "apparmorProfile: expected string"},
      {R"("selinuxLabel": 1)", "selinuxLabel: expected string"},
      {R"("oomScoreAdj": 1001)", "oomScoreAdj: must be from -1000 to 1000"},
      {R"("oomScoreAdj": -1001)", "oomScoreAdj: must be from -1000 to 1000"},
      {R"("oomScoreAdj": "0")", "oomScoreAdj: expected integer"},
      {R"("scheduler": {})", "scheduler.policy: required"},
      {R"("scheduler": {"policy": "FIFO"})", R"(scheduler.policy: unknown scheduler policy "FIFO")"},
      {R"("scheduler": {"policy": "SCHED_OTHER", "nice": 20})", "scheduler.nice: must be from -20 to 19"},
      {R"("scheduler": {"policy": "SCHED_OTHER", "nice": -21})", "scheduler.nice: must be from -20 to 19"},
      {R"("scheduler": {"policy": "SCHED_OTHER", "priority": 1})",
       "scheduler.priority: only for SCHED_FIFO and SCHED_RR"},
      {R"("scheduler": {"policy": "SCHED_RR", "runtime": 1})",
       "scheduler.runtime: runtime, deadline and period are only for SCHED_DEADLINE"},
      {R"("scheduler": {"policy": "SCHED_OTHER", "flags": ["X"]})",
       R"(scheduler.flags[0]: unknown scheduler flag "X")"},
      {R"("scheduler": {"policy": "SCHED_DEADLINE", "runtime": -1})", "scheduler.runtime: out of range"},
      {R"("ioPriority": {"priority": 1})", "ioPriority.class: required"},
      {R"("ioPriority": {"class": "BE"})", R"(ioPriority.class: unknown I/O priority class "BE")"},
      {R"("ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 8})", "ioPriority.priority: must be from 0 to 7"},
      {R"("ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": -1})", "ioPriority.priority: must be from 0 to 7"},
      {R"("execCPUAffinity": {"initial": "a"})", "execCPUAffinity.initial: malformed CPU list"},
      {R"("execCPUAffinity": {"final": "3-1"})", "execCPUAffinity.final: malformed CPU list"},
      {R"("execCPUAffinity": {"final": "1,"})", "execCPUAffinity.final: malformed CPU list"},
      {R"("execCPUAffinity": {"final": "-1"})", "execCPUAffinity.final: malformed CPU list"},
      {R"("execCPUAffinity": {"final": "1 2"})", "execCPUAffinity.final: malformed CPU list"},
      {R"("execCPUAffinity": {"final": "99999999999"})", "execCPUAffinity.final: malformed CPU list"},
  };
  for (const Refusal& refusal : kRefusals) {
    BOOST_TEST_CONTEXT("the fragment " << refusal.fragment) {
      BOOST_TEST(ErrorOf(ProcessConfig(refusal.fragment)) == "config.json: process." + std::string{refusal.error});
    }
  }
  BOOST_TEST(ErrorOf(Config(R"("process": {"cwd": "/"})")) == "config.json: process.args: must not be empty");
  BOOST_TEST(ErrorOf(Config(R"("process": {"args": ["a"]})")) == "config.json: process.cwd: must be an absolute path");
  BOOST_TEST(ErrorOf(Config(R"("process": "sh")")) == "config.json: process: expected object");
}

BOOST_AUTO_TEST_CASE(alone_as_exec_reads_it) {
  const Result<Process> process = ParseProcess(R"({"args": ["id"], "cwd": "/x", "user": {"uid": 3}})", "process.json");
  BOOST_REQUIRE(process.has_value());
  BOOST_TEST(process->user.uid == 3U);
  BOOST_TEST(process->cwd == "/x");
  const Result<Process> bad = ParseProcess(R"({"args": ["id"], "cwd": "/x", "user": {"uid": -3}})", "process.json");
  BOOST_REQUIRE(!bad.has_value());
  BOOST_TEST(bad.error().message == "process.json: user.uid: out of range");
  BOOST_TEST(!ParseProcess("", "process.json").has_value());
  BOOST_TEST(!ParseProcess("null", "process.json").has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::oci
