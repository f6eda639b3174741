// process.execCPUAffinity: the CPUs of a process that joins a container, before and after it is in the container's
// cgroup. Source: config.md "Process", sched_setaffinity(2).
#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"

namespace nucleus::confine {

// An empty list changes nothing.
Result<> SetCpuAffinity(pid_t pid, const std::string& list);

}  // namespace nucleus::confine
