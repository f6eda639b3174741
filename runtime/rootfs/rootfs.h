// Carries out the Rootfs part of a Plan, in the child, in the mount namespace of the container. The order is the
// caller's (container/child.cpp); each function is one stage.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/state.h"
#include "runtime/plan/plan.h"
#include "runtime/rootfs/ledger.h"
#include "runtime/rootfs/resolver.h"

namespace nucleus::rootfs {

// Descriptors that are opened before anything of the rootfs is touched, so that nothing in it can pass for them.
struct Handles {
  Fd root;  // the container's root mount, O_PATH
  Fd null;  // the host's /dev/null, verified
  // Host nodes to bind where mknod is not to be had; parallel to Rootfs::devices.
  std::vector<Fd> device_sources;
  // Where there is an audit: what was mounted, and /proc/self of the host's procfs unless its numbers are unique.
  std::unique_ptr<Ledger> ledger;
  Fd self;
};

// Called to wait until the process is in its cgroup (and has its cgroup namespace): before the first cgroup mount.
class CgroupGate {
 public:
  virtual ~CgroupGate() = default;
  virtual Result<> Pass() = 0;
};

// An attested root as it was verified before clone: nothing that happens to its path since then matters.
struct VerifiedRoot {
  Fd tree;
  // A mount that no host path leads to, private and with the root's flags. Else the directory: whoever may not make
  // such a mount has the child make it, of the same directory.
  bool detached = false;
  // What was made of the sources of mounts; parallel to Rootfs::mounts, or empty.
  std::vector<Fd> made;
};

// Makes such a mount of `directory`. EPERM where the caller has no CAP_SYS_ADMIN over its mount namespace.
Result<Fd> MakeVerifiedMount(int directory, const plan::Rootfs& plan);

// Cuts the propagation towards the host, makes the root a mount of its own and opens the handles. `verified` is for
// an attested root alone.
Result<Handles> OpenRoot(const plan::Rootfs& plan, VerifiedRoot verified = {});

struct CgroupView {
  const std::vector<oci::StateCgroup>* cgroups = nullptr;
  const cgroup::Host* host = nullptr;
  bool own_namespace = false;  // a cgroup namespace: the hierarchies are mounted, not bound
};

// `sources`: those that the runtime has opened (idmapped and private ones, a closure's); parallel to plan.mounts, or
// shorter.
Result<> Mount(const plan::Rootfs& plan, const Handles& handles, const std::vector<Fd>& sources, const CgroupView& view,
               CgroupGate& gate);
// Default and listed nodes, /dev/fd and its like, /dev/ptmx.
Result<> MakeDevices(const plan::Rootfs& plan, const Handles& handles);
Result<> WriteSysctls(const oci::StringMap& sysctls);
// These two come before EnterRoot: what they copy has to be attached in this namespace, and the host's part of it is
// gone afterwards.
Result<> MakeReadonly(const plan::Rootfs& plan, const Handles& handles);
Result<> MaskPaths(const plan::Rootfs& plan, const Handles& handles);
// The container's root becomes the root of this process; the host's mounts are gone from its namespace.
Result<> EnterRoot(const plan::Rootfs& plan, const Handles& handles);
// The root's own read-only flag and propagation (a shared root could not be entered).
Result<> FinishRoot(const plan::Rootfs& plan, const Handles& handles);

// A new terminal from the container's devpts: its slave is bound on /dev/console. Returns master and slave.
struct Console {
  Fd master;
  Fd slave;
};
Result<Console> OpenConsole(const Handles& handles, const std::optional<oci::ConsoleSize>& size, bool make_dev_console);

}  // namespace nucleus::rootfs
