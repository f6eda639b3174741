#include "runtime/container/host.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::container {

BOOST_AUTO_TEST_SUITE(host_facts)

BOOST_AUTO_TEST_CASE(lockdown_is_the_word_in_brackets) {
  BOOST_TEST(LockdownIn("[none] integrity confidentiality\n") == "none");
  BOOST_TEST(LockdownIn("none [integrity] confidentiality\n") == "integrity");
  BOOST_TEST(LockdownIn("none integrity [confidentiality]\n") == "confidentiality");
  BOOST_TEST(LockdownIn("none integrity confidentiality\n") == "");
  BOOST_TEST(LockdownIn("]none[\n") == "");
  BOOST_TEST(LockdownIn("") == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::container
