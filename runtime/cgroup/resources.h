// Applying linux.resources: one function per hierarchy version. Inside runtime/cgroup, but for the conversions, which
// runtime/systemd has too.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "oci-config/spec.h"
#include "oci-config/state.h"

namespace nucleus::cgroup {

Result<> ApplyV1(const std::vector<oci::StateCgroup>& cgroups, const oci::Resources& resources,
                 std::vector<std::string>& warnings);
Result<> ApplyV2(const std::string& directory, const oci::Resources& resources, std::vector<std::string>& warnings);

Result<> ApplyDevicesV1(const std::string& directory, const std::vector<oci::DeviceRule>& rules);
Result<> ApplyDevicesV2(const std::string& directory, const std::vector<oci::DeviceRule>& rules);

// Without the amounts that are 0 and cannot be meant: callers that fill in a whole structure (`docker update`) write 0
// for what they do not set. Real zeros stay: pids.limit, swappiness, cpu.burst, cpu.idle, throttle rates, hugepages.
oci::Resources WithoutZeros(oci::Resources resources);

// cpu.shares (2 to 262144) → cpu.weight (1 to 10000).
std::uint64_t SharesToWeight(std::uint64_t shares);
// blockIO.weight (10 to 1000) → io.weight (1 to 10000).
std::uint64_t BlockIoToWeight(std::uint64_t weight);
// memory.swap of the specification is memory and swap together; v2 wants swap alone.
Result<std::int64_t> SwapAlone(const oci::MemoryResources& memory);

}  // namespace nucleus::cgroup
