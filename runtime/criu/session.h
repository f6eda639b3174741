// One run of criu as a worker of this process ("criu swrk"): one request, its stages, one answer.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/criu/message.h"

namespace nucleus::criu {

// The criu that is used, by its absolute path: the first of the places where distributions have it, which has to be
// root's alone to change. An error where there is none.
Result<std::string> FindProgram();

struct Launch {
  std::string program;
  std::uint64_t namespaces = 0;  // CLONE_NEW* for criu itself
  int cgroup_fd = -1;            // of v2: where criu runs, and what it restores with it
  bool own_streams = true;       // /dev/null for the standard streams; else the caller's, as the restored process has
  std::vector<int> descriptors;  // become 4, 5, ... there
  std::function<Result<>()> prepare;  // in the new process, before criu is executed; may be empty
};

class Session {
 public:
  static Result<Session> Begin(const Launch& launch);
  Session(Session&&) = default;
  Session& operator=(Session&&) = delete;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  // Ends criu where it still runs: what it was about to restore ends with it, what it was about to dump goes on.
  ~Session();

  [[nodiscard]] pid_t pid() const {
    return pid_;
  }

  // Sends a request and serves its stages: `on_stage` is called for each, with the descriptor that came along where one
  // did; its error ends the whole. The answer is the one of success; criu's failure is an error that says what criu
  // says.
  Result<Answer> Serve(RequestType type, const Message& options,
                       const std::function<Result<>(const Answer& stage, Fd descriptor)>& on_stage);

 private:
  Session(pid_t pid, Fd pidfd, Fd socket) : pid_(pid), pidfd_(std::move(pidfd)), socket_(std::move(socket)) {
  }
  pid_t pid_;
  Fd pidfd_;
  Fd socket_;
};

}  // namespace nucleus::criu
