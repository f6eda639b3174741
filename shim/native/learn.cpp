// learn: a run that is traced, and what follows from the trace.

#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "oci-config/parse.h"
#include "runtime/container/bundle.h"
#include "runtime/trace/container_view.h"
#include "runtime/trace/generate.h"
#include "shim/cli/commands.h"
#include "shim/cli/log.h"
#include "shim/cli/output_file.h"

namespace nucleus::shim {
namespace {

Result<> Propose(const trace::Trace& trace, const LearnCommand& command) {
  const std::string bundle = TRY(container::AbsolutePath(command.bundle));
  const std::string text = TRY(ReadFile(bundle + "/config.json", oci::kMaxConfigBytes));
  const oci::Spec spec = TRY(oci::ParseSpec(text, "config.json"));
  const trace::ContainerView view{spec, bundle};
  std::string pins = TRY(WriteOutputFile(command.directory + "/seccomp.json", trace::GenerateProfile(trace))) + "\n";
  const std::string landlock =
      trace::ProposeLandlock(trace, [&view](const std::string& path) { return view.KindOf(path); });
  pins += TRY(WriteOutputFile(command.directory + "/landlock.toml", landlock)) + "\n";
  pins += TRY(WriteOutputFile(command.directory + "/egress.toml", trace::ProposeEgress(trace))) + "\n";
  return WriteAll(STDOUT_FILENO, pins, "stdout");
}

}  // namespace

Result<int> Learn(const container::Settings& settings, const LearnCommand& command, const Backends& backends) {
  if (::mkdir(command.directory.c_str(), 0755) != 0 && errno != EEXIST) {
    return std::unexpected(SysError("mkdir", command.directory));
  }
  RunCommand run;
  run.options.id = command.id;
  run.options.bundle = command.bundle;
  run.options.seccomp_trace = command.directory + "/trace.ndjson";
  run.options.learn = true;
  run.options.io.foreground = true;
  run.options.deleted_at_end = true;
  const int status = TRY(Run(settings, run, backends));
  const std::string text = TRY(ReadFile(run.options.seccomp_trace, trace::kMaxTraceBytes));
  trace::Trace trace;
  TRY(trace::ReadTrace(text, run.options.seccomp_trace, trace));
  for (const std::string& warning : trace.warnings) {
    Log(Level::kWarning, warning);
  }
  TRY(Propose(trace, command));
  return status;
}

}  // namespace nucleus::shim
