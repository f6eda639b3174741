// A sysctl's key: one that is a container's names a file of its namespace, whatever its spelling.

#include "runtime/plan/sysctl.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view key{reinterpret_cast<const char*>(data), size};
  const std::string path = "/" + nucleus::plan::SysctlPath(key) + "/";
  const bool leaves = path.find("/../") != std::string::npos || path.find("/./") != std::string::npos;
  const bool ours = path.starts_with("/net/") || path.starts_with("/fs/mqueue/") || path.starts_with("/kernel/");
  if (leaves || (nucleus::plan::SysctlNamespace(key) != 0 && !ours)) {
    std::abort();
  }
  return 0;
}
