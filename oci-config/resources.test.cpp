// config.json's `linux.resources`.

#include <boost/test/unit_test.hpp>

#include "oci-config/test_util.h"

namespace nucleus::oci {
namespace {

using testing::ErrorOf;
using testing::Good;
using testing::LinuxConfig;
using testing::Refusal;
using testing::ResourcesConfig;

Resources GoodResources(std::string_view members) {
  return *Good(ResourcesConfig(members)).linux_.resources;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(resources)

BOOST_AUTO_TEST_CASE(every_property) {
  const Resources all = GoodResources(R"(
    "devices": [{"allow": false, "access": "rwm"},
                {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
                {"allow": true, "type": "b", "major": -1, "minor": -1, "access": "m"},
                {"allow": true, "type": "a", "major": 4294967294}],
    "memory": {"limit": 536870912, "reservation": 268435456, "swap": -1, "kernel": -1, "kernelTCP": 0,
               "swappiness": 100, "disableOOMKiller": true, "useHierarchy": false, "checkBeforeUpdate": true},
    "cpu": {"shares": 1024, "quota": -1, "burst": 1000000, "period": 500000, "realtimeRuntime": 950000,
            "realtimePeriod": 1000000, "cpus": "2-3", "mems": "0-7", "idle": 1},
    "pids": {"limit": 32771},
    "blockIO": {"weight": 10, "leafWeight": 1000,
                "weightDevice": [{"major": 8, "minor": 0, "weight": 500, "leafWeight": 300}, {"major": 8, "minor": 16}],
                "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
                "throttleWriteBpsDevice": [{"major": 8, "minor": 1, "rate": 18446744073709551615}],
                "throttleReadIOPSDevice": [{"major": 8, "minor": 2, "rate": 1}],
                "throttleWriteIOPSDevice": [{"major": 8, "minor": 3, "rate": 0}]},
    "hugepageLimits": [{"pageSize": "2MB", "limit": 209715200}, {"pageSize": "64KB", "limit": 0},
                       {"pageSize": "1GB", "limit": 18446744073709551615}],
    "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}, {"name": "lo", "priority": 0}]},
    "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}, "rxe3": {"hcaObjects": 0}},
    "unified": {"memory.high": "1", "io.max": "259:0 rbps=2097152 wiops=120\n253:0 rbps=2097152 wiops=120"})");
  BOOST_REQUIRE(all.devices.size() == 4U);
  BOOST_TEST(!all.devices[0].allow);
  BOOST_TEST(all.devices[0].type == 'a');
  BOOST_TEST(!all.devices[0].major.has_value());
  BOOST_TEST(all.devices[0].access == "rwm");
  BOOST_TEST(all.devices[1].allow);
  BOOST_TEST(all.devices[1].type == 'c');
  BOOST_TEST(*all.devices[1].major == 10);
  BOOST_TEST(*all.devices[1].minor == 229);
  BOOST_TEST(*all.devices[2].major == -1);
  BOOST_TEST(*all.devices[3].major == 4294967294);
  BOOST_TEST(all.devices[3].access.empty());

  BOOST_TEST(*all.memory->limit == 536870912);
  BOOST_TEST(*all.memory->reservation == 268435456);
  BOOST_TEST(*all.memory->swap == -1);
  BOOST_TEST(*all.memory->kernel == -1);
  BOOST_TEST(*all.memory->kernel_tcp == 0);
  BOOST_TEST(*all.memory->swappiness == 100U);
  BOOST_TEST(*all.memory->disable_oom_killer);
  BOOST_TEST(!*all.memory->use_hierarchy);
  BOOST_TEST(*all.memory->check_before_update);

  BOOST_TEST(*all.cpu->shares == 1024U);
  BOOST_TEST(*all.cpu->quota == -1);
  BOOST_TEST(*all.cpu->burst == 1000000U);
  BOOST_TEST(*all.cpu->period == 500000U);
  BOOST_TEST(*all.cpu->realtime_runtime == 950000);
  BOOST_TEST(*all.cpu->realtime_period == 1000000U);
  BOOST_TEST(all.cpu->cpus == "2-3");
  BOOST_TEST(all.cpu->mems == "0-7");
  BOOST_TEST(*all.cpu->idle == 1);

  BOOST_TEST(*all.pids_limit == 32771);

  BOOST_TEST(*all.block_io->weight == 10U);
  BOOST_TEST(*all.block_io->leaf_weight == 1000U);
  BOOST_REQUIRE(all.block_io->weight_device.size() == 2U);
  BOOST_TEST(all.block_io->weight_device[0].major == 8);
  BOOST_TEST(*all.block_io->weight_device[0].weight == 500U);
  BOOST_TEST(*all.block_io->weight_device[0].leaf_weight == 300U);
  BOOST_TEST(!all.block_io->weight_device[1].weight.has_value());
  BOOST_TEST(all.block_io->throttle_read_bps_device.at(0).rate == 600U);
  BOOST_TEST(all.block_io->throttle_write_bps_device.at(0).rate == UINT64_MAX);
  BOOST_TEST(all.block_io->throttle_read_iops_device.at(0).minor == 2);
  BOOST_TEST(all.block_io->throttle_write_iops_device.at(0).minor == 3);

  BOOST_REQUIRE(all.hugepage_limits.size() == 3U);
  BOOST_TEST(all.hugepage_limits[0].page_size == "2MB");
  BOOST_TEST(all.hugepage_limits[0].limit == 209715200U);
  BOOST_TEST(all.hugepage_limits[2].limit == UINT64_MAX);

  BOOST_TEST(*all.network->class_id == 1048577U);
  BOOST_REQUIRE(all.network->priorities.size() == 2U);
  BOOST_TEST(all.network->priorities[0].name == "eth0");
  BOOST_TEST(all.network->priorities[0].priority == 500U);

  BOOST_TEST(*all.rdma.at("mlx5_1").hca_handles == 3U);
  BOOST_TEST(*all.rdma.at("mlx5_1").hca_objects == 10000U);
  BOOST_TEST(!all.rdma.at("rxe3").hca_handles.has_value());
  BOOST_TEST(*all.rdma.at("rxe3").hca_objects == 0U);

  BOOST_TEST(all.unified.at("memory.high") == "1");
  BOOST_TEST(all.unified.at("io.max").find('\n') != std::string::npos);
}

// Of podman, containerd (CRI), docker and docker update: empty parts, and zeros for what is not set.
BOOST_AUTO_TEST_CASE(what_callers_write) {
  const Resources empty = GoodResources(R"("memory": {}, "cpu": {}, "pids": {}, "blockIO": {}, "network": {},
      "devices": [], "hugepageLimits": [], "unified": {}, "rdma": {})");
  BOOST_TEST(empty.memory.has_value());
  BOOST_TEST(!empty.memory->limit.has_value());
  BOOST_TEST(!empty.pids_limit.has_value());
  BOOST_TEST(!Good(LinuxConfig("")).linux_.resources.has_value());

  const Resources zeros = GoodResources(R"("memory": {"limit": 0, "reservation": 0, "kernel": 0, "swappiness": 0},
      "cpu": {"shares": 0, "quota": 0, "period": 0, "cpus": "", "mems": ""}, "blockIO": {"weight": 0},
      "pids": {"limit": 0})");
  BOOST_TEST(*zeros.memory->limit == 0);
  BOOST_TEST(*zeros.pids_limit == 0);
  BOOST_TEST(*GoodResources(R"("pids": {"limit": -1})").pids_limit == -1);

  // -1 through an unsigned integer of Go: the caller did not set it.
  BOOST_TEST(!GoodResources(R"("memory": {"swappiness": 18446744073709551615})").memory->swappiness.has_value());

  const Resources devices = GoodResources(R"("devices": [{"allow": false, "type": "a", "access": "rwm"},
      {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
      {"allow": true, "type": "c", "major": 0, "minor": 0, "access": "rwm"},
      {"allow": true, "type": "c", "major": null, "minor": null, "access": "m"},
      {"allow": true, "type": "b", "access": ""}])");
  BOOST_TEST(*devices.devices[2].major == 0);
  BOOST_TEST(!devices.devices[3].major.has_value());
}

BOOST_AUTO_TEST_CASE(refusals) {
  static constexpr Refusal kRefusals[] = {
      {R"("devices": {})", "devices: expected array"},
      {R"("devices": [{"allow": "yes"}])", "devices[0].allow: expected boolean"},
      {R"("devices": [{"allow": true, "type": "u"}])", R"(devices[0].type: unknown device type "u")"},
      {R"("devices": [{"allow": true, "type": "p"}])", R"(devices[0].type: unknown device type "p")"},
      {R"("devices": [{"allow": true, "type": "char"}])", R"(devices[0].type: unknown device type "char")"},
      {R"("devices": [{"allow": true, "access": "rx"}])", "devices[0].access: must be made of r, w and m"},
      {R"("devices": [{"allow": true, "major": -2}])", "devices[0].major: out of range"},
      {R"("devices": [{"allow": true, "major": 4294967295}])", "devices[0].major: out of range"},
      {R"("devices": [{"allow": true, "minor": 4294967295}])", "devices[0].minor: out of range"},
      {R"("devices": [{"allow": true, "major": "10"}])", "devices[0].major: expected integer"},
      {R"("memory": [])", "memory: expected object"},
      {R"("memory": {"limit": "512M"})", "memory.limit: expected integer"},
      {R"("memory": {"limit": 1.5})", "memory.limit: expected integer"},
      {R"("memory": {"limit": -2})", "memory.limit: out of range"},
      {R"("memory": {"limit": 9223372036854775808})", "memory.limit: out of range"},
      {R"("memory": {"reservation": -2})", "memory.reservation: out of range"},
      {R"("memory": {"swap": -2})", "memory.swap: out of range"},
      {R"("memory": {"swappiness": 101})", "memory.swappiness: must be from 0 to 100"},
      {R"("memory": {"swappiness": -1})", "memory.swappiness: out of range"},
      {R"("memory": {"disableOOMKiller": 1})", "memory.disableOOMKiller: expected boolean"},
      {R"("memory": {"useHierarchy": 1})", "memory.useHierarchy: expected boolean"},
      {R"("memory": {"checkBeforeUpdate": 1})", "memory.checkBeforeUpdate: expected boolean"},
      {R"("cpu": {"shares": -1})", "cpu.shares: out of range"},
      {R"("cpu": {"quota": "max"})", "cpu.quota: expected integer"},
      {R"("cpu": {"period": -1})", "cpu.period: out of range"},
      {R"("cpu": {"burst": -1})", "cpu.burst: out of range"},
      {R"("cpu": {"cpus": [0, 1]})", "cpu.cpus: expected string"},
      {R"("cpu": {"cpus": "0-"})", "cpu.cpus: malformed CPU list"},
      {R"("cpu": {"mems": "a"})", "cpu.mems: malformed node list"},
      {R"("cpu": {"idle": true})", "cpu.idle: expected integer"},
      {R"("pids": 5)", "pids: expected object"},
      {R"("pids": {"limit": "max"})", "pids.limit: expected integer"},
      {R"("blockIO": {"weight": 65536})", "blockIO.weight: out of range"},
      {R"("blockIO": {"weight": -1})", "blockIO.weight: out of range"},
      {R"("blockIO": {"weightDevice": {}})", "blockIO.weightDevice: expected array"},
      {R"("blockIO": {"throttleReadBpsDevice": [{"rate": -1}]})",
       "blockIO.throttleReadBpsDevice[0].rate: out of range"},
      {R"("blockIO": {"throttleWriteIOPSDevice": [{"rate": "1"}]})",
       "blockIO.throttleWriteIOPSDevice[0].rate: expected integer"},
      {R"("hugepageLimits": {})", "hugepageLimits: expected array"},
      {R"("hugepageLimits": [{"limit": 1}])", "hugepageLimits[0].pageSize: must be a number and KB, MB or GB"},
      {R"("hugepageLimits": [{"pageSize": "2M"}])", "hugepageLimits[0].pageSize: must be a number and KB, MB or GB"},
      {R"("hugepageLimits": [{"pageSize": "MB"}])", "hugepageLimits[0].pageSize: must be a number and KB, MB or GB"},
      {R"("hugepageLimits": [{"pageSize": "2MB/../x"}])",
       "hugepageLimits[0].pageSize: must be a number and KB, MB or GB"},
      {R"("hugepageLimits": [{"pageSize": "2MB", "limit": -1}])", "hugepageLimits[0].limit: out of range"},
      {R"("network": {"classID": -1})", "network.classID: out of range"},
      {R"("network": {"priorities": [{"priority": 1}]})", "network.priorities[0].name: required"},
      {R"("network": {"priorities": [{"name": "a", "priority": 4294967296}]})",
       "network.priorities[0].priority: out of range"},
      {R"("rdma": [])", "rdma: expected object"},
      {R"("rdma": {"mlx": {"hcaHandles": -1}})", R"(rdma["mlx"].hcaHandles: out of range)"},
      {R"("unified": {"memory.max": 1})", R"(unified["memory.max"]: expected string)"},
      {R"("unified": {"../cgroup.procs": "1"})", R"(unified["../cgroup.procs"]: not a file name)"},
      {R"("unified": {"..": "1"})", R"(unified[".."]: not a file name)"},
      {R"("unified": {"": "1"})", R"(unified[""]: not a file name)"},
  };
  for (const Refusal& refusal : kRefusals) {
    BOOST_TEST_CONTEXT("the fragment " << refusal.fragment) {
      BOOST_TEST(ErrorOf(ResourcesConfig(refusal.fragment)) ==
                 "config.json: linux.resources." + std::string{refusal.error});
    }
  }
  BOOST_TEST(ErrorOf(LinuxConfig(R"("resources": [])")) == "config.json: linux.resources: expected object");
}

BOOST_AUTO_TEST_CASE(alone_as_update_reads_it) {
  const Result<Resources> good = ParseResources(R"({"memory": {"limit": 1}, "pids": {"limit": 2}})", "-");
  BOOST_REQUIRE(good.has_value());
  BOOST_TEST(*good->memory->limit == 1);
  BOOST_TEST(*good->pids_limit == 2);
  const Result<Resources> bad = ParseResources(R"({"memory": {"limit": "1"}})", "resources.json");
  BOOST_REQUIRE(!bad.has_value());
  BOOST_TEST(bad.error().message == "resources.json: memory.limit: expected integer");
  BOOST_TEST(!ParseResources("", "-").has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::oci
