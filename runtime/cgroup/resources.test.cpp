// Conversions of limits, and what is written to which file of a cgroup (a directory with plain files stands in).

#include "runtime/cgroup/resources.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "base/test_directory.h"
#include "oci-config/parse.h"
#include "runtime/cgroup/cgroup.h"

namespace nucleus::cgroup {
namespace {

// Directories with the files that a test names; what was written last stays to be looked at.
class FakeCgroup : private TestDirectory {
 public:
  void Add(const std::string& file, const std::string& content = "untouched") {
    std::ofstream{top + "/" + file} << content;
  }
  std::string operator[](const std::string& file) const {
    const Result<std::string> text = ReadFile(top + "/" + file, 65536);
    return text ? *text : "absent";
  }
  [[nodiscard]] const std::string& path() const {
    return top;
  }
};

oci::Resources Parsed(const std::string& json) {
  Result<oci::Resources> resources = oci::ParseResources(json, "r.json");
  if (!resources) {
    throw std::runtime_error(resources.error().message);
  }
  return *std::move(resources);
}

struct V2 : FakeCgroup {
  V2() {
    for (const char* file : {"memory.max", "memory.low", "memory.swap.max", "cpu.weight", "cpu.max", "cpu.max.burst",
                             "cpu.idle", "cpuset.cpus", "cpuset.mems", "pids.max", "io.weight", "io.max", "rdma.max",
                             "hugetlb.2MB.max", "hugetlb.2MB.rsvd.max"}) {
      Add(file, "");
    }
    Add("memory.current", "1000\n");
  }
  std::string Apply(const std::string& json) {
    warnings.clear();
    const Result<> applied = ApplyV2(path(), WithoutZeros(Parsed(json)), warnings);
    return applied ? "accepted" : applied.error().message;
  }
  std::vector<std::string> warnings;
};

}  // namespace

BOOST_AUTO_TEST_SUITE(cgroup_conversions)

BOOST_AUTO_TEST_CASE(shares_to_weight) {
  BOOST_TEST(SharesToWeight(2) == 1U);
  BOOST_TEST(SharesToWeight(262144) == 10000U);
  BOOST_TEST(SharesToWeight(1024) == 39U);
  // Beyond the kernel's own bounds.
  BOOST_TEST(SharesToWeight(1) == 1U);
  BOOST_TEST(SharesToWeight(262145) == 10000U);
  BOOST_TEST(SharesToWeight(UINT64_MAX) == 10000U);
  BOOST_TEST(SharesToWeight(0) == 0U);
  for (std::uint64_t shares = 2; shares < 262144; shares += 97) {
    BOOST_REQUIRE(SharesToWeight(shares) <= SharesToWeight(shares + 97));
    BOOST_REQUIRE(SharesToWeight(shares) >= 1U);
  }
}

BOOST_AUTO_TEST_CASE(swap_alone) {
  const auto swap = [](std::optional<std::int64_t> limit, std::optional<std::int64_t> both) {
    oci::MemoryResources memory;
    memory.limit = limit;
    memory.swap = both;
    const Result<std::int64_t> alone = SwapAlone(memory);
    return alone ? std::to_string(*alone) : alone.error().message;
  };
  BOOST_TEST(swap(100, 300) == "200");
  BOOST_TEST(swap(100, 100) == "0");
  BOOST_TEST(swap(100, -1) == "-1");
  BOOST_TEST(swap({}, -1) == "-1");
  BOOST_TEST(swap(-1, -1) == "-1");
  BOOST_TEST(swap(1, INT64_MAX) == std::to_string(INT64_MAX - 1));
  BOOST_TEST(swap({}, 100) == "linux.resources.memory.swap: needs memory.limit on cgroup v2");
  BOOST_TEST(swap(-1, 100) == "linux.resources.memory.swap: needs memory.limit on cgroup v2");
  BOOST_TEST(swap(100, 99) == "linux.resources.memory.swap: memory+swap limit must not be below the memory limit");
}

// What `docker update --memory-reservation` and the like send: all of the structure, zeros for the rest.
BOOST_AUTO_TEST_CASE(zeros_mean_not_set) {
  const oci::Resources none = WithoutZeros(Parsed(R"({
    "memory": {"limit": 0, "reservation": 0, "swap": 0, "kernel": 0, "kernelTCP": 0, "swappiness": 0},
    "cpu": {"shares": 0, "quota": 0, "period": 0, "burst": 0, "realtimeRuntime": 0, "realtimePeriod": 0, "idle": 0},
    "blockIO": {"weight": 0, "leafWeight": 0}, "pids": {"limit": 0}, "network": {"classID": 0}})"));
  BOOST_TEST(!none.memory->limit.has_value());
  BOOST_TEST(!none.memory->reservation.has_value());
  BOOST_TEST(!none.memory->swap.has_value());
  BOOST_TEST(!none.memory->kernel.has_value());
  BOOST_TEST(!none.memory->kernel_tcp.has_value());
  BOOST_TEST(!none.cpu->shares.has_value());
  BOOST_TEST(!none.cpu->quota.has_value());
  BOOST_TEST(!none.cpu->period.has_value());
  BOOST_TEST(!none.cpu->realtime_runtime.has_value());
  BOOST_TEST(!none.cpu->realtime_period.has_value());
  BOOST_TEST(!none.block_io->weight.has_value());
  BOOST_TEST(!none.block_io->leaf_weight.has_value());
  BOOST_TEST(!none.network->class_id.has_value());
  // Zeros that say something.
  BOOST_TEST(*none.memory->swappiness == 0U);
  BOOST_TEST(*none.cpu->burst == 0U);
  BOOST_TEST(*none.cpu->idle == 0);
  BOOST_TEST(*none.pids_limit == 0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cgroup_v2_files)

BOOST_AUTO_TEST_CASE(memory) {
  V2 v2;
  BOOST_TEST(v2.Apply(R"({"memory": {"limit": 2000, "swap": 5000, "reservation": 1500}})") == "accepted");
  BOOST_TEST(v2["memory.max"] == "2000");
  BOOST_TEST(v2["memory.swap.max"] == "3000");
  BOOST_TEST(v2["memory.low"] == "1500");
  V2 unlimited;
  BOOST_TEST(unlimited.Apply(R"({"memory": {"limit": -1, "swap": -1, "reservation": -1}})") == "accepted");
  BOOST_TEST(unlimited["memory.max"] == "max");
  BOOST_TEST(unlimited["memory.swap.max"] == "max");
  BOOST_TEST(unlimited["memory.low"] == "max");
  V2 warned;
  BOOST_TEST(warned.Apply(R"({"memory": {"swappiness": 10, "kernel": 5, "kernelTCP": 5, "disableOOMKiller": true}})") ==
             "accepted");
  BOOST_TEST(warned.warnings.size() == 4U);
  BOOST_TEST(warned.warnings.at(0) == "linux.resources.memory.kernel has no effect on cgroup v2");
}

// `update --memory-swap` alone: what is left for swap beside the memory limit that holds.
BOOST_AUTO_TEST_CASE(swap_alone_is_updated) {
  V2 v2;
  v2.Add("memory.max", "2000\n");
  BOOST_TEST(v2.Apply(R"({"memory": {"swap": 5000}})") == "accepted");
  BOOST_TEST(v2["memory.swap.max"] == "3000");
  BOOST_TEST(v2["memory.max"] == "2000\n");
  BOOST_TEST(v2.Apply(R"({"memory": {"swap": 1999}})") ==
             "linux.resources.memory.swap: memory+swap limit must not be below the memory limit");
  V2 unlimited;
  unlimited.Add("memory.max", "max\n");
  BOOST_TEST(unlimited.Apply(R"({"memory": {"swap": 5000}})") ==
             "linux.resources.memory.swap: needs memory.limit on cgroup v2");
}

BOOST_AUTO_TEST_CASE(memory_in_use) {
  V2 v2;
  BOOST_TEST(v2.Apply(R"({"memory": {"limit": 999, "checkBeforeUpdate": true}})") ==
             "linux.resources.memory.limit: below the current usage of 1000");
  BOOST_TEST(v2["memory.max"].empty());
  BOOST_TEST(v2.Apply(R"({"memory": {"limit": 999, "checkBeforeUpdate": false}})") == "accepted");
  BOOST_TEST(v2.Apply(R"({"memory": {"limit": 1000, "checkBeforeUpdate": true}})") == "accepted");
  BOOST_TEST(v2.Apply(R"({"memory": {"limit": -1, "checkBeforeUpdate": true}})") == "accepted");
}

BOOST_AUTO_TEST_CASE(cpu) {
  V2 v2;
  BOOST_TEST(v2.Apply(R"({"cpu": {"shares": 1024, "quota": 50000, "period": 100000, "burst": 7, "cpus": "0-1",
                                  "mems": "0"}})") == "accepted");
  BOOST_TEST(v2["cpu.weight"] == "39");
  BOOST_TEST(v2["cpu.max"] == "50000 100000");
  BOOST_TEST(v2["cpu.max.burst"] == "7");
  BOOST_TEST(v2["cpuset.cpus"] == "0-1");
  BOOST_TEST(v2["cpuset.mems"] == "0");
  V2 unlimited;
  BOOST_TEST(unlimited.Apply(R"({"cpu": {"quota": -1, "period": 5000}})") == "accepted");
  BOOST_TEST(unlimited["cpu.max"] == "max 5000");
  V2 quota;
  BOOST_TEST(quota.Apply(R"({"cpu": {"quota": 5000}})") == "accepted");
  BOOST_TEST(quota["cpu.max"] == "5000");
  V2 period;
  BOOST_TEST(period.Apply(R"({"cpu": {"period": 5000}})") == "accepted");
  BOOST_TEST(period["cpu.max"] == "max 5000");
  V2 idle;
  BOOST_TEST(idle.Apply(R"({"cpu": {"idle": 1, "shares": 1024}})") == "accepted");
  BOOST_TEST(idle["cpu.idle"] == "1");
  BOOST_TEST(idle["cpu.weight"].empty());
  BOOST_TEST(idle.Apply(R"({"cpu": {"realtimeRuntime": 1}})") ==
             "linux.resources.cpu.realtimeRuntime: not to be had on cgroup v2");
}

BOOST_AUTO_TEST_CASE(zeros_write_nothing) {
  V2 v2;
  BOOST_TEST(v2.Apply(R"({"memory": {"limit": 0, "reservation": 0, "kernel": 0}, "cpu": {"shares": 0, "quota": 0,
      "period": 0, "realtimeRuntime": 0, "cpus": "", "mems": ""}, "blockIO": {"weight": 0}})") == "accepted");
  for (const char* file : {"memory.max", "memory.low", "memory.swap.max", "cpu.weight", "cpu.max", "io.weight"}) {
    BOOST_TEST(v2[file].empty(), file);
  }
  BOOST_TEST(v2.warnings.empty());
}

