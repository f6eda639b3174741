#include "front/sandbox/suggest.h"

#include <boost/test/unit_test.hpp>

using nucleus::front::Suggestion;

BOOST_AUTO_TEST_SUITE(suggest)

BOOST_AUTO_TEST_CASE(nearest_of_the_names) {
  const std::vector<std::string_view> names = {"memory", "mount-config", "env", "env-fd"};
  BOOST_TEST(Suggestion("memroy", names, "--") == ", did you mean --memory?");
  BOOST_TEST(Suggestion("mount_config", names) == ", did you mean mount-config?");
  BOOST_TEST(Suggestion("enf", names) == ", did you mean env?");
  BOOST_TEST(Suggestion("xyzzy", names).empty());
  BOOST_TEST(Suggestion("", names).empty());
  BOOST_TEST(Suggestion(std::string(1000, 'm'), names).empty());
}

BOOST_AUTO_TEST_SUITE_END()
