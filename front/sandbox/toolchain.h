// The host's programs as a root filesystem: /usr and what belongs to it, and a few files of /etc, all read-only.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "front/sandbox/ids.h"
#include "front/sandbox/mounts.h"

namespace nucleus::front {

// Makes the directory's own part in `root` (links, files of /etc), and says what is to be mounted.
Result<std::vector<SandboxMount>> MakeToolchain(const std::string& root, const Ids& ids, const std::string& hostname);

}  // namespace nucleus::front
