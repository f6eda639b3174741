// Who cleans up after a sandbox whose own process was killed.
#pragma once

#include <sys/types.h>

#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "front/program.h"

namespace nucleus::front {

// A process in a session of its own that waits for the end of the one that made it. Where that comes before Dismiss, it
// deletes the container by force, removes the directory, and completes what was being written back into the workspace.
class Watcher {
 public:
  // `directory` need not be there yet: it is the caller's once it has the entry `mark`, whose name nobody else has.
  // `draft`, the caller's in any case, is removed as well. `workspace` is one that is copied; empty: none.
  static Result<Watcher> Start(const Globals& globals, const std::string& id, const std::string& directory,
                               const std::string& draft, const std::string& mark, const std::string& workspace);
  Watcher(Watcher&&) noexcept = default;
  Watcher& operator=(Watcher&&) noexcept = default;
  ~Watcher();

  // Told by the process that is about to become `nucleus run`: it ends before anything is deleted.
  [[nodiscard]] bool Tell(pid_t runner) const;

 private:
  Watcher() = default;
  Child process_;
  Fd line_;
};

}  // namespace nucleus::front
