// The bundle of a sandbox: config.json, policies, and the root filesystem.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "front/sandbox/ids.h"
#include "front/sandbox/mounts.h"
#include "front/sandbox/options.h"

namespace nucleus::front {

struct BundlePlace {
  std::string path;       // of a directory that is there, and empty
  bool printed = false;   // it is kept: secrets are not copied into it, but mounted from where they are
  bool terminal = false;  // the process gets one
  std::string workspace;  // in place of the options': the copy; empty: the directory itself
  // Of the services of `nucleus compose`.
  bool described = false;            // config.json and policies alone: to be looked at, not to be run
  std::string mode;                  // empty: as the options have it
  std::string members;               // of dev.nucleus.network.members; empty: none
  std::vector<SandboxMount> mounts;  // besides those of the options
};

// Writes it. All that is found wrong with the options is found here, before anything runs.
Result<> WriteBundle(const SandboxOptions& options, const Ids& ids, const BundlePlace& place);

}  // namespace nucleus::front