BOOST_AUTO_TEST_CASE(the_rest) {
  V2 v2;
  BOOST_TEST(v2.Apply(R"({"pids": {"limit": 0}, "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
      "rdma": {"mlx": {"hcaHandles": 3, "hcaObjects": 4}}, "blockIO": {"weight": 10,
      "throttleReadBpsDevice": [{"major": 8, "minor": 1, "rate": 5}]}})") == "accepted");
  BOOST_TEST(v2["pids.max"] == "0");
  BOOST_TEST(v2["hugetlb.2MB.max"] == "4194304");
  BOOST_TEST(v2["hugetlb.2MB.rsvd.max"] == "4194304");
  BOOST_TEST(v2["rdma.max"] == "mlx hca_handle=3 hca_object=4");
  BOOST_TEST(v2["io.weight"] == "default 1");
  BOOST_TEST(v2["io.max"] == "8:1 rbps=5");
  V2 more;
  BOOST_TEST(more.Apply(R"({"pids": {"limit": -1}, "network": {"classID": 1}, "blockIO": {"weight": 1000,
      "throttleWriteIOPSDevice": [{"major": 8, "minor": 1, "rate": 0}]}})") == "accepted");
  BOOST_TEST(more["pids.max"] == "max");
  BOOST_TEST(more["io.weight"] == "default 10000");
  BOOST_TEST(more["io.max"] == "8:1 wiops=max");
  BOOST_TEST(more.warnings.at(0) == "linux.resources.network has no effect on cgroup v2");
  for (const char* leaf : {R"({"blockIO": {"leafWeight": 10}})",
                           R"({"blockIO": {"weightDevice": [{"major": 8, "minor": 1, "leafWeight": 10}]}})"}) {
    V2 told;
    BOOST_TEST(told.Apply(leaf) == "accepted");
    BOOST_TEST_REQUIRE(told.warnings.size() == 1U);
    BOOST_TEST(told.warnings[0] == "linux.resources.blockIO.leafWeight has no effect on cgroup v2");
  }
}

