#include "runtime/container/lifecycle.h"

namespace nucleus::container {
namespace {

std::unexpected<Error> Refusal(std::string text, int code) {
  return std::unexpected(Failure(std::move(text), code));
}

Result<> MayStart(Status status) {
  switch (status) {
    case Status::kCreated:
      return {};
    case Status::kStopped:
      return Refusal("cannot start a container that has stopped", EINVAL);
    case Status::kRunning:
      return Refusal("cannot start an already running container", EINVAL);
    default:
      return Refusal("cannot start a container in the " + std::string{StatusName(status)} + " state", EINVAL);
  }
}

}  // namespace

Status Judge(const oci::State& state, bool alive, bool frozen) {
  if (!alive) {
    return state.phase == oci::Phase::kCreating && state.pid == 0 ? Status::kCreating : Status::kStopped;
  }
  if (state.phase == oci::Phase::kCreating) {
    return Status::kCreating;
  }
  if (frozen) {
    return Status::kPaused;
  }
  return state.phase == oci::Phase::kCreated ? Status::kCreated : Status::kRunning;
}

Result<> MayBeSaid(Command command, Status status, std::string_view id) {
  const bool gone = status == Status::kStopped || status == Status::kCreating;
  switch (command) {
    case Command::kStart:
      return MayStart(status);
    case Command::kDelete:
      // Callers delete a container that was created and never started.
      if (status == Status::kStopped || status == Status::kCreated) {
        return {};
      }
      return Refusal(
          "cannot delete container " + std::string{id} + " that is not stopped: " + std::string{StatusName(status)},
          EBUSY);
    case Command::kPause:
      if (status == Status::kPaused) {
        return Refusal("container paused", EINVAL);
      }
      return gone ? Refusal("container not running", ESRCH) : Result<>{};
    case Command::kResume:
      return status == Status::kPaused ? Result<>{} : Refusal("container not paused", EINVAL);
    case Command::kExec:
      if (status == Status::kPaused) {
        return Refusal("cannot exec in a paused container (use --ignore-paused to override)", EINVAL);
      }
      return gone ? Refusal("cannot exec in a stopped container", ESRCH) : Result<>{};
    case Command::kExecIgnoringPause:
      return gone ? Refusal("cannot exec in a stopped container", ESRCH) : Result<>{};
    case Command::kUpdate:
      return gone ? Refusal("container not running", ESRCH) : Result<>{};
    case Command::kCheckpoint:
      if (gone || status == Status::kCreated) {
        return Refusal("container cannot be checkpointed in " + std::string{StatusName(status)} + " state", EINVAL);
      }
      return {};
  }
  return Refusal("unknown command", EINVAL);
}

}  // namespace nucleus::container
