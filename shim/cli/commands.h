// What each command does, in terms of runtime/container. Every function returns the exit status.
#pragma once

#include "base/error.h"
#include "runtime/container/container.h"
#include "shim/backend.h"
#include "shim/cli/command_line.h"

namespace nucleus::shim {

Result<int> RunCommandLine(CommandLine& line, const Backends& backends);

// run, exec, restore and learn (native/)
Result<int> Run(const container::Settings& settings, const RunCommand& command, const Backends& backends);
Result<int> Exec(const container::Settings& settings, const ExecCommand& command, const Backends& backends);
Result<int> Restore(const container::Settings& settings, const RestoreCommand& command);

Result<int> Learn(const container::Settings& settings, const LearnCommand& command, const Backends& backends);

// state, list, ps (print.cpp)
Result<int> PrintState(const container::Settings& settings, const StateCommand& command);
Result<int> PrintList(const container::Settings& settings, const ListCommand& command);
Result<int> PrintProcesses(const container::Settings& settings, const PsCommand& command);

Result<int> PrintEvents(const container::Settings& settings, const EventsCommand& command);  // events.cpp
Result<int> VerifyEvents(const VerifyEventsCommand& command);                                // events_verify.cpp
Result<> UpdateLimits(const container::Settings& settings, const UpdateCommand& command);    // update.cpp
Result<int> WriteSpec(const SpecCommand& command);                                           // spec.cpp
Result<int> PinOrVerify(const PolicyCommand& command);                                       // policy.cpp
Result<int> GenerateSeccomp(const SeccompCommand& command);                                  // seccomp.cpp
std::string FeaturesText(Backend& gvisor);                                                   // features.cpp
Result<int> Explain(const container::Settings& settings, const ExplainCommand& command,
                    const Backends& backends);                                          // explain.cpp
Result<int> Doctor(const DoctorCommand& command, Backend& gvisor);                      // doctor.cpp
Result<int> Attest(const AttestCommand& command);                                       // attest.cpp
Result<int> Egress(const container::Settings& settings, const EgressCommand& command);  // egress.cpp

}  // namespace nucleus::shim
