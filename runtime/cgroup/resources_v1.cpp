// linux.resources on cgroup v1.
// Source: Documentation/admin-guide/cgroup-v1/.

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/files.h"
#include "runtime/cgroup/resources.h"

namespace nucleus::cgroup {
namespace {

class V1 {
 public:
  V1(const std::vector<oci::StateCgroup>& cgroups, std::vector<std::string>& warnings)
      : cgroups_(cgroups), warnings_(warnings) {
  }

  template <class T>
  Result<> Set(const char* property, const char* controller, const std::string& file, const T& value) {
    const std::string* directory = DirectoryOf(cgroups_, controller);
    if (directory == nullptr) {
      return std::unexpected(Failure(
          std::string{"linux.resources."} + property + ": no " + controller + " controller is mounted", ENOENT));
    }
    std::string text;
    if constexpr (std::is_convertible_v<T, std::string>) {
      text = value;
    } else {
      text = std::to_string(value);
    }
    TRY_IN(std::string{"linux.resources."} + property, Write(*directory, file, text));
    return {};
  }
  template <class T>
  Result<> SetIf(const char* property, const char* controller, const std::string& file, const std::optional<T>& value) {
    return value ? Set(property, controller, file, *value) : Result<>{};
  }

  Result<> Memory(const oci::MemoryResources& memory) {
    TRY(CheckUsage(memory));
    TRY(Limits(memory));
    TRY(SetIf("memory.reservation", "memory", "memory.soft_limit_in_bytes", memory.reservation));
    TRY(SetDeprecated("memory.kernel", "memory.kmem.limit_in_bytes", memory.kernel));
    TRY(SetDeprecated("memory.kernelTCP", "memory.kmem.tcp.limit_in_bytes", memory.kernel_tcp));
    if (memory.disable_oom_killer.value_or(false)) {
      TRY(Set("memory.disableOOMKiller", "memory", "memory.oom_control", "1"));
    }
    if (memory.use_hierarchy.value_or(false)) {
      // Always so on kernels since 5.11, where the file is gone or takes only 1.
      (void)Set("memory.useHierarchy", "memory", "memory.use_hierarchy", "1");
    }
    return SetIf("memory.swappiness", "memory", "memory.swappiness", memory.swappiness);
  }

  Result<> Cpu(const oci::CpuResources& cpu) {
    TRY(SetIf("cpu.shares", "cpu", "cpu.shares", cpu.shares));
    // Realtime first: a quota below the realtime share would be refused.
    TRY(SetIf("cpu.realtimePeriod", "cpu", "cpu.rt_period_us", cpu.realtime_period));
    TRY(SetIf("cpu.realtimeRuntime", "cpu", "cpu.rt_runtime_us", cpu.realtime_runtime));
    TRY(SetIf("cpu.period", "cpu", "cpu.cfs_period_us", cpu.period));
    TRY(SetIf("cpu.quota", "cpu", "cpu.cfs_quota_us", cpu.quota));
    TRY(SetIf("cpu.burst", "cpu", "cpu.cfs_burst_us", cpu.burst));
    TRY(SetIf("cpu.idle", "cpu", "cpu.idle", cpu.idle));
    if (!cpu.cpus.empty()) {
      TRY(Set("cpu.cpus", "cpuset", "cpuset.cpus", cpu.cpus));
    }
    if (!cpu.mems.empty()) {
      TRY(Set("cpu.mems", "cpuset", "cpuset.mems", cpu.mems));
    }
    return {};
  }

  Result<> BlockIo(const oci::BlockIoResources& io) {
    TRY(SetIf("blockIO.weight", "blkio", Bfq("weight"), io.weight));
    TRY(SetIf("blockIO.leafWeight", "blkio", "blkio.leaf_weight", io.leaf_weight));
    for (const oci::WeightDevice& device : io.weight_device) {
      const std::string number = std::to_string(device.major) + ":" + std::to_string(device.minor) + " ";
      if (device.weight) {
        TRY(Set("blockIO.weightDevice", "blkio", Bfq("weight_device"), number + std::to_string(*device.weight)));
      }
      if (device.leaf_weight) {
        TRY(Set("blockIO.weightDevice", "blkio", "blkio.leaf_weight_device",
                number + std::to_string(*device.leaf_weight)));
      }
    }
    TRY(Throttle("blockIO.throttleReadBpsDevice", "blkio.throttle.read_bps_device", io.throttle_read_bps_device));
    TRY(Throttle("blockIO.throttleWriteBpsDevice", "blkio.throttle.write_bps_device", io.throttle_write_bps_device));
    TRY(Throttle("blockIO.throttleReadIOPSDevice", "blkio.throttle.read_iops_device", io.throttle_read_iops_device));
    return Throttle("blockIO.throttleWriteIOPSDevice", "blkio.throttle.write_iops_device",
                    io.throttle_write_iops_device);
  }

