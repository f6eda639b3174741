// linux.resources on cgroup v2; v1 values are converted.
// Source: Documentation/admin-guide/cgroup-v2.rst.

#include <algorithm>

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/files.h"
#include "runtime/cgroup/resources.h"

namespace nucleus::cgroup {
namespace {

class V2 {
 public:
  V2(const std::string& directory, std::vector<std::string>& warnings) : directory_(directory), warnings_(warnings) {
  }

  Result<> Set(const std::string& property, const std::string& file, const std::string& value) {
    Result<> written = Write(directory_, file, value);
    if (!written && written.error().code == ENOENT) {
      return std::unexpected(Failure(
          "linux.resources." + property + ": no " + file.substr(0, file.find('.')) + " controller for " + directory_,
          ENOENT));
    }
    if (!written) {
      return std::unexpected(Context("linux.resources." + property, std::move(written).error()));
    }
    return {};
  }

  static std::string Amount(std::int64_t value) {
    return value < 0 ? "max" : std::to_string(value);
  }

  Result<> Memory(const oci::MemoryResources& memory) {
    if (memory.check_before_update.value_or(false) && memory.limit && *memory.limit >= 0) {
      const std::string usage = TRY(Read(directory_, "memory.current"));
      if (std::stoll("0" + usage) > *memory.limit) {
        return std::unexpected(Failure("linux.resources.memory.limit: below the current usage of " + usage, EBUSY));
      }
    }
    if (memory.swap) {
      // update: the memory limit that holds already, where only swap is to change.
      oci::MemoryResources both = memory;
      if (!both.limit && *memory.swap > 0) {
        const std::string limit = Read(directory_, "memory.max").value_or("max");
        both.limit = limit == "max" ? -1 : std::stoll("0" + limit);
      }
      const std::int64_t swap = TRY(SwapAlone(both));
      if (swap >= 0 || Exists(directory_, "memory.swap.max")) {
        TRY(Set("memory.swap", "memory.swap.max", Amount(swap)));
      }
    }
    if (memory.limit) {
      TRY(Set("memory.limit", "memory.max", Amount(*memory.limit)));
    }
    if (memory.reservation) {
      TRY(Set("memory.reservation", "memory.low", Amount(*memory.reservation)));
    }
    const std::pair<bool, const char*> without_effect[] = {
        {memory.kernel.has_value(), "memory.kernel"},
        {memory.kernel_tcp.has_value(), "memory.kernelTCP"},
        {memory.swappiness.has_value(), "memory.swappiness"},
        {memory.disable_oom_killer.value_or(false), "memory.disableOOMKiller"}};
    for (const auto& [asked, name] : without_effect) {
      if (asked) {
        warnings_.push_back(std::string{"linux.resources."} + name + " has no effect on cgroup v2");
      }
    }
    return {};
  }

  Result<> Cpu(const oci::CpuResources& cpu) {
    if (cpu.realtime_runtime || cpu.realtime_period) {
      return std::unexpected(Failure("linux.resources.cpu.realtimeRuntime: not to be had on cgroup v2", ENOTSUP));
    }
    if (cpu.idle) {
      TRY(Set("cpu.idle", "cpu.idle", std::to_string(*cpu.idle)));
    }
    // An idle group has no weight of its own.
    if (cpu.shares && *cpu.shares != 0 && cpu.idle.value_or(0) == 0) {
      TRY(Set("cpu.shares", "cpu.weight", std::to_string(SharesToWeight(*cpu.shares))));
    }
    if (cpu.quota || cpu.period) {
      const std::string quota = cpu.quota && *cpu.quota > 0 ? std::to_string(*cpu.quota) : "max";
      TRY(Set("cpu.quota", "cpu.max", cpu.period ? quota + " " + std::to_string(*cpu.period) : quota));
    }
    if (cpu.burst) {
      TRY(Set("cpu.burst", "cpu.max.burst", std::to_string(*cpu.burst)));
    }
    if (!cpu.cpus.empty()) {
      TRY(Set("cpu.cpus", "cpuset.cpus", cpu.cpus));
    }
    if (!cpu.mems.empty()) {
      TRY(Set("cpu.mems", "cpuset.mems", cpu.mems));
    }
    return {};
  }

