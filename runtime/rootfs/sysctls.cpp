// linux.sysctl, written through a procfs of our own: nothing that is mounted in the container can stand in for the file
// (CVE-2025-52881).

#include <fcntl.h>
#include <unistd.h>

#include "runtime/plan/sysctl.h"
#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/private_proc.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {

Result<> WriteSysctls(const oci::StringMap& sysctls) {
  if (sysctls.empty()) {
    return {};
  }
  const Fd proc = TRY(sys::MountPrivateProc());
  for (const auto& [key, value] : sysctls) {
    const std::string where = "linux.sysctl[\"" + key + "\"]";
    const std::string path = plan::SysctlPath(key);
    if (path.empty()) {
      return std::unexpected(Failure(where + ": not the name of a sysctl", EINVAL));
    }
    const Fd file = TRY_IN(where, sys::OpenAt2(proc.get(), "sys/" + path, O_WRONLY,
                                               RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS));
    TRY_IN(where, WriteAll(file.get(), value, "sys/" + path));
  }
  return {};
}

}  // namespace nucleus::rootfs
