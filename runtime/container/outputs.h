// What the caller gets of a process that was made: pid file, terminal, pidfd.
#pragma once

#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/spec.h"
#include "runtime/container/container.h"

namespace nucleus::container {

// The rules on --console-socket and `terminal`, checked before anything is made.
Result<> CheckTerminalOptions(bool terminal, const IoOptions& io);

// With a terminal that is passed on to the caller's own, the process starts with the size of that one: set later, it
// could have asked before.
void TakeCallersSize(const IoOptions& io, oci::Process& process);

// Decimal, no newline, to a temporary name and renamed: a reader never sees half of it.
Result<> WritePidFile(const std::string& path, pid_t pid);

// Sends the terminal's master over the AF_UNIX socket at `path`.
Result<> SendConsole(const std::string& path, int master);

// Sends a pidfd over the AF_UNIX socket at `path`.
Result<> SendPidfd(const std::string& path, int pidfd);

}  // namespace nucleus::container
