// `nucleus stop`.

#include <csignal>

#include "front/commands/commands.h"
#include "front/service/service.h"
#include "runtime/container/container.h"
#include "runtime/sys/syscalls.h"
#include "shim/cli/command_line.h"
#include "shim/cli/log.h"
#include "shim/cli/telemetry.h"

namespace nucleus::front {
namespace {

constexpr int kDefaultMs = 10000;
constexpr int kKilledMs = 10000;

// As the image specification's annotation has it.
int StopSignalOf(const oci::State& state) {
  const auto found = state.annotations.find("org.opencontainers.image.stopSignal");
  return found == state.annotations.end() ? SIGTERM : shim::ParseSignal(found->second).value_or(SIGTERM);
}

// A container that somebody else has made, and deletes: only its processes are ended.
Result<> StopContainer(const Globals& globals, const std::string& id, int timeout_ms) {
  const container::Settings settings{.root = globals.root, .warn = [](const std::string&) {}};
  const container::Snapshot snapshot = TRY(container::Load(settings, id));
  if (snapshot.status == container::Status::kStopped) {
    return {};
  }
  const Fd init = TRY(sys::PidfdOpen(snapshot.state.pid));
  // Is it still that one?
  if (TRY(container::Load(settings, id)).status == container::Status::kStopped) {
    return {};
  }
  const auto kill = [&](const std::string& signal, int wait_ms) -> Result<bool> {
    TRY(RunQuietly(globals, {"kill", id, signal}));
    return sys::PidfdWait(init.get(), wait_ms);
  };
  if (TRY(kill(std::to_string(StopSignalOf(snapshot.state)), timeout_ms < 0 ? kDefaultMs : timeout_ms)) ||
      TRY(kill("KILL", kKilledMs))) {
    return {};
  }
  return std::unexpected(Failure(id + ": it does not end", ETIMEDOUT));
}

Result<> StopOne(const Globals& globals, const std::string& id, const StopCommand& command) {
  const Result<ServiceStatus> status = ReadService(globals, id);
  if (status || status.error().code != ENOENT) {
    return StopService(globals, id, {.timeout_ms = command.timeout_ms, .keep_log = command.keep});
  }
  return StopContainer(globals, id, command.timeout_ms);
}

}  // namespace

Result<int> RunStop(const Globals& globals, const StopCommand& command) {
  int status = 0;
  shim::telemetry::Begin("stop");
  shim::telemetry::PassOn();
  if (command.ids.size() == 1) {
    shim::telemetry::NoteContainer(command.ids[0], "");
  }
  for (const std::string& id : command.ids) {
    if (const Result<> stopped = StopOne(globals, id, command); !stopped) {
      shim::Log(shim::Level::kError, stopped.error().message);
      status = 1;
    }
  }
  return status;
}

}  // namespace nucleus::front
