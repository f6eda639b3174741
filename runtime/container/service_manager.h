// The service manager's end of the readiness protocol, for whoever tells it something. Source: sd_notify(3).
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::container {

// Whether READY=1 is among the lines of a message.
bool SaysReady(std::string_view message);

// A datagram socket to what NOTIFY_SOCKET names, which is not empty: a path, or "@name" for an abstract socket.
Result<Fd> ConnectManager(const std::string& manager);

}  // namespace nucleus::container
