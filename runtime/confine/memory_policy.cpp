#include "runtime/confine/memory_policy.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "runtime/sys/number_list.h"

namespace nucleus::confine {
namespace {

int Mode(oci::MemoryPolicyMode mode) {
  constexpr int kWeightedInterleave = 6;  // since Linux 6.9
  switch (mode) {
    case oci::MemoryPolicyMode::kDefault:
      return MPOL_DEFAULT;
    case oci::MemoryPolicyMode::kPreferred:
      return MPOL_PREFERRED;
    case oci::MemoryPolicyMode::kBind:
      return MPOL_BIND;
    case oci::MemoryPolicyMode::kInterleave:
      return MPOL_INTERLEAVE;
    case oci::MemoryPolicyMode::kLocal:
      return MPOL_LOCAL;
    case oci::MemoryPolicyMode::kPreferredMany:
      return MPOL_PREFERRED_MANY;
    case oci::MemoryPolicyMode::kWeightedInterleave:
      return kWeightedInterleave;
  }
  return MPOL_DEFAULT;
}

int Flag(oci::MemoryPolicyFlag flag) {
  switch (flag) {
    case oci::MemoryPolicyFlag::kNumaBalancing:
      return MPOL_F_NUMA_BALANCING;
    case oci::MemoryPolicyFlag::kRelativeNodes:
      return MPOL_F_RELATIVE_NODES;
    case oci::MemoryPolicyFlag::kStaticNodes:
      return MPOL_F_STATIC_NODES;
  }
  return 0;
}

}  // namespace

Result<> SetMemoryPolicy(const oci::MemoryPolicy& policy) {
  constexpr unsigned kBits = sizeof(unsigned long) * CHAR_BIT;
  int mode = Mode(policy.mode);
  for (const oci::MemoryPolicyFlag flag : policy.flags) {
    mode |= Flag(flag);
  }
  std::vector<unsigned long> mask;
  if (!policy.nodes.empty()) {
    const std::vector<unsigned> nodes = TRY_IN("linux.memoryPolicy.nodes", sys::ParseNumberList(policy.nodes));
    mask.resize(nodes.back() / kBits + 1);
    for (const unsigned node : nodes) {
      mask[node / kBits] |= 1UL << (node % kBits);
    }
  }
  // The kernel reads one bit less than it is told.
  const unsigned long bits = mask.empty() ? 0 : mask.size() * kBits + 1;
  if (::syscall(SYS_set_mempolicy, mode, mask.empty() ? nullptr : mask.data(), bits) != 0) {
    return std::unexpected(SysError("linux.memoryPolicy: set_mempolicy", ""));
  }
  return {};
}

}  // namespace nucleus::confine
