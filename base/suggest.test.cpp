#include "base/suggest.h"

#include <boost/test/unit_test.hpp>

using nucleus::Nearest;
using nucleus::Suggestion;

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

BOOST_AUTO_TEST_CASE(the_name_alone) {
  const std::vector<std::string_view> names = {"create", "delete", "state", "start"};
  BOOST_TEST(Nearest("craete", names) == "create");
  BOOST_TEST(Nearest("strat", names) == "start");
  BOOST_TEST(Nearest("state", names) == "state");
  BOOST_TEST(Nearest("c", names).empty());
  BOOST_TEST(Nearest("create", {}).empty());
}

BOOST_AUTO_TEST_SUITE_END()
