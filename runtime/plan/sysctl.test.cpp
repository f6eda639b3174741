// Which sysctls a container may set.

#include "runtime/plan/sysctl.h"

#include <sched.h>

#include <boost/test/unit_test.hpp>

namespace nucleus::plan {

BOOST_AUTO_TEST_SUITE(sysctl)

BOOST_AUTO_TEST_CASE(namespaced) {
  for (const char* key : {"kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.msg_next_id", "kernel.sem",
                          "kernel.sem_next_id", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_next_id",
                          "kernel.shm_rmid_forced", "fs.mqueue.msg_max", "kernel/shmmax", "fs/mqueue/queues_max"}) {
    BOOST_TEST(SysctlNamespace(key) == CLONE_NEWIPC, key);
  }
  for (const char* key : {"net.ipv4.ip_forward", "net/ipv4/ip_forward", "net.ipv4.conf.eth0/1.forwarding",
                          "net/ipv4/conf/eth0.1/forwarding", "net.core.somaxconn"}) {
    BOOST_TEST(SysctlNamespace(key) == CLONE_NEWNET, key);
  }
  for (const char* key : {"kernel.hostname", "kernel.domainname", "kernel/hostname"}) {
    BOOST_TEST(SysctlNamespace(key) == CLONE_NEWUTS, key);
  }
}

BOOST_AUTO_TEST_CASE(of_the_whole_host) {
  for (const char* key : {"", "net", "kernel", "kernel.core_pattern", "kernel.shmmax2", "kernel.sem.x", "vm.overcommit",
                          "fs.mqueue", "fs.file-max", "kernel.ns_last_pid", "user.max_user_namespaces", "netx.a",
                          "abi.vsyscall32", "KERNEL.HOSTNAME", " net.a", "kernel.hostname "}) {
    BOOST_TEST(SysctlNamespace(key) == 0, key);
  }
}

// What is written must be what was checked: no way around through a parent directory in either spelling.
BOOST_AUTO_TEST_CASE(no_way_out) {
  for (const char* key : {"net/../kernel/core_pattern", "net.//.kernel.core_pattern", "net...kernel.core_pattern",
                          "net/..", "net.//", "net/./x", "net./.x", "net//x", "net..x", "net/", "net.", "/net/x",
                          ".net.x", "fs/mqueue/../file-max", "fs.mqueue.//.file-max", "../net/x",
                          "net/ipv4/../../kernel/core_pattern", "net.ipv4.//.//.kernel.core_pattern"}) {
    BOOST_TEST(SysctlNamespace(key) == 0, key);
    BOOST_TEST(SysctlPath(key).empty(), key);
  }
}

BOOST_AUTO_TEST_CASE(paths) {
  BOOST_TEST(SysctlPath("net.ipv4.ip_forward") == "net/ipv4/ip_forward");
  BOOST_TEST(SysctlPath("net/ipv4/ip_forward") == "net/ipv4/ip_forward");
  BOOST_TEST(SysctlPath("net.ipv4.conf.eth0/1.forwarding") == "net/ipv4/conf/eth0.1/forwarding");
  BOOST_TEST(SysctlPath("net/ipv4/conf/eth0.1/forwarding") == "net/ipv4/conf/eth0.1/forwarding");
  BOOST_TEST(SysctlPath("net.ipv4.conf.a//b.x") == "net/ipv4/conf/a..b/x");
  BOOST_TEST(SysctlPath("abc") == "abc");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::plan