  Result<> BlockIo(const oci::BlockIoResources& io) {
    const bool bfq = Exists(directory_, "io.bfq.weight");
    if (io.leaf_weight ||
        std::ranges::any_of(io.weight_device, [](const auto& device) { return device.leaf_weight.has_value(); })) {
      warnings_.emplace_back("linux.resources.blockIO.leafWeight has no effect on cgroup v2");
    }
    if (io.weight && *io.weight != 0) {
      // BFQ's scale is the specification's.
      TRY(bfq ? Set("blockIO.weight", "io.bfq.weight", std::to_string(*io.weight))
              : Set("blockIO.weight", "io.weight", "default " + std::to_string(BlockIoToWeight(*io.weight))));
    }
    for (const oci::WeightDevice& device : io.weight_device) {
      if (device.weight) {
        TRY(Set("blockIO.weightDevice", bfq ? "io.bfq.weight" : "io.weight",
                Number(device.major, device.minor) + std::to_string(*device.weight)));
      }
    }
    TRY(Throttle("blockIO.throttleReadBpsDevice", "rbps", io.throttle_read_bps_device));
    TRY(Throttle("blockIO.throttleWriteBpsDevice", "wbps", io.throttle_write_bps_device));
    TRY(Throttle("blockIO.throttleReadIOPSDevice", "riops", io.throttle_read_iops_device));
    return Throttle("blockIO.throttleWriteIOPSDevice", "wiops", io.throttle_write_iops_device);
  }

  Result<> Huge(const std::vector<oci::HugepageLimit>& limits) {
    for (const oci::HugepageLimit& limit : limits) {
      TRY(Set("hugepageLimits", "hugetlb." + limit.page_size + ".max", std::to_string(limit.limit)));
      const std::string reserved = "hugetlb." + limit.page_size + ".rsvd.max";
      if (Exists(directory_, reserved)) {
        TRY(Set("hugepageLimits", reserved, std::to_string(limit.limit)));
      }
    }
    return {};
  }

 private:
  static std::string Number(std::int64_t major, std::int64_t minor) {
    return std::to_string(major) + ":" + std::to_string(minor) + " ";
  }

  Result<> Throttle(const char* property, const char* key, const std::vector<oci::ThrottleDevice>& devices) {
    for (const oci::ThrottleDevice& device : devices) {
      const std::string rate = device.rate == 0 ? "max" : std::to_string(device.rate);
      TRY(Set(property, "io.max", Number(device.major, device.minor) + key + "=" + rate));
    }
    return {};
  }

  const std::string& directory_;
  std::vector<std::string>& warnings_;
};

}  // namespace

std::uint64_t SharesToWeight(std::uint64_t shares) {
  constexpr std::uint64_t kLeast = 2;
  constexpr std::uint64_t kMost = 262144;
  if (shares == 0) {
    return 0;
  }
  shares = shares < kLeast ? kLeast : shares > kMost ? kMost : shares;
  return 1 + (shares - kLeast) * 9999 / (kMost - kLeast);
}

std::uint64_t BlockIoToWeight(std::uint64_t weight) {
  constexpr std::uint64_t kLeast = 10;
  return 1 + (std::max(weight, kLeast) - kLeast) * 9999 / 990;
}

Result<std::int64_t> SwapAlone(const oci::MemoryResources& memory) {
  const std::int64_t both = memory.swap.value_or(-1);
  if (both < 0) {
    return -1;
  }
  if (!memory.limit || *memory.limit < 0) {
    // Memory without a limit and memory+swap with one cannot be said in v2's terms.
    return std::unexpected(Failure("linux.resources.memory.swap: needs memory.limit on cgroup v2", EINVAL));
  }
  if (both < *memory.limit) {
    return std::unexpected(
        Failure("linux.resources.memory.swap: memory+swap limit must not be below the memory limit", EINVAL));
  }
  return both - *memory.limit;
}

Result<> ApplyV2(const std::string& directory, const oci::Resources& resources, std::vector<std::string>& warnings) {
  V2 v2{directory, warnings};
  if (resources.memory) {
    TRY(v2.Memory(*resources.memory));
  }
  if (resources.cpu) {
    TRY(v2.Cpu(*resources.cpu));
  }
  if (resources.pids_limit) {
    TRY(v2.Set("pids.limit", "pids.max", V2::Amount(*resources.pids_limit)));
  }
  if (resources.block_io) {
    TRY(v2.BlockIo(*resources.block_io));
  }
  TRY(v2.Huge(resources.hugepage_limits));
  if (resources.network) {
    warnings.emplace_back("linux.resources.network has no effect on cgroup v2");
  }
  for (const auto& [device, limit] : resources.rdma) {
    std::string text = device;
    text += limit.hca_handles ? " hca_handle=" + std::to_string(*limit.hca_handles) : "";
    text += limit.hca_objects ? " hca_object=" + std::to_string(*limit.hca_objects) : "";
    TRY(v2.Set("rdma", "rdma.max", text));
  }
  return {};
}

}  // namespace nucleus::cgroup
