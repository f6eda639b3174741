// seccomp generate.

#include <unistd.h>

#include "base/fd.h"
#include "runtime/trace/generate.h"
#include "shim/cli/commands.h"
#include "shim/cli/log.h"
#include "shim/cli/output_file.h"

namespace nucleus::shim {

Result<int> GenerateSeccomp(const SeccompCommand& command) {
  trace::Trace trace;
  for (const std::string& path : command.traces) {
    const std::string text = TRY(ReadFile(path, trace::kMaxTraceBytes));
    TRY(trace::ReadTrace(text, path, trace));
  }
  for (const std::string& warning : trace.warnings) {
    Log(Level::kWarning, warning);
  }
  if (trace.unknown != 0) {
    Log(Level::kWarning, std::to_string(trace.unknown) + " calls have no name here: the profile does not allow them");
  }
  if (trace.calls.empty()) {
    return std::unexpected(Failure("no system call was traced", ENODATA));
  }
  const std::string profile = trace::GenerateProfile(trace);
  const std::string text = command.output.empty() ? profile : TRY(WriteOutputFile(command.output, profile)) + "\n";
  TRY(WriteAll(STDOUT_FILENO, text, "stdout"));
  return 0;
}

}  // namespace nucleus::shim
