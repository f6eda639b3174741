// start: lets the waiting init execute, and hears how that went.

#include "runtime/container/start.h"

#include <sys/socket.h>

#include "runtime/container/channel.h"
#include "runtime/container/container.h"
#include "runtime/container/degrade.h"
#include "runtime/container/evidence.h"
#include "runtime/container/hooks.h"
#include "runtime/container/lifecycle.h"
#include "runtime/container/teardown.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

constexpr int kEndWaitMs = 10000;

// The init says kRuntimeHooks before its startContainer hooks and kReady right before execve; then its end of the
// socket is closed by execve itself, or carries the error. `in_hooks` tells whether a failure was theirs.
Result<> ReleaseInit(const Settings& settings, const StateDir& directory, oci::State& state, bool& in_hooks) {
  FAULT_POINT("start.connect");
  const Fd socket =
      TRY_IN("cannot start the container",
             sys::ConnectUnix("/proc/self/fd/" + std::to_string(directory.fd()) + "/" + kStartSocket, SOCK_SEQPACKET));
  TRY(Send(socket.get(), Tag::kGo));
  bool executing = false;
  for (;;) {
    const Result<Message> message = Receive(socket.get());
    if (!message) {
      if (executing) {
        return {};
      }
      return std::unexpected(Failure("the container's init ended before it executed", ECHILD));
    }
    if (message->tag == Tag::kError) {
      // Its last word: the container has stopped when this command says that it could not be started.
      if (const Result<Fd> init = OpenInit(state)) {
        (void)sys::PidfdWait(init->get(), kEndWaitMs);
      }
      return std::unexpected(Failure(message->text, message->code));
    }
    if (message->tag == Tag::kDegraded) {
      // What `create` has recorded is not said twice: a filter that was not compiled cannot be loaded either.
      Record(settings.warn, TakeDegradation(*message), state);
      continue;
    }
    in_hooks = message->tag == Tag::kRuntimeHooks;
    executing = message->tag == Tag::kReady;
  }
}

Result<> SaveRunning(Opened& opened) {
  opened.state.phase = oci::Phase::kRunning;
  FAULT_POINT("start.save-state");
  return opened.directory.WriteState(opened.state);
}

struct Started {
  std::unique_ptr<ReadyProxy> ready;
  Fd init;
  pid_t pid = 0;
};

Result<Started> StartLocked(const Settings& settings, const std::string& id) {
  Opened opened = TRY(OpenContainer(settings, id, true));
  TRY(MayBeSaid(Command::kStart, opened.status, id));
  Started started;
  started.ready = TRY(ReadyProxy::Listen(opened.directory.fd(), settings.notify_socket));
  if (started.ready) {
    started.init = TRY(OpenInit(opened.state));
    started.pid = opened.state.pid;
  }
  TRY(StartOpened(settings, opened));
  return started;
}

}  // namespace

Result<> Start(const Settings& settings, const std::string& id) {
  // Other commands are not kept waiting while the container makes itself ready.
  const Started started = TRY(StartLocked(settings, id));
  if (started.ready) {
    if (const Result<> waited = started.ready->Wait(started.init.get(), started.pid); !waited) {
      settings.warn(waited.error().message);
    }
  }
  return {};
}

Result<> StartOpened(const Settings& settings, Opened& opened, int pidfd) {
  const std::shared_ptr<const oci::Spec> spec = TRY(opened.directory.ReadSpec());
  if (!spec->process) {
    return std::unexpected(Failure("process: needed to start the container", EINVAL));
  }
  const std::size_t degradations = opened.state.degradations.size();
  bool in_hooks = false;
  if (Result<> released = ReleaseInit(settings, opened.directory, opened.state, in_hooks); !released) {
    // A failed hook ends the container (config.md, lifecycle step 8); after a failed execve what is left is for
    // `delete`.
    if (in_hooks) {
      (void)TearDown(settings, opened);
    }
    return released;
  }
  GatherStarted(settings, *spec, pidfd, opened.state);
  Result<> done = SaveRunning(opened);
  if (done) {
    TellStarted(settings, opened.state, degradations);
    done = RunHooks("poststart", spec->hooks.poststart, oci::FormatOciState(opened.state, "running"));
  }
  // A process that runs while its state says otherwise would be nobody's; a failed hook ends the container as well.
  if (!done) {
    (void)TearDown(settings, opened);
  }
  return done;
}

}  // namespace nucleus::container
