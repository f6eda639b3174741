// What each command does, in terms of runtime/container. Every function returns the exit status.
#pragma once

#include "base/error.h"
#include "runtime/container/container.h"
#include "shim/cli/command_line.h"

namespace nucleus::shim {

Result<int> RunCommandLine(CommandLine& line);

// run and exec (native/)
Result<int> Run(const container::Settings& settings, const RunCommand& command);
Result<int> Exec(const container::Settings& settings, const ExecCommand& command);

// state, list, ps (print.cpp)
Result<int> PrintState(const container::Settings& settings, const StateCommand& command);
Result<int> PrintList(const container::Settings& settings, const ListCommand& command);
Result<int> PrintProcesses(const container::Settings& settings, const PsCommand& command);

Result<int> PrintEvents(const container::Settings& settings, const EventsCommand& command);   // events.cpp
Result<int> UpdateLimits(const container::Settings& settings, const UpdateCommand& command);  // update.cpp
Result<int> WriteSpec(const SpecCommand& command);                                            // spec.cpp
std::string FeaturesText();                                                                   // features.cpp

}  // namespace nucleus::shim
