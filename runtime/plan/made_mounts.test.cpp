// A closure's mounts and that of credentials, and where they cannot be had.

#include "runtime/plan/made_mounts.h"

#include <sched.h>
#include <sys/mount.h>

#include <boost/test/unit_test.hpp>

namespace nucleus::plan {
namespace {

struct Scene {
  policies::Policies policies;
  Options options{.id = "box", .credentials_directory = "/run/credentials/box.service"};
  Host host;
  Plan plan;
  Scene() {
    plan.namespaces.create = CLONE_NEWNS;
    plan.process.emplace();
    plan.process->env = {"A=b", "CREDENTIALS_DIRECTORY=/other"};
    options.annotations.credentials = "/run/credentials";
    policies.rootfs_closure.emplace();
    policies.closure = {"/s/a", "/s/b"};
  }
  std::string Closure() {
    const Result<> planned = PlanClosure(host, policies, plan);
    return planned ? "" : planned.error().message;
  }
  std::string Credentials() {
    const Result<> planned = PlanCredentials(options, host, plan);
    return planned ? "" : planned.error().message;
  }
};

const std::string kClosure = "annotations[\"dev.nucleus.rootfs.closure\"]: ";
const std::string kCredentials = "annotations[\"dev.nucleus.credentials\"]: ";

}  // namespace

BOOST_AUTO_TEST_SUITE(made_mounts)

BOOST_AUTO_TEST_CASE(each_path_where_it_lies) {
  Scene scene;
  BOOST_TEST(scene.Closure() == "");
  BOOST_REQUIRE(scene.plan.rootfs.mounts.size() == 2U);
  const auto& mount = std::get<BindMount>(scene.plan.rootfs.mounts[1]);
  BOOST_TEST(mount.source == "/s/b");
  BOOST_TEST(mount.target == "/s/b");
  BOOST_TEST(!mount.recursive);
  BOOST_TEST(mount.options.set == (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
  BOOST_TEST((mount.made == BindMount::Made::kClosure));
}

BOOST_AUTO_TEST_CASE(only_what_is_listed_and_asked_for) {
  Scene scene;
  scene.policies.rootfs_closure.reset();
  scene.options.annotations.credentials.clear();
  BOOST_TEST(scene.Closure() == "");
  BOOST_TEST(scene.Credentials() == "");
  BOOST_TEST(scene.plan.rootfs.mounts.empty());
  BOOST_TEST(scene.plan.process->env.size() == 2U);
}

BOOST_AUTO_TEST_CASE(a_mount_that_would_be_hidden) {
  for (const char* target : {"/s/a", "/s/a/x"}) {
    Scene scene;
    scene.plan.rootfs.mounts.emplace_back(
        FilesystemMount{.type = "tmpfs", .source = "", .target = target, .options = {}});
    BOOST_TEST(scene.Closure() == std::string{"mounts[0].destination: "} + target + " lies in /s/a of the closure");
  }
  Scene beside;
  for (const char* target : {"/s", "/s/ab", "/s/c"}) {
    beside.plan.rootfs.mounts.emplace_back(
        FilesystemMount{.type = "tmpfs", .source = "", .target = target, .options = {}});
  }
  BOOST_TEST(beside.Closure() == "");
}

BOOST_AUTO_TEST_CASE(credentials_and_their_variable) {
  Scene scene;
  BOOST_TEST(scene.Credentials() == "");
  BOOST_REQUIRE(scene.plan.rootfs.mounts.size() == 1U);
  const auto& mount = std::get<BindMount>(scene.plan.rootfs.mounts[0]);
  BOOST_TEST(mount.source == "/run/credentials/box.service");
  BOOST_TEST(mount.target == "/run/credentials");
  BOOST_TEST((mount.options.set & MOUNT_ATTR_RDONLY) != 0U);
  const std::vector<std::string> env = {"A=b", "CREDENTIALS_DIRECTORY=/run/credentials"};
  BOOST_TEST(scene.plan.process->env == env, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(where_they_cannot_be_had) {
  Scene none;
  none.options.credentials_directory.clear();
  BOOST_TEST(none.Credentials() == kCredentials + "the runtime was given none: CREDENTIALS_DIRECTORY is not set");
  Scene no_mounts;
  no_mounts.plan.namespaces.create = 0;
  BOOST_TEST(no_mounts.Closure() == kClosure + "needs a new mount namespace in linux.namespaces");
  BOOST_TEST(no_mounts.Credentials() ==
             kCredentials + "needs a process, and a new mount namespace in linux.namespaces");
  Scene user;
  user.host.euid = 1000;
  BOOST_TEST(user.Closure() == kClosure + "takes the host's root");
  BOOST_TEST(user.Credentials() == kCredentials + "takes the host's root");
  Scene joined;
  joined.plan.namespaces.join.push_back({.type = CLONE_NEWUSER, .path = "/proc/1/ns/user"});
  BOOST_TEST(joined.Credentials() ==
             kCredentials + "not in a user namespace that is joined: whose files they are is not known");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::plan
