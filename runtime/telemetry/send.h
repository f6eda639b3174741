// Hands finished spans to nucleus-otel (shim/otel), which sends them when this program has gone.
#pragma once

#include <string>

#include "base/error.h"

namespace nucleus::telemetry {

// Descriptors of nucleus-otel: the request's body, and the log where there is one.
inline constexpr int kBodyFd = 0;
inline constexpr int kLogFd = 3;

// Was this built with the program, and is it where it was installed?
bool SenderInstalled();

struct Log {
  int file = -1;  // of --log; -1: none. One that is no regular file is not passed on: somebody may read it to its end
  bool json = false;
};

// Returns once the program runs; it holds no stream of this one's. Not waited for: it is to outlive this process.
Result<> Send(const std::string& body, const Log& log);

}  // namespace nucleus::telemetry
