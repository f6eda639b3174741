// Whose the container's cgroup is to be.

#include "runtime/plan/cgroup_owner.h"

#include <sched.h>
#include <sys/mount.h>

#include <boost/test/unit_test.hpp>

namespace nucleus::plan {
namespace {

// User 1000 with a cgroup namespace and a writable mount of it.
Plan Writable() {
  Plan plan;
  plan.namespaces.create = CLONE_NEWCGROUP;
  plan.process.emplace();
  plan.process->user.uid = 1000;
  plan.rootfs.mounts.emplace_back(FilesystemMount{.type = "proc", .source = "proc", .target = "/proc", .options = {}});
  plan.rootfs.mounts.emplace_back(CgroupMount{.target = "/sys/fs/cgroup", .options = {}});
  return plan;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(cgroup_owner)

BOOST_AUTO_TEST_CASE(the_processs_user) {
  BOOST_TEST((CgroupOwner(Writable()) == 1000U));
}

BOOST_AUTO_TEST_CASE(nobody_without_each_condition) {
  Plan read_only = Writable();
  std::get<CgroupMount>(read_only.rootfs.mounts[1]).options.set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID;
  BOOST_TEST(!CgroupOwner(read_only).has_value());

  Plan not_mounted = Writable();
  not_mounted.rootfs.mounts.pop_back();
  BOOST_TEST(!CgroupOwner(not_mounted).has_value());

  Plan host_namespace = Writable();
  host_namespace.namespaces.create = CLONE_NEWPID;
  BOOST_TEST(!CgroupOwner(host_namespace).has_value());

  // A joined one's root is a cgroup of somebody else's.
  Plan joined = Writable();
  joined.namespaces.create = 0;
  joined.namespaces.join.push_back({.type = CLONE_NEWCGROUP, .path = "/proc/1/ns/cgroup"});
  BOOST_TEST(!CgroupOwner(joined).has_value());

  Plan without_process = Writable();
  without_process.process.reset();
  BOOST_TEST(!CgroupOwner(without_process).has_value());
}

BOOST_AUTO_TEST_CASE(mapped) {
  Plan plan = Writable();
  plan.namespaces.create |= CLONE_NEWUSER;
  plan.uid_mappings = {{.container_id = 0, .host_id = 100000, .size = 1000},
                       {.container_id = 1000, .host_id = 300000, .size = 5}};
  BOOST_TEST((CgroupOwner(plan) == 300000U));
  plan.process->user.uid = 999;
  BOOST_TEST((CgroupOwner(plan) == 100999U));
  plan.process->user.uid = 1005;
  BOOST_TEST(!CgroupOwner(plan).has_value());

  // Of a joined user namespace the plan knows no mappings.
  Plan joined = Writable();
  joined.namespaces.join.push_back({.type = CLONE_NEWUSER, .path = "/proc/1/ns/user"});
  BOOST_TEST(!CgroupOwner(joined).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::plan
