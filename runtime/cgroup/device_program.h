// The device rules as an eBPF program of type BPF_PROG_TYPE_CGROUP_DEVICE.
#pragma once

#include <linux/bpf.h>

#include <vector>

#include "oci-config/spec.h"

namespace nucleus::cgroup {

// For each kind of access (read, write, mknod) the last rule that matches decides, so the program tests them from the
// last to the first; what matches none is allowed, as on v1, where a bundle that means to deny begins with a rule that
// denies everything.
std::vector<bpf_insn> CompileDeviceProgram(const std::vector<oci::DeviceRule>& rules);

}  // namespace nucleus::cgroup
