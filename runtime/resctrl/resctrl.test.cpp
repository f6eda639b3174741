// Against a directory that looks like resctrl: few hosts have the hardware.

#include "runtime/resctrl/resctrl.h"

#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/test_directory.h"

namespace nucleus::resctrl {
namespace {

namespace fs = std::filesystem;

// The kernel fills a new group's directory with files; here a group is prepared with them before it is used.
class Tree : public TestDirectory {
 public:
  Tree() {
    Group(top);
  }
  static void Group(const std::string& path, const std::string& schemata = "") {
    fs::create_directories(path + "/mon_groups");
    std::ofstream{path + "/tasks"};
    std::ofstream{path + "/schemata"} << schemata;
  }
  static std::string Text(const std::string& path) {
    std::stringstream text;
    text << std::ifstream{path}.rdbuf();
    return text.str();
  }
};

}  // namespace

BOOST_AUTO_TEST_SUITE(resctrl)

BOOST_AUTO_TEST_CASE(the_mount_is_found) {
  BOOST_TEST(
      FindMount("30 1 0:20 / /proc rw - proc proc rw\n31 1 0:21 / /sys/fs/resctrl rw,nosuid - resctrl resctrl rw\n") ==
      "/sys/fs/resctrl");
  BOOST_TEST(FindMount("30 1 0:20 / /resctrl rw - proc resctrl rw\n").empty());
}

BOOST_AUTO_TEST_CASE(without_resctrl_asking_is_an_error) {
  const auto made = Create("", {.clos_id = "a"}, "c1");
  BOOST_TEST_REQUIRE(!made.has_value());
  BOOST_TEST(made.error().message == "linux.intelRdt: resctrl is not mounted on this host");
}

BOOST_AUTO_TEST_CASE(a_shared_group_is_compared_and_stays) {
  Tree tree;
  Tree::Group(tree.top + "/gold", "    MB:0=100;1=100\n    L3:0=00f;1=0ff\n");
  const auto made =
      Create(tree.top, {.clos_id = "gold", .l3_cache_schema = "L3:0=f;1=ff", .mem_bw_schema = "MB:1=100"}, "c1");
  BOOST_TEST_REQUIRE(made.has_value());
  BOOST_TEST(!made->created);
  BOOST_TEST(Tree::Text(tree.top + "/gold/schemata") == "    MB:0=100;1=100\n    L3:0=00f;1=0ff\n");
  BOOST_TEST(Attach(*made, 42).has_value());
  BOOST_TEST(Tree::Text(tree.top + "/gold/tasks") == "42");
  BOOST_TEST(Remove(*made).has_value());
  BOOST_TEST(fs::exists(tree.top + "/gold"));
}

BOOST_AUTO_TEST_CASE(a_shared_group_that_differs_is_an_error) {
  Tree tree;
  Tree::Group(tree.top + "/gold", "L3:0=f;1=f\n");
  for (const char* schema : {"L3:0=e", "L3:2=f", "L2:0=f", "L3", "L3:0"}) {
    BOOST_TEST(!Create(tree.top, {.clos_id = "gold", .l3_cache_schema = schema}, "c1").has_value(), schema);
  }
  BOOST_TEST(fs::exists(tree.top + "/gold"));
}

BOOST_AUTO_TEST_CASE(the_default_group_is_used_as_it_is) {
  Tree tree;
  const auto made = Create(tree.top, {.clos_id = "/", .enable_monitoring = true}, "c1");
  BOOST_TEST_REQUIRE(made.has_value());
  BOOST_TEST(made->directory == tree.top);
  BOOST_TEST(made->monitor == tree.top + "/mon_groups/c1");
  BOOST_TEST(fs::exists(made->monitor));
  BOOST_TEST(Remove(*made).has_value());
  BOOST_TEST(!fs::exists(made->monitor));
  BOOST_TEST(Remove(*made).has_value());
}

BOOST_AUTO_TEST_CASE(what_cannot_be_filled_is_removed_again) {
  Tree tree;
  // The imitation has no schemata file in a new directory: writing it fails, as for a schema that the kernel refuses.
  BOOST_TEST(!Create(tree.top, {.clos_id = "new", .l3_cache_schema = "L3:0=f"}, "c1").has_value());
  BOOST_TEST(!fs::exists(tree.top + "/new"));
  // No directory for monitoring groups either.
  BOOST_TEST(!Create(tree.top, {.enable_monitoring = true}, "c1").has_value());
  BOOST_TEST(!fs::exists(tree.top + "/c1"));
}

BOOST_AUTO_TEST_CASE(without_a_name_the_group_is_the_containers_own_and_goes_with_it) {
  Tree tree;
  const auto made = Create(tree.top, {}, "c1");
  BOOST_TEST_REQUIRE(made.has_value());
  BOOST_TEST(made->created);
  BOOST_TEST(made->directory == tree.top + "/c1");
  BOOST_TEST(Remove(*made).has_value());
  BOOST_TEST(!fs::exists(tree.top + "/c1"));
}

BOOST_AUTO_TEST_CASE(update_writes_what_is_set_and_can_put_it_back) {
  Tree tree;
  Tree::Group(tree.top + "/c1", "L3:0=f\n");
  const oci::StateResctrl group{.directory = tree.top + "/c1", .created = true};
  auto before = Update(tree.top, group, {.l3_cache_schema = "L3:0=3", .mem_bw_schema = "MB:0=20"});
  BOOST_TEST_REQUIRE(before.has_value());
  BOOST_TEST(*before == "L3:0=f\n");
  BOOST_TEST(Tree::Text(tree.top + "/c1/schemata") == "L3:0=3\nMB:0=20\n");
  // The imitation keeps what lies behind a shorter text.
  BOOST_TEST(Restore(group, *before).has_value());
  BOOST_TEST(Tree::Text(tree.top + "/c1/schemata") == "L3:0=f\nMB:0=20\n");
  before = Update(tree.top, group, {.mem_bw_schema = "MB:0=9"});
  BOOST_TEST_REQUIRE(before.has_value());
  BOOST_TEST(Tree::Text(tree.top + "/c1/schemata").starts_with("MB:0=9\n"));
}

BOOST_AUTO_TEST_CASE(update_leaves_the_hosts_group_alone) {
  Tree tree;
  Tree::Group(tree.top, "L3:0=f\n");
  BOOST_TEST(!Update(tree.top, {.directory = tree.top}, {.l3_cache_schema = "L3:0=3"}).has_value());
  BOOST_TEST(Tree::Text(tree.top + "/schemata") == "L3:0=f\n");
  // A group that has gone.
  BOOST_TEST(!Update(tree.top, {.directory = tree.top + "/gone"}, {.l3_cache_schema = "L3:0=3"}).has_value());
}

BOOST_AUTO_TEST_CASE(all_threads_are_moved) {
  Tree tree;
  Tree::Group(tree.top + "/c1");
  const oci::StateResctrl group{.directory = tree.top + "/c1", .created = true};
  BOOST_TEST(AttachThreads(group, ::getpid()).has_value());
  // The imitation keeps the last one alone: this program has one.
  BOOST_TEST(Tree::Text(tree.top + "/c1/tasks") == std::to_string(::getpid()));
  // A process that has ended.
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  BOOST_TEST(AttachThreads(group, child).has_value());
  BOOST_TEST(!AttachThreads({.directory = tree.top + "/gone"}, ::getpid()).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::resctrl
