// What the texts of /proc say of this process's cgroups, and where a container's go.

#include <boost/test/unit_test.hpp>

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/files.h"

namespace nucleus::cgroup {
namespace {

// The texts of three kinds of hosts, cut down.
constexpr std::string_view kV2Mounts =
    R"(22 28 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot
30 28 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
)";
constexpr std::string_view kV2Self = "0::/user.slice/user-0.slice/session-1.scope\n";

constexpr std::string_view kHybridMounts =
    R"(25 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
32 24 0:27 / /sys/fs/cgroup ro,nosuid,nodev,noexec shared:9 - tmpfs tmpfs ro,mode=755
33 32 0:28 / /sys/fs/cgroup/unified rw,nosuid,nodev,noexec,relatime shared:10 - cgroup2 cgroup2 rw,nsdelegate
34 32 0:29 / /sys/fs/cgroup/systemd rw,nosuid,nodev,noexec,relatime shared:11 - cgroup cgroup rw,xattr,name=systemd
40 32 0:35 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid,nodev,noexec,relatime shared:17 - cgroup cgroup rw,cpu,cpuacct
41 32 0:36 / /sys/fs/cgroup/memory rw,nosuid,nodev,noexec,relatime shared:18 - cgroup cgroup rw,memory
42 32 0:37 / /sys/fs/cgroup/net_cls,net_prio rw,nosuid - cgroup cgroup rw,net_cls,net_prio
)";
constexpr std::string_view kHybridSelf =
    "5:net_cls,net_prio:/\n4:memory:/user.slice/x\n3:cpu,cpuacct:/user.slice\n1:name=systemd:/user.slice/s:x\n0::/u\n";

constexpr std::string_view kV1Mounts =
    R"(40 32 0:35 / /sys/fs/cgroup/cpu rw shared:17 - cgroup cgroup rw,cpu
41 32 0:36 / /sys/fs/cgroup/memory rw shared:18 - cgroup cgroup rw,memory
)";
constexpr std::string_view kV1Self = "4:memory:/\n3:cpu:/\n";

Host Good(std::string_view mountinfo, std::string_view self) {
  Result<Host> host = ParseHost(mountinfo, self);
  if (!host) {
    throw std::runtime_error(host.error().message);
  }
  return *std::move(host);
}

std::vector<oci::StateCgroup> Located(const Host& host, const std::string& path, const std::string& id = "c1") {
  Result<std::vector<oci::StateCgroup>> cgroups = Locate(host, path, id);
  if (!cgroups) {
    throw std::runtime_error(cgroups.error().message);
  }
  return *std::move(cgroups);
}
std::string PathIn(const Host& host, const std::string& hierarchy, const std::string& path) {
  for (const oci::StateCgroup& cgroup : Located(host, path)) {
    if (cgroup.hierarchy == hierarchy) {
      return cgroup.path;
    }
  }
  return "absent";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cgroup_host)

BOOST_AUTO_TEST_CASE(v2) {
  const Host host = Good(kV2Mounts, kV2Self);
  BOOST_REQUIRE(host.hierarchies.size() == 1U);
  BOOST_TEST(host.unified());
  BOOST_TEST(host.hierarchies[0].v2());
  BOOST_TEST(host.hierarchies[0].mount_point == "/sys/fs/cgroup");
  BOOST_TEST(host.hierarchies[0].mount_root == "/");
  BOOST_TEST(host.hierarchies[0].own_path == "/user.slice/user-0.slice/session-1.scope");
}

BOOST_AUTO_TEST_CASE(hybrid) {
  const Host host = Good(kHybridMounts, kHybridSelf);
  BOOST_REQUIRE(host.hierarchies.size() == 5U);
  BOOST_TEST(!host.unified());
  BOOST_TEST(host.hierarchies[0].v2());
  BOOST_TEST(host.hierarchies[0].own_path == "/u");
  BOOST_TEST(host.hierarchies[1].name == "name=systemd");
  BOOST_TEST(host.hierarchies[1].own_path == "/user.slice/s:x");
  BOOST_TEST(host.hierarchies[2].name == "cpu,cpuacct");
  BOOST_TEST(host.hierarchies[2].controllers == (std::vector<std::string>{"cpu", "cpuacct"}),
             boost::test_tools::per_element());
  BOOST_TEST(host.hierarchies[2].mount_point == "/sys/fs/cgroup/cpu,cpuacct");
  BOOST_TEST(host.hierarchies[3].own_path == "/user.slice/x");
}

