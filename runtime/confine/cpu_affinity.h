// process.execCPUAffinity: the CPUs of a process that joins a container, before and after it is in the container's cgroup.
// Source: config.md "Process", sched_setaffinity(2).
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace nucleus::confine {

// "0-3,7" → the numbers, ascending, each once. The parser of config.json has checked the form. EINVAL for more than the
// kernel can have.
Result<std::vector<unsigned>> ParseCpuList(const std::string& list);

// An empty list changes nothing.
Result<> SetCpuAffinity(pid_t pid, const std::string& list);

}  // namespace nucleus::confine
