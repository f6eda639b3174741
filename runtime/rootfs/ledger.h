// What the child has mounted, by the kernel's numbers for it, and with which flags: the audit's side of the plan. Kept
// only where there is an audit; all functions do nothing for a null ledger.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/plan/mount_options.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {

enum class Placed : unsigned char {
  kMount,     // the root, or a step of the plan
  kNode,      // a device, or the terminal, on a file
  kReadonly,  // a copy of what is below it, made read-only
  kMask,
};

// What happened to one mount, in the order in which it happened.
struct LedgerEntry {
  bool changed = false;  // flags of a mount that was there
  Placed what = Placed::kMount;
  std::uint64_t id = 0;  // as in mountinfo, or the unique one
  std::string path;      // as the plan has it
  // MOUNT_ATTR_*: that it got, and that it lost (of a change).
  std::uint64_t set = 0;
  std::uint64_t clear = 0;
  // Of all that is mounted below: where it came with it, or was there at the time of the change.
  bool recursive = false;
  std::uint64_t set_below = 0;
  std::uint64_t clear_below = 0;
};

struct Ledger {
  std::vector<LedgerEntry> entries;
  // Mounts are known by the numbers that are never given again (rootfs/mount_list.h), not by those of mountinfo.
  const bool unique;
  // Of every mount that was placed: a number of mountinfo is given again once nothing holds its mount, and then another
  // one would pass for it. Where they are unique: to be closed together.
  std::vector<Fd> held;

  explicit Ledger(bool unique_numbers = false) : unique(unique_numbers) {
  }
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;
  ~Ledger() {
    sys::CloseAll(held);
  }
};

// `mount` is the root of a mount, attached or not; where there is a ledger, it holds it from then on. The entry's id is
// filled in.
Result<> Note(Ledger* ledger, Fd mount, LedgerEntry entry);
// The same for one that the caller still needs.
Result<> NoteCopy(Ledger* ledger, int mount, LedgerEntry entry);
// And for one that the caller keeps open longer than the ledger.
Result<> NoteHeld(Ledger* ledger, int mount, LedgerEntry entry);

// The number of the mount that `fd` lies on.
Result<std::uint64_t> MountId(int fd, bool unique, const std::string& name);
// And of what `path` leads to, links followed.
Result<std::uint64_t> MountIdAt(const std::string& path, bool unique);

}  // namespace nucleus::rootfs
