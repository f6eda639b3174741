// Where messages go: the file of --log, as text or JSON lines in the form that runc's callers read, and stderr.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"
#include "shim/cli/command_line.h"

namespace nucleus::shim {

enum class Level { kDebug, kWarning, kError };

// Opens the file of --log for appending. Without one, messages go to stderr alone.
Result<> OpenLog(const GlobalOptions& options);

// An error is also written to stderr when there is a log file: conmon and podman report that. Debug needs --debug.
void Log(Level level, std::string_view message);

// A line for a person, on stderr alone: callers take the log, and its errors, at their word.
void Advise(std::string_view advice);

// The file of --log; -1: none. And whether its lines are JSON.
int LogFile();
bool LogIsJson();
// For a program that goes on writing to a log that another has open.
void AdoptLog(Fd file, bool json);

}  // namespace nucleus::shim