BOOST_AUTO_TEST_CASE(v1) {
  const Host host = Good(kV1Mounts, kV1Self);
  BOOST_TEST(host.hierarchies.size() == 2U);
  BOOST_TEST(!host.unified());
}

BOOST_AUTO_TEST_CASE(no_cgroups_at_all) {
  BOOST_TEST(Good("", "").hierarchies.empty());
  BOOST_TEST(!Good("", "").unified());
  BOOST_TEST(Good("30 28 8:1 / / rw - ext4 /dev/sda1 rw\n", "").hierarchies.empty());
  // Mounted, but this process is in none of them.
  BOOST_TEST(Good(kV1Mounts, "").hierarchies.empty());
  BOOST_TEST(Good(kV2Mounts, "").hierarchies.empty());
}

BOOST_AUTO_TEST_CASE(odd_lines) {
  // A bind mount of a part, with a blank in its path; the same hierarchy again: the first place counts.
  const Host host = Good(
      "41 32 0:36 /docker/a\\134b /sys/fs/cg\\040roup/memory rw - cgroup cgroup rw,memory\n"
      "43 32 0:36 / /mnt/again rw - cgroup cgroup rw,memory\n",
      "4:memory:/docker/a\\b\n");
  BOOST_REQUIRE(host.hierarchies.size() == 1U);
  BOOST_TEST(host.hierarchies[0].mount_point == "/sys/fs/cg roup/memory");
  BOOST_TEST(host.hierarchies[0].mount_root == "/docker/a\\b");
  // Something called cgroup is no cgroup.
  BOOST_TEST(Good("1 2 0:3 / /cgroup rw - tmpfs cgroup rw,memory\n", kV1Self).hierarchies.empty());
  BOOST_TEST(Good("1 2 0:3 / /x rw - fuse.cgroup cgroup2 rw,memory\n", kV1Self).hierarchies.empty());
  // Without a final newline, and cut short.
  BOOST_TEST(Good("41 32 0:36 / /m rw - cgroup cgroup rw,memory", "4:memory:/x").hierarchies.size() == 1U);
  for (const char* line : {"1 2 3 - cgroup cgroup rw", "1 2 3 4 5 - cgroup", "1 2 3 4 5 - cgroup2 x"}) {
    const Result<Host> cut = ParseHost(line, kV1Self);
    BOOST_TEST(
        (cut.has_value() ? cut->hierarchies.empty() : cut.error().message.find("mountinfo") != std::string::npos));
  }
  BOOST_TEST(Good(kV1Mounts, "garbage\n:\n::\n4:memory\n4:memory:/ok\n").hierarchies.size() == 1U);
}

