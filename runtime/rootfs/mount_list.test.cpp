// The list against /proc/self/mountinfo: of this process's mounts, whatever they are.

#include "runtime/rootfs/mount_list.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>

#include "base/fd.h"
#include "runtime/rootfs/ledger.h"

namespace nucleus::rootfs {
namespace {

// One a line, by what both know: the numbers are others.
std::vector<std::string> Lines(const std::vector<MountInfo>& mounts) {
  std::map<std::uint64_t, std::string> points;
  for (const MountInfo& mount : mounts) {
    points[mount.id] = mount.point;
  }
  std::vector<std::string> lines;
  for (const MountInfo& mount : mounts) {
    const auto parent = points.find(mount.parent);
    lines.push_back(mount.point + " on " + (parent == points.end() ? "?" : parent->second) + " " +
                    std::to_string(mount.flags));
  }
  std::ranges::sort(lines);
  return lines;
}

boost::test_tools::assertion_result Lists(boost::unit_test::test_unit_id) {
  boost::test_tools::assertion_result result{CanListMounts()};
  result.message() << "this kernel has no listmount, or a filter refuses it";
  return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(rootfs_mount_list, *boost::unit_test::precondition(Lists))

BOOST_AUTO_TEST_CASE(it_says_what_mountinfo_says) {
  const auto read_all = [] { return ReadFile("/proc/self/mountinfo", std::size_t{64} << 20).value(); };
  std::vector<MountInfo> listed;
  std::string before;
  do {  // others may mount something meanwhile
    before = read_all();
    if (auto list = ListMounts(); list) {
      listed = *std::move(list);
    }
    BOOST_TEST(std::ranges::all_of(listed, [](const MountInfo& mount) { return mount.point.empty(); }));
  } while (!FindMountPoints(listed) || read_all() != before);
  const auto read = ParseMountInfo(before).value();
  BOOST_REQUIRE(!read.empty());
  BOOST_TEST(Lines(listed) == Lines(read), boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(numbers_are_those_of_statx) {
  const auto listed = ListMounts().value();
  const std::uint64_t root = MountIdAt("/", true).value();
  BOOST_TEST(std::ranges::count(listed, root, &MountInfo::id) == 1);
  BOOST_TEST(MountIdAt("/", false).value() != root);
}

BOOST_AUTO_TEST_CASE(a_mount_that_is_not_there) {
  std::vector<MountInfo> mounts = {{.id = std::uint64_t{1} << 62}};
  BOOST_TEST(FindMountPoints(mounts).error().code == ENOENT);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::rootfs
