// Where runsc finds the container's root and bind mounts: in a mount namespace of its own, under a directory that no
// other process sees, each attached by its descriptor.
#pragma once

#include <string>

#include "base/error.h"
#include "runtime/plan/plan.h"
#include "runtime/rootfs/rootfs.h"
#include "shim/gvisor/derive.h"

namespace nucleus::gvisor {

// An existing directory of the host that is covered for runsc's eyes alone; none of `used` lies below it.
Result<std::string> StageDirectory(const std::vector<std::string>& used);

// Where Stage puts things. `root`: a descriptor of the root's tree.
Places PlacesIn(const std::string& stage, const plan::Rootfs& plan, int root);

// In runsc's process to be, in its new mount namespace. `verified`: of an attested or copied root.
Result<> Stage(const std::string& stage, const plan::Rootfs& plan, const Places& places, rootfs::VerifiedRoot verified);

// What runsc asks before it gives a sandbox a network is whether a file is missing that newer kernels have in every
// namespace. It finds none; that the namespace is not the host's is what nucleus has compared itself.
Result<> HideNetSysctls();

}  // namespace nucleus::gvisor
