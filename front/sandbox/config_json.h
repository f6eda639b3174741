// config.json of a sandbox.
#pragma once

#include <string>
#include <vector>

#include "front/sandbox/cdi.h"
#include "front/sandbox/ids.h"
#include "front/sandbox/mounts.h"
#include "front/sandbox/options.h"

namespace nucleus::front {

struct ConfigParts {
  std::string root = "rootfs";
  std::string rootfs_mode;  // of the annotation; empty: none
  bool readonly_root = true;
  std::string network;
  std::string mode;     // empty: as the options have it
  std::string members;  // of the annotation; empty: none
  bool terminal = false;
  std::vector<SandboxMount> mounts;
  CdiEdits cdi;
  std::vector<std::pair<std::string, std::string>> policies;  // "seccomp" → its pin
};

std::string ConfigText(const SandboxOptions& options, const Ids& ids, const ConfigParts& parts);

}  // namespace nucleus::front
