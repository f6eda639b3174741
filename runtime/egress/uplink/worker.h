// The process that pasta runs under, and the namespaces around it:
//
//   nucleus-net -- keeper, process 1 of a pid namespace -- pasta
//
// The keeper gets SIGKILL from the kernel when nucleus-net ends, and with process 1 the kernel ends all others of its
// pid namespace: nothing outlives nucleus-net, however it ended and whatever pasta does about its parent. Keeper and
// pasta are in a user namespace in which they have their capabilities, and none outside: one made for them, whose only
// user is nobody (or the caller where there is no nobody), or the container's.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/egress/uplink/program.h"

namespace nucleus::uplink {

class Worker {
 public:
  // With a network namespace of the new user namespace, the router's, which has but a loopback that is down.
  static Result<Worker> StartWithRouter();
  // In the user namespace `userns`.
  static Result<Worker> StartIn(int userns);
  Worker(Worker&&) noexcept = default;
  Worker& operator=(Worker&&) = delete;
  // Ends the processes, unless they have been let go.
  ~Worker();

  // Descriptor of the router's namespace; -1 with StartIn.
  [[nodiscard]] int router() const {
    return router_.get();
  }
  [[nodiscard]] int pidfd() const {
    return pidfd_.get();
  }
  [[nodiscard]] pid_t pid() const {
    return pid_;
  }
  [[nodiscard]] std::uint64_t start_time() const {
    return start_time_;
  }

  // Has the keeper execute `program` with `arguments` (the first is its name), and waits until it is ready. It finds
  // the network namespace `netns` at kNetnsPath. The error has what the program said.
  Result<> Run(const Program& program, const std::vector<std::string>& arguments, int netns);
  static constexpr const char* kNetnsPath = "/tmp/netns";  // in a mount namespace of its own
  static constexpr int kReadyFd = 8;                       // slirp4netns says there that it is ready

  // From now on they end with this process, no longer with this object.
  void LetGo() {
    keep_ = true;
  }

 private:
  Worker() = default;
  static Result<Worker> Start(int userns);

  Fd pidfd_;
  Fd channel_;
  Fd router_;
  pid_t pid_ = -1;
  std::uint64_t start_time_ = 0;
  bool keep_ = false;
};

}  // namespace nucleus::uplink
