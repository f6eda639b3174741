// The caller's side of a container that runs in the foreground: signals go in, the terminal is carried both ways, the
// exit status comes out.
#pragma once

#include "base/error.h"
#include "runtime/container/container.h"

namespace nucleus::shim {

// Blocks the signals that are to be forwarded; made before the process is, so that none is lost.
class SignalGate {
 public:
  static Result<SignalGate> Make();
  [[nodiscard]] int fd() const {
    return fd_.get();
  }

 private:
  Fd fd_;
};

// Waits for the end of `process`, forwarding meanwhile. Returns its exit status, 128 + n for a signal. Other children
// (of a subreaper) are reaped.
Result<int> Accompany(const SignalGate& signals, container::Launched& process);

}  // namespace nucleus::shim
