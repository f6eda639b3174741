// What is read back of this very process.

#include "runtime/evidence/readback.h"

#include <sys/resource.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>

#include "runtime/sys/syscalls.h"

namespace nucleus::evidence {

BOOST_AUTO_TEST_SUITE(readback)

BOOST_AUTO_TEST_CASE(namespaces_by_the_pidfd_and_by_name) {
  const Fd pidfd = sys::PidfdOpen(::getpid()).value();
  oci::StringMap with;
  oci::StringMap without;
  ReadNamespaces(::getpid(), pidfd.get(), with);
  ReadNamespaces(::getpid(), -1, without);
  BOOST_TEST(with.contains("namespace.mnt"));
  BOOST_TEST(with.contains("uid-map"));
  BOOST_TEST((with == without));
}

BOOST_AUTO_TEST_CASE(status_line_by_line) {
  oci::StringMap out;
  ReadStatus(
      "Name:\tUid:\t7\nUmask:\t0022\nUid:\t0\t1\t2\t3\nGid:\t\nCapBnd:\t00\nNoNewPrivs:\t1\nSeccomp:\t2\n"
      "Seccomp_filters:\t1",
      out);
  const oci::StringMap wanted = {{"uid", "0 1 2 3"},
                                 {"capabilities.bounding", "00"},
                                 {"no-new-privileges", "1"},
                                 {"seccomp.mode", "2"},
                                 {"seccomp.filters", "1"}};
  BOOST_TEST((out == wanted));
  out.clear();
  ReadStatus("", out);
  ReadStatus("\n\nUid", out);
  BOOST_TEST(out.empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::evidence
