// The mount audit: once the root is complete, what is mounted is read back from the kernel and compared with what was
// planned. docs/modes.md says it to the user.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "runtime/plan/plan.h"
#include "runtime/rootfs/ledger.h"
#include "runtime/rootfs/mountinfo.h"
#include "runtime/rootfs/rootfs.h"

namespace nucleus::rootfs {

// In the entered root. The error names each mount and what is wrong with it. Nothing of the container's own is trusted:
// the list comes from the kernel itself or from the host's procfs, and mounts are known by their numbers.
Result<> AuditMounts(const plan::Rootfs& plan, const Handles& handles);

// What a masked or read-only path of the plan leads to at the end; one that is not there is left out.
struct FinalPath {
  std::string path;
  std::uint64_t mount = 0;
};

struct Found {
  std::vector<MountInfo> mounts;  // of the namespace
  std::vector<FinalPath> masked;
  std::vector<FinalPath> readonly;
};

// The pure part: what is wrong, a line each.
//  - A mount of the ledger is there, with at least the flags that it was given.
//  - What is not in the ledger came with a recursive bind mount (it lies below one), and has the flags that the bind
//    mount's recursive options give.
//  - Masked paths lie on masks, read-only paths on read-only mounts; the root is read-only where that was asked for.
//  - Where the plan says so: nothing is both writable and executable, and every procfs hides processes.
// Points are only for what is said; types and super options count for procfs that hides processes alone.
std::vector<std::string> CompareMounts(const plan::Rootfs& plan, const Ledger& ledger, const Found& found);

}  // namespace nucleus::rootfs
