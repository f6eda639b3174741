// Asks systemd for something through the helper (helper/main.cpp), which is run by its absolute path of this build.
#pragma once

#include "base/error.h"
#include "runtime/systemd/request.h"

namespace nucleus::systemd {

// Was this built with the helper, and is it where it was installed?
bool HelperInstalled();

// An error where there is no systemd to be asked, the system's or this user's, or no helper.
Result<> CheckRunning(bool user);

// The helper's error is the result's. It has a bounded time.
Result<> Ask(const Request& request);

// The names as they are on the host, of the processes: the path below the manager's mount that /proc/PID/cgroup has in
// the hierarchy of systemd's (v2 alone: the one that there is). An error where that does not end with `path`, as
// Scope has it: then the process is not where it was to be.
Result<std::string> CgroupOf(pid_t pid, const std::string& path, bool unified);

}  // namespace nucleus::systemd
