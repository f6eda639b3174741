#include "runtime/telemetry/send.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/fd.h"
#include "runtime/sys/own_program.h"
#include "runtime/telemetry/environment.h"

#ifndef NUCLEUS_OTEL_HELPER
#define NUCLEUS_OTEL_HELPER ""
#endif

namespace nucleus::telemetry {
namespace {

constexpr const char* kHelper = NUCLEUS_OTEL_HELPER;

bool IsRegular(int fd) {
  struct stat status{};
  return fd >= 0 && ::fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

bool SenderInstalled() {
  return kHelper[0] == '/' && ::access(kHelper, X_OK) == 0;
}

Result<> Send(const std::string& body, const Log& log) {
  if (kHelper[0] != '/') {
    return std::unexpected(Failure("this build has no nucleus-otel", ENOTSUP));
  }
  const Fd helper = TRY(sys::OpenOwnProgram(kHelper));
  const Fd memory = TRY(sys::InMemory(body, "spans"));
  sys::OwnProgram run{
      .file = helper.get(),
      .words = {"nucleus-otel"},
      .environment = ExportersEnvironment([](const char* name) -> const char* { return std::getenv(name); }),
      .descriptors = {{memory.get(), kBodyFd}},
      .session = true};
  if (IsRegular(log.file)) {
    run.words.emplace_back(log.json ? "json" : "text");
    run.descriptors.emplace_back(log.file, kLogFd);
  }
  TRY(sys::StartOwnProgram(std::move(run)));
  return {};
}

}  // namespace nucleus::telemetry
