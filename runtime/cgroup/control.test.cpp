// Who is in a container's cgroups, and removing them, whatever the workload made there. Plain directories stand in for
// cgroups.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "base/test_directory.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/walk.h"

namespace nucleus::cgroup {
namespace {

namespace fs = std::filesystem;

class Directory : private TestDirectory {
 public:
  ~Directory() {
    // Too deep for a recursion over paths.
    (void)Remove({{.hierarchy = "x", .path = top, .created = true}});
  }
  void Add(const std::string& file, const std::string& content) const {
    fs::create_directories(fs::path{top + "/" + file}.parent_path());
    std::ofstream{top + "/" + file} << content;
  }
  // A chain of directories, made as a workload would: step by step. The descriptor of the last.
  [[nodiscard]] Fd Chain(int levels, const std::string& name) const {
    Fd current{::open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    for (int i = 0; i < levels; ++i) {
      BOOST_REQUIRE(::mkdirat(current.get(), name.c_str(), 0755) == 0);
      current = Fd{::openat(current.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
      BOOST_REQUIRE(current.valid());
    }
    return current;
  }
  [[nodiscard]] std::vector<oci::StateCgroup> cgroups(const std::string& hierarchy = "freezer") const {
    return {{.hierarchy = hierarchy, .path = top, .created = true}};
  }
  [[nodiscard]] const std::string& path() const {
    return top;
  }
};

using Pids = std::vector<pid_t>;

}  // namespace

BOOST_AUTO_TEST_SUITE(cgroup_processes)

BOOST_AUTO_TEST_CASE(of_all_below_once_and_sorted) {
  const Directory top;
  top.Add("cgroup.procs", "30\n4\n");
  top.Add("a/cgroup.procs", "100\n30\n");
  top.Add("a/b/.c/cgroup.procs", "7\n");
  top.Add("..d/cgroup.procs", "8\n");
  top.Add("empty/cgroup.procs", "");
  fs::create_directory(top.path() + "/without");
  BOOST_TEST(Processes(top.cgroups()).value() == (Pids{4, 7, 8, 30, 100}), boost::test_tools::per_element());
  BOOST_TEST(Processes({}).value().empty());
  BOOST_TEST(Processes({{.hierarchy = "", .path = "/nonexistent/cgroup"}}).value().empty());
}

// Links lead nowhere: a cgroup filesystem has none, and a directory that only looks like one must not lead out.
BOOST_AUTO_TEST_CASE(links_are_not_followed) {
  const Directory top;
  const Directory other;
  top.Add("cgroup.procs", "1\n");
  other.Add("cgroup.procs", "2\n");
  fs::create_directory_symlink(other.path(), top.path() + "/link");
  BOOST_TEST(Processes(top.cgroups()).value() == Pids{1}, boost::test_tools::per_element());
}

// Deeper than a path may be long, and than a process may have descriptors.
BOOST_AUTO_TEST_CASE(deep_trees) {
  const Directory top;
  constexpr int kLevels = 3000;
  {
    const Fd last = top.Chain(kLevels, "deep");
    const Fd file{::openat(last.get(), "cgroup.procs", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)};
    BOOST_REQUIRE(WriteAll(file.get(), "12345\n", "procs").has_value());
  }
  BOOST_TEST(Processes(top.cgroups()).value() == Pids{12345}, boost::test_tools::per_element());
  // Only an empty directory of this filesystem can be removed.
  int entered = 0;
  BOOST_TEST(Walk(
                 top.path(),
                 [&entered](int directory) -> Result<> {
                   ++entered;
                   ::unlinkat(directory, "cgroup.procs", 0);
                   return {};
                 },
                 [](int, const std::string&) {})
                 .has_value());
  BOOST_TEST(entered == kLevels + 1);
  BOOST_TEST(Remove(top.cgroups()).has_value());
  BOOST_TEST(!fs::exists(top.path()));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cgroup_removal)

BOOST_AUTO_TEST_CASE(only_what_was_made) {
  const Directory made;
  const Directory joined;
  fs::create_directories(made.path() + "/a/b/c");
  fs::create_directories(made.path() + "/a/.d");
  BOOST_TEST(Remove({{.hierarchy = "x", .path = made.path(), .created = true},
                     {.hierarchy = "y", .path = joined.path(), .created = false}})
                 .has_value());
  BOOST_TEST(!fs::exists(made.path()));
  BOOST_TEST(fs::exists(joined.path()));
  // Gone already.
  BOOST_TEST(Remove(made.cgroups()).has_value());
}

BOOST_AUTO_TEST_CASE(what_stays_busy_is_an_error_and_the_rest_goes) {
  const Directory busy;
  const Directory other;
  busy.Add("a/file", "");
  const Result<> removed = Remove({{.hierarchy = "x", .path = busy.path(), .created = true},
                                   {.hierarchy = "y", .path = other.path(), .created = true}});
  BOOST_REQUIRE(!removed.has_value());
  BOOST_TEST(removed.error().message == "container's cgroup is not empty: " + busy.path());
  BOOST_TEST(!fs::exists(other.path()));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cgroup_making)

BOOST_AUTO_TEST_CASE(v1_with_parents_and_cpusets) {
  const Directory mount;
  const Host host{.hierarchies = {{.name = "memory",
                                   .controllers = {"memory"},
                                   .mount_point = mount.path(),
                                   .mount_root = "/",
                                   .own_path = "/"}}};
  std::vector<oci::StateCgroup> cgroups = {{.hierarchy = "memory", .path = mount.path() + "/a/b/c"}};
  BOOST_REQUIRE(Create(host, cgroups, true).has_value());
  BOOST_TEST(fs::is_directory(mount.path() + "/a/b/c"));
  BOOST_TEST(cgroups[0].created);
  // The second container of the same place has not made it.
  std::vector<oci::StateCgroup> again = {{.hierarchy = "memory", .path = mount.path() + "/a/b/c"}};
  BOOST_REQUIRE(Create(host, again, true).has_value());
  BOOST_TEST(!again[0].created);
  std::vector<oci::StateCgroup> unknown = {{.hierarchy = "pids", .path = mount.path() + "/x"}};
  BOOST_TEST(Create(host, unknown, true).error().message == "cgroup hierarchy \"pids\" is not mounted");
}

BOOST_AUTO_TEST_CASE(an_error_takes_back_what_was_made) {
  const Directory mount;
  mount.Add("file", "");
  const auto hierarchy = [&mount](const char* name) {
    return Hierarchy{.name = name, .controllers = {}, .mount_point = mount.path(), .mount_root = "/", .own_path = "/"};
  };
  const Host host{.hierarchies = {hierarchy("one"), hierarchy("two")}};
  std::vector<oci::StateCgroup> cgroups = {{.hierarchy = "one", .path = mount.path() + "/a/b"},
                                           {.hierarchy = "two", .path = mount.path() + "/file/b"}};
  const Result<> created = Create(host, cgroups, true);
  BOOST_REQUIRE(!created.has_value());
  BOOST_TEST(created.error().code == ENOTDIR);
  BOOST_TEST(!fs::exists(mount.path() + "/a"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(cgroup_state)

BOOST_AUTO_TEST_CASE(frozen) {
  const Directory v1;
  v1.Add("freezer.state", "FROZEN\n");
  BOOST_TEST(IsFrozen(v1.cgroups()).value());
  v1.Add("freezer.state", "FREEZING\n");
  BOOST_TEST(IsFrozen(v1.cgroups()).value());
  v1.Add("freezer.state", "THAWED\n");
  BOOST_TEST(!IsFrozen(v1.cgroups()).value());
  const Directory v2;
  v2.Add("cgroup.freeze", "1\n");
  BOOST_TEST(IsFrozen(v2.cgroups("")).value());
  v2.Add("cgroup.freeze", "0\n");
  BOOST_TEST(!IsFrozen(v2.cgroups("")).value());
  BOOST_TEST(!IsFrozen({}).value());
  BOOST_TEST(Freeze({}).error().message == "no freezer: neither the v1 controller nor cgroup v2 is mounted");
}

BOOST_AUTO_TEST_CASE(killed_for_want_of_memory) {
  const Directory v1;
  v1.Add("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
  BOOST_TEST(!WasOomKilled(v1.cgroups("memory")).value());
  v1.Add("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 12\n");
  BOOST_TEST(WasOomKilled(v1.cgroups("memory")).value());
  const Directory v2;
  v2.Add("memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 0\noom_group_kill 0\n");
  BOOST_TEST(!WasOomKilled(v2.cgroups("")).value());
  v2.Add("memory.events", "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n");
  BOOST_TEST(WasOomKilled(v2.cgroups("")).value());
  BOOST_TEST(!WasOomKilled({}).value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::cgroup