BOOST_AUTO_TEST_CASE(an_absent_controller_is_an_error) {
  FakeCgroup empty;
  std::vector<std::string> warnings;
  const auto error = [&](const std::string& json) {
    const Result<> applied = ApplyV2(empty.path(), Parsed(json), warnings);
    return applied ? "accepted" : applied.error().message;
  };
  BOOST_TEST(error(R"({"pids": {"limit": 1}})") ==
             "linux.resources.pids.limit: no pids controller for " + empty.path());
  BOOST_TEST(error(R"({"memory": {"limit": 1}})") ==
             "linux.resources.memory.limit: no memory controller for " + empty.path());
  // Nothing asked for needs nothing; without swap accounting "no limit" holds already.
  BOOST_TEST(error(R"({"memory": {}, "cpu": {}, "blockIO": {}})") == "accepted");
  BOOST_TEST(error(R"({"memory": {"swap": -1}})") == "accepted");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cgroup_v1_files)

BOOST_AUTO_TEST_CASE(every_controller) {
  FakeCgroup memory;
  FakeCgroup cpu;
  FakeCgroup pids;
  for (const char* file : {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes",
                           "memory.oom_control", "memory.swappiness"}) {
    memory.Add(file, "");
  }
  for (const char* file : {"cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpuset.cpus", "cpuset.mems"}) {
    cpu.Add(file, "");
  }
  pids.Add("pids.max", "");
  const std::vector<oci::StateCgroup> cgroups = {{.hierarchy = "memory", .path = memory.path()},
                                                 {.hierarchy = "cpu,cpuset", .path = cpu.path()},
                                                 {.hierarchy = "pids", .path = pids.path()}};
  std::vector<std::string> warnings;
  const auto apply = [&](const std::string& json) {
    const Result<> applied = ApplyV1(cgroups, WithoutZeros(Parsed(json)), warnings);
    return applied ? "accepted" : applied.error().message;
  };
  BOOST_TEST(apply(R"({"memory": {"limit": 2000, "swap": 5000, "reservation": 1500, "swappiness": 10,
      "disableOOMKiller": true, "kernel": 7}, "cpu": {"shares": 5, "quota": -1, "period": 1000, "cpus": "0",
      "mems": "0"}, "pids": {"limit": -1}})") == "accepted");
  BOOST_TEST(memory["memory.limit_in_bytes"] == "2000");
  BOOST_TEST(memory["memory.memsw.limit_in_bytes"] == "5000");
  BOOST_TEST(memory["memory.soft_limit_in_bytes"] == "1500");
  BOOST_TEST(memory["memory.swappiness"] == "10");
  BOOST_TEST(memory["memory.oom_control"] == "1");
  BOOST_TEST(cpu["cpu.shares"] == "5");
  BOOST_TEST(cpu["cpu.cfs_quota_us"] == "-1");
  BOOST_TEST(cpu["cpu.cfs_period_us"] == "1000");
  BOOST_TEST(cpu["cpuset.cpus"] == "0");
  BOOST_TEST(pids["pids.max"] == "max");
  BOOST_TEST(warnings.size() == 1U);
  BOOST_TEST(apply(R"({"memory": {"limit": 2, "swap": 1}})") ==
             "linux.resources.memory.swap: memory+swap limit must not be below the memory limit");
  BOOST_TEST(apply(R"({"blockIO": {"weight": 10}})") ==
             "linux.resources.blockIO.weight: no blkio controller is mounted");
  BOOST_TEST(apply(R"({"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]})") ==
             "linux.resources.hugepageLimits: no hugetlb controller is mounted");
  BOOST_TEST(apply(R"({"network": {"classID": 5}})") ==
             "linux.resources.network.classID: no net_cls controller is mounted");
  BOOST_TEST(apply(R"({"memory": {}, "cpu": {}, "blockIO": {"weight": 0}, "network": {"classID": 0}})") == "accepted");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::cgroup