BOOST_AUTO_TEST_CASE(this_host) {
  const Result<Host> host = ReadHost();
  BOOST_REQUIRE(host.has_value());
  for (const Hierarchy& hierarchy : host->hierarchies) {
    BOOST_TEST(hierarchy.mount_point.starts_with("/"));
    BOOST_TEST(hierarchy.own_path.starts_with("/"));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cgroup_place)

BOOST_AUTO_TEST_CASE(absolute) {
  const Host host = Good(kHybridMounts, kHybridSelf);
  for (const oci::StateCgroup& cgroup : Located(host, "/a/b")) {
    BOOST_TEST(!cgroup.created);
  }
  BOOST_TEST(Located(host, "/a/b").size() == 5U);
  BOOST_TEST(PathIn(host, "memory", "/a/b") == "/sys/fs/cgroup/memory/a/b");
  BOOST_TEST(PathIn(host, "cpu,cpuacct", "/a//./b/") == "/sys/fs/cgroup/cpu,cpuacct/a/b");
  BOOST_TEST(PathIn(host, "", "/a/b") == "/sys/fs/cgroup/unified/a/b");
}

BOOST_AUTO_TEST_CASE(relative_is_below_the_runtimes_own) {
  const Host host = Good(kHybridMounts, kHybridSelf);
  BOOST_TEST(PathIn(host, "memory", "a/b") == "/sys/fs/cgroup/memory/user.slice/x/a/b");
  BOOST_TEST(PathIn(host, "net_cls,net_prio", "a/b") == "/sys/fs/cgroup/net_cls,net_prio/a/b");
  BOOST_TEST(PathIn(host, "memory", "") == "/sys/fs/cgroup/memory/user.slice/x/c1");
}

BOOST_AUTO_TEST_CASE(relative_on_v2_is_beside_the_runtimes_own) {
  const Host host = Good(kV2Mounts, kV2Self);
  BOOST_TEST(PathIn(host, "", "a") == "/sys/fs/cgroup/user.slice/user-0.slice/a");
  BOOST_TEST(PathIn(host, "", "") == "/sys/fs/cgroup/user.slice/user-0.slice/c1");
  BOOST_TEST(PathIn(host, "", "/a") == "/sys/fs/cgroup/a");
  const Host at_root = Good(kV2Mounts, "0::/\n");
  BOOST_TEST(PathIn(at_root, "", "a") == "/sys/fs/cgroup/a");
}

// Never above the mount's root, and never the root itself.
BOOST_AUTO_TEST_CASE(dots) {
  const Host host = Good(kHybridMounts, kHybridSelf);
  BOOST_TEST(PathIn(host, "memory", "/../../etc") == "/sys/fs/cgroup/memory/etc");
  BOOST_TEST(PathIn(host, "memory", "/a/../b") == "/sys/fs/cgroup/memory/b");
  BOOST_TEST(PathIn(host, "memory", "../../../../x") == "/sys/fs/cgroup/memory/user.slice/x/x");
  BOOST_TEST(PathIn(host, "memory", "a/../../b") == "/sys/fs/cgroup/memory/user.slice/x/b");
  for (const char* root : {"/", "//", "/.", "/..", "/a/..", ".", "..", "./a/../", "../.."}) {
    const auto located = Locate(host, root, "c1");
    BOOST_TEST_CONTEXT(root) {
      BOOST_REQUIRE(!located.has_value());
      BOOST_TEST(located.error().message == "linux.cgroupsPath: the root cgroup is not a container's");
    }
  }
  // The runtime's own path may begin above the namespace's root.
  const Host above = Good(kV1Mounts, "4:memory:/../../host\n3:cpu:/..\n");
  BOOST_TEST(PathIn(above, "memory", "a") == "/sys/fs/cgroup/memory/host/a");
  BOOST_TEST(PathIn(above, "cpu", "a") == "/sys/fs/cgroup/cpu/a");
}

BOOST_AUTO_TEST_CASE(a_part_of_the_hierarchy_is_mounted) {
  const Host host =
      Good("41 32 0:36 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "4:memory:/docker/x/inner\n");
  BOOST_TEST(PathIn(host, "memory", "a") == "/sys/fs/cgroup/memory/inner/a");
  BOOST_TEST(PathIn(host, "memory", "/a") == "/sys/fs/cgroup/memory/a");
  // Its top is not a container's either, whatever its name is.
  const Host above =
      Good("41 32 0:36 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n", "4:memory:/docker\n");
  BOOST_TEST(!Locate(above, "x", "c1").has_value());
  BOOST_TEST(PathIn(above, "memory", "x/a") == "/sys/fs/cgroup/memory/a");
}

BOOST_AUTO_TEST_CASE(directories_by_controller) {
  const std::vector<oci::StateCgroup> cgroups = {{.hierarchy = "cpu,cpuacct", .path = "/1"},
                                                 {.hierarchy = "name=systemd", .path = "/2"},
                                                 {.hierarchy = "cpuset", .path = "/3"},
                                                 {.hierarchy = "", .path = "/4"}};
  const auto of = [&cgroups](const char* controller) {
    const std::string* path = DirectoryOf(cgroups, controller);
    return path != nullptr ? *path : "absent";
  };
  BOOST_TEST(of("cpu") == "/1");
  BOOST_TEST(of("cpuacct") == "/1");
  BOOST_TEST(of("cpuset") == "/3");
  BOOST_TEST(of("") == "/4");
  BOOST_TEST(of("memory") == "absent");
  BOOST_TEST(of("systemd") == "absent");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::cgroup
