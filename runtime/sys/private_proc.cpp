#include "runtime/sys/private_proc.h"

#include "runtime/sys/syscalls.h"

namespace nucleus::sys {

Result<Fd> MountPrivateProc() {
  const Fd fs = TRY(FsOpen("proc"));
  TRY_IN("private procfs", FsConfigCreate(fs.get()));
  return TRY_IN("private procfs", FsMount(fs.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
}

}  // namespace nucleus::sys
