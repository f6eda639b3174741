// Scheduling and I/O priority, read back from the kernel in a child.

#include "runtime/confine/scheduling.h"

#include <sched.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

namespace nucleus::confine {
namespace {

// The exit status of `check` after SetScheduling in a child; 200 when that fails.
template <class Check>
int After(const Confinement& confinement, Check check) {
  const pid_t child = ::fork();
  if (child == 0) {
    // The process group is the child's own: I/O priority is set for all of it.
    ::setpgid(0, 0);
    ::_exit(SetScheduling(confinement) ? check() : 200);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

oci::Scheduler Policy(oci::SchedulerPolicy policy, int nice = 0) {
  return {.policy = policy, .nice = nice};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(scheduling)

BOOST_AUTO_TEST_CASE(nothing_asked_for_changes_nothing) {
  const int policy = ::sched_getscheduler(0);
  BOOST_TEST(After({}, [policy] { return ::sched_getscheduler(0) == policy ? 0 : 1; }) == 0);
}

BOOST_AUTO_TEST_CASE(policies) {
  Confinement confinement;
  confinement.scheduler = Policy(oci::SchedulerPolicy::kBatch, 5);
  BOOST_TEST(After(confinement, [] {
               return ::sched_getscheduler(0) == SCHED_BATCH && ::getpriority(PRIO_PROCESS, 0) == 5 ? 0 : 1;
             }) == 0);
  confinement.scheduler = Policy(oci::SchedulerPolicy::kIdle);
  BOOST_TEST(After(confinement, [] { return ::sched_getscheduler(0) == SCHED_IDLE ? 0 : 1; }) == 0);
  confinement.scheduler = Policy(oci::SchedulerPolicy::kBatch);
  confinement.scheduler->flags = 0x01;  // SCHED_FLAG_RESET_ON_FORK
  BOOST_TEST(
      After(confinement, [] { return ::sched_getscheduler(0) == (SCHED_BATCH | SCHED_RESET_ON_FORK) ? 0 : 1; }) == 0);
}

BOOST_AUTO_TEST_CASE(io_priority) {
  constexpr int kProcess = 1;
  constexpr int kClassShift = 13;
  Confinement confinement;
  confinement.io_priority = oci::IoPriority{.io_class = oci::IoPriorityClass::kBestEffort, .priority = 6};
  BOOST_TEST(After(confinement,
                   [] { return ::syscall(SYS_ioprio_get, kProcess, 0) == ((2 << kClassShift) | 6) ? 0 : 1; }) == 0);
  confinement.io_priority = oci::IoPriority{.io_class = oci::IoPriorityClass::kIdle, .priority = 0};
  BOOST_TEST(After(confinement, [] { return ::syscall(SYS_ioprio_get, kProcess, 0) >> kClassShift == 3 ? 0 : 1; }) ==
             0);
}

BOOST_AUTO_TEST_CASE(personality_domain) {
  Confinement confinement;
  confinement.personality = oci::PersonalityDomain::kLinux32;
  BOOST_TEST(After(confinement, [] { return (::personality(0xffffffff) & PER_MASK) == PER_LINUX32 ? 0 : 1; }) == 0);
  confinement.personality = oci::PersonalityDomain::kLinux;
  BOOST_TEST(After(confinement, [] { return (::personality(0xffffffff) & PER_MASK) == PER_LINUX ? 0 : 1; }) == 0);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::confine
