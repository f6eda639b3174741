// A workspace that is copied for a sandbox, and written back after it.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "front/sandbox/ids.h"
#include "front/sandbox/snapshot.h"

namespace nucleus::front {

class WorkspaceCopy {
 public:
  // Copies `workspace` to `target`, which is made. What a killed one before has left half done is completed first.
  static Result<WorkspaceCopy> Make(const std::string& workspace, const std::string& target, const Ids& ids);

  // Once nothing of the sandbox runs. An error: nothing was written, and the copy has to be kept. `left_out` is what no
  // file, directory or link is.
  Result<> WriteBackChanges(const std::string& id, std::vector<std::string>& left_out);

 private:
  WorkspaceCopy() = default;
  Fd tree_;
  Fd copy_;
  Snapshot tree_before_;
  Snapshot copy_before_;
};

}  // namespace nucleus::front
