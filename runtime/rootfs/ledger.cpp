#include "runtime/rootfs/ledger.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "runtime/sys/syscalls.h"

#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x1000U
#endif
#ifndef STATX_MNT_ID_UNIQUE
#define STATX_MNT_ID_UNIQUE 0x4000U
#endif

namespace nucleus::rootfs {

namespace {

Result<std::uint64_t> IdOf(int fd, const char* path, int flags, bool unique, const std::string& name) {
  const unsigned wanted = unique ? STATX_MNT_ID_UNIQUE : STATX_MNT_ID;
  struct statx status{};
  if (::statx(fd, path, flags | AT_NO_AUTOMOUNT, wanted, &status) != 0) {
    return std::unexpected(SysError("statx", name));
  }
  if ((status.stx_mask & wanted) == 0) {
    return std::unexpected(Failure(name + ": the kernel does not tell its mount", ENOTSUP));
  }
  return std::uint64_t{status.stx_mnt_id};
}

}  // namespace

Result<std::uint64_t> MountId(int fd, bool unique, const std::string& name) {
  return IdOf(fd, "", AT_EMPTY_PATH, unique, name);
}

Result<std::uint64_t> MountIdAt(const std::string& path, bool unique) {
  return IdOf(AT_FDCWD, path.c_str(), 0, unique, path);
}

Result<> Note(Ledger* ledger, Fd mount, LedgerEntry entry) {
  if (ledger != nullptr) {
    TRY(NoteHeld(ledger, mount.get(), std::move(entry)));
    ledger->held.push_back(std::move(mount));
  }
  return {};
}

Result<> NoteCopy(Ledger* ledger, int mount, LedgerEntry entry) {
  if (ledger != nullptr && !ledger->unique) {
    return Note(ledger, TRY(sys::Duplicate(mount)), std::move(entry));
  }
  return NoteHeld(ledger, mount, std::move(entry));
}

Result<> NoteHeld(Ledger* ledger, int mount, LedgerEntry entry) {
  if (ledger != nullptr) {
    entry.id = TRY(MountId(mount, ledger->unique, entry.path));
    ledger->entries.push_back(std::move(entry));
  }
  return {};
}

}  // namespace nucleus::rootfs
