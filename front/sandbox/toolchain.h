// The host's programs as a root filesystem: /usr and what belongs to it, and a few files of /etc, all read-only.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "front/sandbox/ids.h"
#include "front/sandbox/mounts.h"

namespace nucleus::front {

// What it is made of here and now. Two that have the same key are the same.
struct Toolchain {
  std::vector<SandboxMount> mounts;
  std::vector<std::string> links;                            // of the host, as they are
  std::vector<std::string> copies;                           // files of the host
  std::vector<std::pair<std::string, std::string>> written;  // path and text
  std::string key;                                           // 64 digits
};
Result<Toolchain> DescribeToolchain(const Ids& ids, const std::string& hostname);

// Makes the directory's own part (links, files) in the empty directory `root`.
Result<> MakeToolchain(const Toolchain& toolchain, const std::string& root);

}  // namespace nucleus::front
