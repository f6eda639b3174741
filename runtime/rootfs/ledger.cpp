#include "runtime/rootfs/ledger.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "runtime/sys/syscalls.h"

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif

namespace nucleus::rootfs {

Result<std::uint64_t> MountId(int fd, const std::string& name) {
  struct statx status{};
  if (::statx(fd, "", AT_EMPTY_PATH | AT_NO_AUTOMOUNT, STATX_MNT_ID, &status) != 0) {
    return std::unexpected(SysError("statx", name));
  }
  if ((status.stx_mask & STATX_MNT_ID) == 0) {
    return std::unexpected(Failure(name + ": the kernel does not tell its mount", ENOTSUP));
  }
  return std::uint64_t{status.stx_mnt_id};
}

Result<> Note(Ledger* ledger, int mount, LedgerEntry entry) {
  if (ledger != nullptr) {
    entry.id = TRY(MountId(mount, entry.path));
    ledger->held.push_back(TRY(sys::Duplicate(mount)));
    ledger->entries.push_back(std::move(entry));
  }
  return {};
}

}  // namespace nucleus::rootfs
