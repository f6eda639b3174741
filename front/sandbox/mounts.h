// What is mounted into a sandbox.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "front/sandbox/ids.h"
#include "front/sandbox/options.h"

namespace nucleus::front {

struct SandboxMount {
  std::string destination;
  std::string type;
  std::string source;
  std::vector<std::string> options;
  bool file = false;  // the source is no directory
  // Of a bind mount: who owns the source on the host is the sandbox's user inside.
  std::optional<std::pair<std::uint32_t, std::uint32_t>> owner;
};

inline constexpr const char* kHome = "/home/user";
inline constexpr const char* kWorkspace = "/workspace";

// /proc, /dev, /tmp, the home, and with `sysfs` /sys.
std::vector<SandboxMount> BasicMounts(const SandboxOptions& options, const Ids& ids, bool sysfs);

// A directory or file of the host, seen as the user's own. `name` is for the error: "--volume SRC".
Result<SandboxMount> BindOf(const std::string& source, const std::string& destination, bool writable, bool executable,
                            const Ids& ids, const std::string& name);

}  // namespace nucleus::front
