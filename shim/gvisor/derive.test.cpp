#include "shim/gvisor/derive.h"

#include <linux/capability.h>

#include <boost/test/unit_test.hpp>

namespace nucleus::gvisor {

namespace {
constexpr std::uint64_t kKill = 1U << CAP_KILL;
constexpr std::uint64_t kChown = 1U << CAP_CHOWN;
constexpr std::uint64_t kRaw = 1U << CAP_NET_RAW;

confine::Confinement As(uid_t uid, confine::CapabilitySets sets, bool no_new_privileges = false) {
  confine::Confinement confinement;
  confinement.uid = uid;
  confinement.capabilities = sets;
  confinement.no_new_privileges = no_new_privileges;
  return confinement;
}
}  // namespace

BOOST_AUTO_TEST_SUITE(gvisor_capabilities)

BOOST_AUTO_TEST_CASE(a_user_keeps_the_ambient_ones_alone) {
  const confine::CapabilitySets sets = AfterExecve(As(1000, {.bounding = kKill | kChown | kRaw,
                                                             .effective = kKill | kChown,
                                                             .inheritable = kKill | kRaw,
                                                             .permitted = kKill | kChown,
                                                             .ambient = kKill | kChown | kRaw}));
  BOOST_TEST(sets.ambient == kKill);
  BOOST_TEST(sets.permitted == kKill);
  BOOST_TEST(sets.effective == kKill);
  BOOST_TEST(sets.bounding == (kKill | kChown | kRaw));
  BOOST_TEST(sets.inheritable == (kKill | kRaw));
}

BOOST_AUTO_TEST_CASE(root_has_what_its_bounding_set_lets_it_have) {
  const confine::CapabilitySets sets =
      AfterExecve(As(0, {.bounding = kKill | kChown, .effective = 0, .inheritable = kRaw, .permitted = kKill}));
  BOOST_TEST(sets.permitted == (kKill | kChown | kRaw));
  BOOST_TEST(sets.effective == (kKill | kChown | kRaw));
}

BOOST_AUTO_TEST_CASE(root_without_new_privileges_has_no_more_than_before) {
  const confine::CapabilitySets sets =
      AfterExecve(As(0, {.bounding = kKill | kChown, .effective = 0, .inheritable = kRaw, .permitted = kKill}, true));
  BOOST_TEST(sets.permitted == kKill);
  BOOST_TEST(sets.effective == kKill);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::gvisor