  Result<> Huge(const std::vector<oci::HugepageLimit>& limits) {
    for (const oci::HugepageLimit& limit : limits) {
      TRY(Set("hugepageLimits", "hugetlb", "hugetlb." + limit.page_size + ".limit_in_bytes", limit.limit));
      const std::string reserved = "hugetlb." + limit.page_size + ".rsvd.limit_in_bytes";
      if (Exists(*DirectoryOf(cgroups_, "hugetlb"), reserved)) {
        TRY(Set("hugepageLimits", "hugetlb", reserved, limit.limit));
      }
    }
    return {};
  }

  Result<> Network(const oci::NetworkResources& network) {
    TRY(SetIf("network.classID", "net_cls", "net_cls.classid", network.class_id));
    for (const oci::InterfacePriority& one : network.priorities) {
      TRY(Set("network.priorities", "net_prio", "net_prio.ifpriomap", one.name + " " + std::to_string(one.priority)));
    }
    return {};
  }

 private:
  // BFQ's files where that scheduler serves, the older CFQ's else.
  std::string Bfq(const char* file) const {
    const std::string* directory = DirectoryOf(cgroups_, "blkio");
    const std::string bfq = std::string{"blkio.bfq."} + file;
    return directory != nullptr && Exists(*directory, bfq) ? bfq : std::string{"blkio."} + file;
  }

  Result<> Throttle(const char* property, const char* file, const std::vector<oci::ThrottleDevice>& devices) {
    for (const oci::ThrottleDevice& device : devices) {
      TRY(Set(property, "blkio", file,
              std::to_string(device.major) + ":" + std::to_string(device.minor) + " " + std::to_string(device.rate)));
    }
    return {};
  }

  // Memory plus swap must never be below memory alone, on the way up as on the way down.
  Result<> Limits(const oci::MemoryResources& memory) {
    const auto limit = [&] { return SetIf("memory.limit", "memory", "memory.limit_in_bytes", memory.limit); };
    // Without swap accounting the file is not there, and -1 asks for nothing.
    const auto swap = [&]() -> Result<> {
      const std::string* directory = DirectoryOf(cgroups_, "memory");
      if (memory.swap && *memory.swap == -1 && directory != nullptr &&
          !Exists(*directory, "memory.memsw.limit_in_bytes")) {
        return {};
      }
      return SetIf("memory.swap", "memory", "memory.memsw.limit_in_bytes", memory.swap);
    };
    if (memory.swap && memory.limit && *memory.swap != -1 && *memory.limit > *memory.swap) {
      return std::unexpected(
          Failure("linux.resources.memory.swap: memory+swap limit must not be below the memory limit", EINVAL));
    }
    // A fresh cgroup has no limits: the smaller one first. When that is refused the other was in the way: a raise.
    Result<> first = limit();
    if (first) {
      return swap();
    }
    if (first.error().code != EINVAL || !memory.swap) {
      return first;
    }
    TRY(swap());
    return limit();
  }

  Result<> CheckUsage(const oci::MemoryResources& memory) {
    if (!memory.check_before_update.value_or(false) || !memory.limit || *memory.limit < 0) {
      return {};
    }
    const std::string* directory = DirectoryOf(cgroups_, "memory");
    if (directory == nullptr) {
      return {};
    }
    const std::string usage = TRY(Read(*directory, "memory.usage_in_bytes"));
    if (std::stoll("0" + usage) > *memory.limit) {
      return std::unexpected(Failure("linux.resources.memory.limit: below the current usage of " + usage, EBUSY));
    }
    return {};
  }

  Result<> SetDeprecated(const char* property, const char* file, const std::optional<std::int64_t>& value) {
    if (!value) {
      return {};
    }
    const std::string* directory = DirectoryOf(cgroups_, "memory");
    if (directory == nullptr || !Exists(*directory, file)) {
      warnings_.push_back(std::string{"linux.resources."} + property +
                          " is deprecated and has no effect on this kernel");
      return {};
    }
    return Set(property, "memory", file, *value);
  }

  const std::vector<oci::StateCgroup>& cgroups_;
  std::vector<std::string>& warnings_;
};

}  // namespace

Result<> ApplyV1(const std::vector<oci::StateCgroup>& cgroups, const oci::Resources& resources,
                 std::vector<std::string>& warnings) {
  V1 v1{cgroups, warnings};
  if (resources.memory) {
    TRY(v1.Memory(*resources.memory));
  }
  if (resources.cpu) {
    TRY(v1.Cpu(*resources.cpu));
  }
  if (resources.pids_limit) {
    TRY(v1.Set("pids.limit", "pids", "pids.max",
               *resources.pids_limit < 0 ? std::string{"max"} : std::to_string(*resources.pids_limit)));
  }
  if (resources.block_io) {
    TRY(v1.BlockIo(*resources.block_io));
  }
  TRY(v1.Huge(resources.hugepage_limits));
  if (resources.network) {
    TRY(v1.Network(*resources.network));
  }
  for (const auto& [device, limit] : resources.rdma) {
    std::string text = device;
    text += limit.hca_handles ? " hca_handle=" + std::to_string(*limit.hca_handles) : "";
    text += limit.hca_objects ? " hca_object=" + std::to_string(*limit.hca_objects) : "";
    TRY(v1.Set("rdma", "rdma", "rdma.max", text));
  }
  return {};
}

}  // namespace nucleus::cgroup
