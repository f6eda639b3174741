// The root that runsc is given instead of the host's: in a mount namespace of its own, with what it needs and no more.
// The container's root and bind mounts are attached there by their descriptors.
//
//   /proc /sys /dev   of the host, /sys and /proc/sys to read alone, of /dev what is harmless and terminals
//   /tmp              empty: where runsc makes the sandbox's own, empty root
//   DIRECTORY         the container's part of the state, and runsc's file, at the paths that they have on the host
//   /.container/...   root, bind-N, tmp, netns
#pragma once

#include <string>

#include "base/error.h"
#include "runtime/plan/plan.h"
#include "runtime/rootfs/rootfs.h"
#include "shim/gvisor/derive.h"

namespace nucleus::gvisor {

struct OwnRoot {
  std::string directory;  // absolute, of the host
  int program = -1;       // runsc's file
  int netns = -1;         // the network namespace that is to be found at Places::netns
  bool kvm = false;
  // What runsc asks before it gives a sandbox a network is whether a file is missing that newer kernels have in every
  // namespace. It finds none; that the namespace is not the host's is what nucleus has compared itself.
  bool hides_net_sysctls = false;
  bool pivot = true;  // false: where the host's root is a ramfs
};

// Where Stage puts things. `root`: a descriptor of the root's tree.
Places PlacesIn(const plan::Rootfs& plan, int root, bool netns);

// In runsc's process to be, in its new mount namespace: its root is another one after this. `verified`: of an attested
// or copied root.
Result<> Stage(const OwnRoot& own, const plan::Rootfs& plan, const Places& places, rootfs::VerifiedRoot verified);

// The same, for a run of runsc that makes no container.
Result<> EnterOwnRoot(const OwnRoot& own);

}  // namespace nucleus::gvisor
