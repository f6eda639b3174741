// Secrets: files in memory, which the sandbox's user alone can read.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "front/sandbox/ids.h"
#include "front/sandbox/mounts.h"
#include "front/sandbox/options.h"

namespace nucleus::front {

// Writes each into `directory`, which is on a tmpfs, and says where it is mounted. No error has any of its bytes.
Result<std::vector<SandboxMount>> KeepSecrets(const std::vector<Secret>& secrets, const std::string& directory,
                                              const Ids& ids);

// Mounts of the files themselves, for a bundle that is kept. A descriptor is none that a later run has: an error.
Result<std::vector<SandboxMount>> ReferToSecrets(const std::vector<Secret>& secrets, const Ids& ids);

}  // namespace nucleus::front
