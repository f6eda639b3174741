#include "runtime/confine/scheduling.h"

#include <sched.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace nucleus::confine {
namespace {

// sched_setattr(2) has no wrapper in the C library; the structure is version 1 of the kernel's, which the clamp flags
// ask for. Kernels that know only version 0 take it as long as the rest is zero.
struct SchedAttr {
  std::uint32_t size = sizeof(SchedAttr);
  std::uint32_t policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
  std::uint32_t util_min = 0;
  std::uint32_t util_max = 0;
};

std::uint32_t Number(oci::SchedulerPolicy policy) {
  switch (policy) {
    case oci::SchedulerPolicy::kOther:
      return 0;
    case oci::SchedulerPolicy::kFifo:
      return 1;
    case oci::SchedulerPolicy::kRr:
      return 2;
    case oci::SchedulerPolicy::kBatch:
      return 3;
    case oci::SchedulerPolicy::kIso:
      return 4;
    case oci::SchedulerPolicy::kIdle:
      return 5;
    case oci::SchedulerPolicy::kDeadline:
      return 6;
  }
  return 0;
}

Result<> SetScheduler(const oci::Scheduler& scheduler) {
  const SchedAttr attributes{.policy = Number(scheduler.policy),
                             .flags = scheduler.flags,
                             .nice = scheduler.nice,
                             .priority = static_cast<std::uint32_t>(scheduler.priority),
                             .runtime = scheduler.runtime,
                             .deadline = scheduler.deadline,
                             .period = scheduler.period};
  if (::syscall(SYS_sched_setattr, 0, &attributes, 0) != 0) {
    return std::unexpected(SysError("process.scheduler: sched_setattr", ""));
  }
  return {};
}

Result<> SetIoPriority(const oci::IoPriority& priority) {
  constexpr int kProcessGroup = 2;  // IOPRIO_WHO_PGRP: the specification speaks of the process group
  constexpr int kClassShift = 13;
  const int value = (static_cast<int>(priority.io_class) << kClassShift) | priority.priority;
  if (::syscall(SYS_ioprio_set, kProcessGroup, 0, value) != 0) {
    return std::unexpected(SysError("process.ioPriority: ioprio_set", ""));
  }
  return {};
}

}  // namespace

Result<> SetScheduling(const Confinement& confinement) {
  if (confinement.personality) {
    const bool linux32 = *confinement.personality == oci::PersonalityDomain::kLinux32;
    if (::personality(linux32 ? PER_LINUX32 : PER_LINUX) < 0) {
      return std::unexpected(SysError("linux.personality: personality", ""));
    }
  }
  if (confinement.scheduler) {
    TRY(SetScheduler(*confinement.scheduler));
  }
  if (confinement.io_priority) {
    TRY(SetIoPriority(*confinement.io_priority));
  }
  return {};
}

}  // namespace nucleus::confine
