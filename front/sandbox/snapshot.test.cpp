#include "front/sandbox/snapshot.h"

#include <boost/test/unit_test.hpp>

using namespace nucleus::front;

namespace {

struct stat Entry(mode_t mode, int version = 0) {
  struct stat status{};
  status.st_mode = mode;
  status.st_ctim.tv_nsec = version;
  return status;
}

constexpr mode_t kFile = S_IFREG | 0644;
constexpr mode_t kDirectory = S_IFDIR | 0755;

using Paths = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(snapshot)

BOOST_AUTO_TEST_CASE(what_changed) {
  const Snapshot before = {{"a", Entry(kFile)},        {"b", Entry(kFile)},      {"d", Entry(kDirectory)},
                           {"d/e", Entry(kDirectory)}, {"d/e/f", Entry(kFile)},  {"m", Entry(kDirectory)},
                           {"x", Entry(kFile)},        {"y", Entry(kDirectory)}, {"p", Entry(S_IFIFO | 0644)}};
  const Snapshot after = {{"a", Entry(kFile)},      {"b", Entry(kFile, 1)},         {"m", Entry(S_IFDIR | 0700, 1)},
                          {"n", Entry(kDirectory)}, {"n/o", Entry(S_IFLNK | 0777)}, {"x", Entry(kDirectory)},
                          {"y", Entry(kFile)},      {"q", Entry(S_IFSOCK | 0644)}};
  const TreeChanges changes = Compare(before, after);
  BOOST_TEST(changes.removed_files == (Paths{"d/e/f", "x"}), boost::test_tools::per_element());
  BOOST_TEST(changes.removed_directories == (Paths{"y", "d/e", "d"}), boost::test_tools::per_element());
  BOOST_TEST(changes.made_directories == (Paths{"n", "x"}), boost::test_tools::per_element());
  BOOST_TEST(changes.placed == (Paths{"b", "n/o", "y"}), boost::test_tools::per_element());
  BOOST_TEST(changes.modes == Paths{"m"}, boost::test_tools::per_element());
  BOOST_TEST(changes.left_out == Paths{"q"}, boost::test_tools::per_element());
  BOOST_TEST(Compare(after, after).empty());
}

BOOST_AUTO_TEST_CASE(what_somebody_else_changed) {
  const Snapshot before = {{"a", Entry(kFile)}, {"d", Entry(kDirectory)}, {"d/b", Entry(kFile)}};
  TreeChanges changes;
  changes.placed = {"a", "d/new"};
  BOOST_TEST(Conflicts(changes, before, before).empty());
  // The tree's other entries are nobody's matter.
  Snapshot now = before;
  now["other"] = Entry(kFile);
  now["d/b"] = Entry(kFile, 1);
  BOOST_TEST(Conflicts(changes, before, now).empty());
  now["a"] = Entry(kFile, 1);
  now["d/new"] = Entry(kFile);
  BOOST_TEST(Conflicts(changes, before, now) == (Paths{"a", "d/new"}), boost::test_tools::per_element());
  now = {{"a", Entry(kFile)}, {"d", Entry(S_IFLNK | 0777)}};
  BOOST_TEST(Conflicts(changes, before, now) == Paths{"d"}, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()
