// config.json's `linux` but for seccomp and resources.

#include <boost/test/unit_test.hpp>

#include "oci-config/read.h"
#include "oci-config/test_util.h"

namespace nucleus::oci {
namespace {

using testing::Config;
using testing::ErrorOf;
using testing::Good;
using testing::LinuxConfig;
using testing::Refusal;
using testing::Strings;

Linux GoodLinux(std::string_view members) {
  return Good(LinuxConfig(members)).linux_;
}
std::string Mapping(std::uint64_t container, std::uint64_t host, std::uint64_t size) {
  return R"({"containerID": )" + std::to_string(container) + R"(, "hostID": )" + std::to_string(host) +
         R"(, "size": )" + std::to_string(size) + "}";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(linux_part)

BOOST_AUTO_TEST_CASE(every_property) {
  const Linux container = GoodLinux(R"(
    "namespaces": [{"type": "pid"}, {"type": "network", "path": "/run/netns/x"}, {"type": "mount"}, {"type": "ipc"},
                   {"type": "uts"}, {"type": "user"}, {"type": "cgroup"}, {"type": "time", "path": ""}],
    "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 1}],
    "gidMappings": [{"containerID": 1, "hostID": 2000, "size": 3}],
    "timeOffsets": {"monotonic": {"secs": -172800, "nanosecs": 999999999}, "boottime": {"secs": 9223372036854775807}},
    "devices": [{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229, "fileMode": 438, "uid": 0, "gid": 5},
                {"type": "b", "path": "/dev/sda", "major": 4095, "minor": 1048575},
                {"type": "u", "path": "/x", "major": 0, "minor": 0}, {"type": "p", "path": "/fifo"}],
    "netDevices": {"eth0": {"name": "container_eth0"}, "ens4": {}},
    "cgroupsPath": "/a/b",
    "rootfsPropagation": "slave",
    "maskedPaths": ["/proc/kcore"],
    "readonlyPaths": ["/proc/sys", "/proc/bus"],
    "mountLabel": "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811",
    "sysctl": {"net.ipv4.ip_forward": "1", "kernel.shmmax": ""},
    "personality": {"domain": "LINUX32", "flags": []},
    "memoryPolicy": {"mode": "MPOL_INTERLEAVE", "nodes": "0-1,3", "flags": ["MPOL_F_STATIC_NODES"]},
    "intelRdt": {"closID": "g", "l3CacheSchema": "L3:0=f", "memBwSchema": "MB:0=20", "schemata": ["L2:0=3"],
                 "enableMonitoring": true})");
  BOOST_REQUIRE(container.namespaces.size() == 8U);
  static constexpr NamespaceType kTypes[] = {NamespaceType::kPid,    NamespaceType::kNetwork, NamespaceType::kMount,
                                             NamespaceType::kIpc,    NamespaceType::kUts,     NamespaceType::kUser,
                                             NamespaceType::kCgroup, NamespaceType::kTime};
  for (std::size_t i = 0; i < 8; ++i) {
    BOOST_TEST((container.namespaces[i].type == kTypes[i]));
  }
  BOOST_TEST(container.namespaces[1].path == "/run/netns/x");
  BOOST_TEST(container.namespaces[7].path.empty());
  BOOST_TEST(container.uid_mappings.at(0).host_id == 1000U);
  BOOST_TEST(container.gid_mappings.at(0).container_id == 1U);
  BOOST_TEST(container.gid_mappings.at(0).size == 3U);
  BOOST_TEST(container.time_offsets.at("monotonic").secs == -172800);
  BOOST_TEST(container.time_offsets.at("monotonic").nanosecs == 999999999U);
  BOOST_TEST(container.time_offsets.at("boottime").secs == INT64_MAX);
  BOOST_REQUIRE(container.devices.size() == 4U);
  BOOST_TEST(container.devices[0].type == 'c');
  BOOST_TEST(container.devices[0].path == "/dev/fuse");
  BOOST_TEST(container.devices[0].major == 10);
  BOOST_TEST(container.devices[0].minor == 229);
  BOOST_TEST(*container.devices[0].file_mode == 0666U);
  BOOST_TEST(*container.devices[0].uid == 0U);
  BOOST_TEST(*container.devices[0].gid == 5U);
  BOOST_TEST(container.devices[1].type == 'b');
  BOOST_TEST(!container.devices[1].file_mode.has_value());
  BOOST_TEST(container.devices[2].type == 'u');
  BOOST_TEST(container.devices[3].type == 'p');
  BOOST_TEST(container.net_devices.at("eth0").name == "container_eth0");
  BOOST_TEST(container.net_devices.at("ens4").name.empty());
  BOOST_TEST(container.cgroups_path == "/a/b");
  BOOST_TEST((*container.rootfs_propagation == RootfsPropagation::kSlave));
  BOOST_TEST(container.masked_paths == Strings{"/proc/kcore"}, boost::test_tools::per_element());
  BOOST_TEST(container.readonly_paths == (Strings{"/proc/sys", "/proc/bus"}), boost::test_tools::per_element());
  BOOST_TEST(container.mount_label == "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811");
  BOOST_TEST(container.sysctl.at("net.ipv4.ip_forward") == "1");
  BOOST_TEST(container.sysctl.at("kernel.shmmax").empty());
  BOOST_TEST((*container.personality == PersonalityDomain::kLinux32));
  BOOST_TEST((container.memory_policy->mode == MemoryPolicyMode::kInterleave));
  BOOST_TEST(container.memory_policy->nodes == "0-1,3");
  BOOST_TEST((container.memory_policy->flags == std::vector{MemoryPolicyFlag::kStaticNodes}));
  BOOST_TEST(container.intel_rdt->clos_id == "g");
  BOOST_TEST(container.intel_rdt->l3_cache_schema == "L3:0=f");
  BOOST_TEST(container.intel_rdt->mem_bw_schema == "MB:0=20");
  BOOST_TEST(container.intel_rdt->schemata == Strings{"L2:0=3"}, boost::test_tools::per_element());
  BOOST_TEST(container.intel_rdt->enable_monitoring);
}

BOOST_AUTO_TEST_CASE(what_callers_write) {
  const Linux container = GoodLinux(R"("uidMappings": [], "devices": [], "sysctl": {}, "maskedPaths": null,
      "cgroupsPath": "system.slice:crio:0123", "mountLabel": "", "rootfsPropagation": "rprivate",
      "intelRdt": {}, "netDevices": {}, "timeOffsets": {})");
  BOOST_TEST(container.cgroups_path == "system.slice:crio:0123");
  BOOST_TEST(container.namespaces.empty());
  BOOST_TEST(Good(Config(R"("linux": {})")).linux_.namespaces.empty());
  // A whole id space, as rootless podman maps it.
  BOOST_TEST(GoodLinux("\"uidMappings\": [" + Mapping(0, 0, 4294967295) + "]").uid_mappings.at(0).size == 4294967295U);
}

BOOST_AUTO_TEST_CASE(closed_lists) {
  static constexpr std::pair<const char*, RootfsPropagation> kPropagations[] = {
      {"shared", RootfsPropagation::kShared},         {"rshared", RootfsPropagation::kShared},
      {"slave", RootfsPropagation::kSlave},           {"rslave", RootfsPropagation::kSlave},
      {"private", RootfsPropagation::kPrivate},       {"rprivate", RootfsPropagation::kPrivate},
      {"unbindable", RootfsPropagation::kUnbindable}, {"runbindable", RootfsPropagation::kUnbindable}};
  for (const auto& [word, value] : kPropagations) {
    BOOST_TEST((*GoodLinux("\"rootfsPropagation\": \"" + std::string{word} + "\"").rootfs_propagation == value));
  }
  static constexpr std::pair<const char*, MemoryPolicyMode> kModes[] = {
      {"MPOL_DEFAULT", MemoryPolicyMode::kDefault},
      {"MPOL_PREFERRED", MemoryPolicyMode::kPreferred},
      {"MPOL_BIND", MemoryPolicyMode::kBind},
      {"MPOL_INTERLEAVE", MemoryPolicyMode::kInterleave},
      {"MPOL_LOCAL", MemoryPolicyMode::kLocal},
      {"MPOL_PREFERRED_MANY", MemoryPolicyMode::kPreferredMany},
      {"MPOL_WEIGHTED_INTERLEAVE", MemoryPolicyMode::kWeightedInterleave}};
  for (const auto& [word, value] : kModes) {
    BOOST_TEST((GoodLinux("\"memoryPolicy\": {\"mode\": \"" + std::string{word} + "\"}").memory_policy->mode == value));
  }
  static constexpr std::pair<const char*, MemoryPolicyFlag> kFlags[] = {
      {"MPOL_F_NUMA_BALANCING", MemoryPolicyFlag::kNumaBalancing},
      {"MPOL_F_RELATIVE_NODES", MemoryPolicyFlag::kRelativeNodes},
      {"MPOL_F_STATIC_NODES", MemoryPolicyFlag::kStaticNodes}};
  for (const auto& [word, value] : kFlags) {
    const Linux container =
        GoodLinux("\"memoryPolicy\": {\"mode\": \"MPOL_BIND\", \"flags\": [\"" + std::string{word} + "\"]}");
    BOOST_TEST((container.memory_policy->flags.at(0) == value));
  }
  BOOST_TEST((*GoodLinux(R"("personality": {"domain": "LINUX"})").personality == PersonalityDomain::kLinux));
}

BOOST_AUTO_TEST_CASE(refusals) {
  static constexpr Refusal kRefusals[] = {
      {R"("namespaces": {})", "namespaces: expected array"},
      {R"("namespaces": ["pid"])", "namespaces[0]: expected object"},
      {R"("namespaces": [{}])", "namespaces[0].type: required"},
      {R"("namespaces": [{"type": "net"}])", R"(namespaces[0].type: unknown namespace type "net")"},
      {R"("namespaces": [{"type": ""}])", R"(namespaces[0].type: unknown namespace type "")"},
      {R"("namespaces": [{"type": "pid", "path": "proc/1/ns/pid"}])", "namespaces[0].path: must be an absolute path"},
      {R"("namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "pid", "path": "/x"}])",
       "namespaces[2].type: duplicate namespace type"},
      {R"("timeOffsets": {"realtime": {"secs": 1}})", R"(timeOffsets["realtime"]: unknown clock)"},
      {R"("timeOffsets": {"boottime": {"nanosecs": 1000000000}})", R"(timeOffsets["boottime"].nanosecs: out of range)"},
      {R"("timeOffsets": {"boottime": 1})", R"(timeOffsets["boottime"]: expected object)"},
      {R"("devices": [{"path": "/dev/x", "major": 1, "minor": 1}])", R"(devices[0].type: unknown device type "")"},
      {R"("devices": [{"type": "s", "path": "/dev/x"}])", R"(devices[0].type: unknown device type "s")"},
      {R"("devices": [{"type": "char", "path": "/dev/x"}])", R"(devices[0].type: unknown device type "char")"},
      {R"("devices": [{"type": "c", "path": "dev/x"}])", "devices[0].path: must be an absolute path"},
      {R"("devices": [{"type": "c"}])", "devices[0].path: must be an absolute path"},
      {R"("devices": [{"type": "c", "path": "/x", "major": -1}])", "devices[0].major: out of range"},
      {R"("devices": [{"type": "c", "path": "/x", "major": 4096}])", "devices[0].major: out of range"},
      {R"("devices": [{"type": "c", "path": "/x", "minor": 1048576}])", "devices[0].minor: out of range"},
      {R"("devices": [{"type": "c", "path": "/x", "fileMode": "0666"}])", "devices[0].fileMode: expected integer"},
      {R"("devices": [{"type": "c", "path": "/x", "uid": -1}])", "devices[0].uid: out of range"},
      {R"("netDevices": [])", "netDevices: expected object"},
      {R"("netDevices": {"eth0": "x"})", R"(netDevices["eth0"]: expected object)"},
      {R"("netDevices": {"eth0": {"name": 1}})", R"(netDevices["eth0"].name: expected string)"},
      {R"("cgroupsPath": [])", "cgroupsPath: expected string"},
      {R"("rootfsPropagation": "")", R"(rootfsPropagation: unknown propagation "")"},
      {R"("rootfsPropagation": "x")", R"(rootfsPropagation: unknown propagation "x")"},
      {R"("maskedPaths": ["proc/kcore"])", "maskedPaths[0]: must be an absolute path"},
      {R"("maskedPaths": "/proc/kcore")", "maskedPaths: expected array"},
      {R"("readonlyPaths": ["/a", ""])", "readonlyPaths[1]: must be an absolute path"},
      {R"("mountLabel": 1)", "mountLabel: expected string"},
      {R"("sysctl": {"a": 1})", R"(sysctl["a"]: expected string)"},
      {R"("sysctl": ["a=1"])", "sysctl: expected object"},
      {R"("personality": {})", "personality.domain: required"},
      {R"("personality": {"domain": "linux"})", R"(personality.domain: unknown personality domain "linux")"},
      {R"("memoryPolicy": {})", "memoryPolicy.mode: required"},
      {R"("memoryPolicy": {"mode": "BIND"})", R"(memoryPolicy.mode: unknown memory policy mode "BIND")"},
      {R"("memoryPolicy": {"mode": "MPOL_BIND", "nodes": "x"})", "memoryPolicy.nodes: malformed node list"},
      {R"("memoryPolicy": {"mode": "MPOL_BIND", "flags": ["x"]})",
       R"(memoryPolicy.flags[0]: unknown memory policy flag "x")"},
      {R"("intelRdt": {"closID": ".."})", "intelRdt.closID: not a directory name"},
      {R"("intelRdt": {"closID": "."})", "intelRdt.closID: not a directory name"},
      {R"("intelRdt": {"closID": "a/b"})", "intelRdt.closID: not a directory name"},
      {R"("intelRdt": {"closID": "a\nb"})", "intelRdt.closID: not a directory name"},
      {R"("intelRdt": {"l3CacheSchema": "L3:0=f\nMB:0=1"})", "intelRdt.l3CacheSchema: must be one line"},
      {R"("intelRdt": {"memBwSchema": "a\n"})", "intelRdt.memBwSchema: must be one line"},
      {R"("intelRdt": {"schemata": ["a", "b\nc"]})", "intelRdt.schemata[1]: must be one line"},
      {R"("intelRdt": {"enableMonitoring": "yes"})", "intelRdt.enableMonitoring: expected boolean"},
  };
  for (const Refusal& refusal : kRefusals) {
    BOOST_TEST_CONTEXT("the fragment " << refusal.fragment) {
      BOOST_TEST(ErrorOf(LinuxConfig(refusal.fragment)) == "config.json: linux." + std::string{refusal.error});
    }
  }
  BOOST_TEST(ErrorOf(Config(R"("linux": [])")) == "config.json: linux: expected object");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(mappings)

BOOST_AUTO_TEST_CASE(rules) {
  const auto error = [](const std::string& list) { return ErrorOf(LinuxConfig("\"uidMappings\": [" + list + "]")); };
  const std::string where = "config.json: linux.uidMappings";
  BOOST_TEST(error(Mapping(0, 0, 0)) == where + "[0].size: must be greater than 0");
  BOOST_TEST(error(Mapping(0, 0, 4294967296)) == where + "[0].size: out of range");
  // The last id, 2^32 - 1, means nobody: a mapping may end before it, never hold it.
  BOOST_TEST(error(Mapping(1, 0, 4294967294)) == "accepted");
  BOOST_TEST(error(Mapping(1, 0, 4294967295)) == where + "[0]: reaches beyond the last id");
  BOOST_TEST(error(Mapping(0, 4294967294, 1)) == "accepted");
  BOOST_TEST(error(Mapping(0, 4294967295, 1)) == where + "[0]: reaches beyond the last id");
  BOOST_TEST(error(Mapping(0, 100, 10) + "," + Mapping(10, 110, 10)) == "accepted");
  BOOST_TEST(error(Mapping(0, 100, 10) + "," + Mapping(9, 200, 1)) == where + "[1]: overlaps another mapping");
  BOOST_TEST(error(Mapping(0, 100, 10) + "," + Mapping(10, 109, 1)) == where + "[1]: overlaps another mapping");
  BOOST_TEST(error(Mapping(5, 100, 1) + "," + Mapping(0, 200, 100)) == where + "[1]: overlaps another mapping");
  std::string many;
  for (std::uint64_t i = 0; i < 340; ++i) {
    many += (i == 0 ? "" : ",") + Mapping(i, 1000 + i, 1);
  }
  BOOST_TEST(error(many) == "accepted");
  BOOST_TEST(error(many + "," + Mapping(340, 5000, 1)) == where + ": more than 340 mappings");
  BOOST_TEST(ErrorOf(LinuxConfig("\"gidMappings\": [" + Mapping(0, 4294967295, 1) + "]")) ==
             "config.json: linux.gidMappings[0]: reaches beyond the last id");
}

BOOST_AUTO_TEST_CASE(number_lists) {
  for (const char* good : {"0", "0-0", "0-3", "0,2,4", "0-3,7,9-11", "7,3", "4294967295"}) {
    BOOST_TEST(IsNumberList(good), good);
  }
  for (const char* bad : {"", ",", "0,", ",0", "-", "0-", "-0", "1-0", "a", "0-a", " 0", "0 ", "0,,1", "+1", "0--1",
                          "0-1-2", "4294967296", "0\n"}) {
    BOOST_TEST(!IsNumberList(bad), bad);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::oci
