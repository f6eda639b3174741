// Moments in another network namespace. For a process with one thread.
#pragma once

#include <cstdlib>
#include <functional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::uplink {

// The process is in the namespace as long as this lives. A process that cannot come back ends: it would do the rest of
// its work in the wrong place.
class Visit {
 public:
  static Result<Visit> Begin(int netns);
  Visit(Visit&&) noexcept = default;
  Visit& operator=(Visit&&) = delete;
  ~Visit();

 private:
  explicit Visit(Fd home) : home_(std::move(home)) {
  }
  Fd home_;
};

// Does `work` in the namespace and comes back. Root of a user namespace could not come back to the network of its host,
// which is not its own: there the work is done by a child, and nothing but the error comes back.
Result<> Inside(int netns, const std::function<Result<>()>& work);

// What names the network namespace of this process as long as it is there: no two have the same at a time.
Result<std::string> NetnsName();
// That of a descriptor.
Result<std::string> NetnsName(int netns);

}  // namespace nucleus::uplink
