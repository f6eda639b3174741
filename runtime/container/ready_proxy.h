// The readiness protocol of service managers, carried out of a container: a process in it says READY=1 to a socket of
// ours, and that word, with the pid to watch, goes on to the service manager's. Nothing else of what a container says
// does: it is not trusted. Source: sd_notify(3).
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::container {

// The directory, below the container's own, that the container sees, and the socket in it.
inline constexpr const char* kNotifyDirectory = "notify";
inline constexpr const char* kNotifySocket = "notify.sock";

class ReadyProxy {
 public:
  // Listens in the notify directory of the container's `directory`. `manager` is the value of NOTIFY_SOCKET: a path, or
  // "@name" for an abstract socket. Empty, or a container that was made without: a null pointer.
  static Result<std::unique_ptr<ReadyProxy>> Listen(int directory, const std::string& manager);

  // To poll for reading.
  [[nodiscard]] int fd() const {
    return socket_.get();
  }
  // Reads what has come, without waiting; true once READY=1 was among it and has been passed on, with MAINPID=`pid`.
  // The socket is of no more use then.
  Result<bool> Take(pid_t pid);
  // Until then, or until the container's init has ended. For a command that ends afterwards: the service manager has
  // read the message before (BARRIER=1), or it could no longer tell whose it was.
  Result<> Wait(int init, pid_t pid);

 private:
  ReadyProxy(Fd socket, std::string manager) : socket_(std::move(socket)), manager_(std::move(manager)) {
  }
  Fd socket_;
  std::string manager_;
  Fd connection_;  // to the service manager, once there was something to say
};

}  // namespace nucleus::container
