// A directory tree that was copied for a sandbox gets its owners.
#pragma once

#include <string>

#include "base/error.h"
#include "front/sandbox/ids.h"

namespace nucleus::front {

// A copy of `source` in the empty directory `target`. `keep_owners`: what belongs to the host's id N belongs to the
// sandbox's N; otherwise everything is its user's. Devices are left out, set-user-id bits too.
Result<> CopyForSandbox(const std::string& source, const std::string& target, const Ids& ids, bool keep_owners);

// Removes a directory with all that is in it; links are not followed. No error where it is not there.
Result<> RemoveTree(const std::string& path);

}  // namespace nucleus::front
