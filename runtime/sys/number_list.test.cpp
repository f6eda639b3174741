#include "runtime/sys/number_list.h"

#include <boost/test/unit_test.hpp>

using nucleus::sys::ParseNumberList;

BOOST_AUTO_TEST_SUITE(number_list)

BOOST_AUTO_TEST_CASE(numbers_and_ranges_come_sorted_and_once) {
  const auto numbers = ParseNumberList("7,0-3,2-4");
  const std::vector<unsigned> wanted = {0, 1, 2, 3, 4, 7};
  BOOST_TEST_REQUIRE(numbers.has_value());
  BOOST_TEST(*numbers == wanted, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_CASE(what_is_not_a_list_is_refused) {
  for (const char* text :
       {"", ",", "1,", ",1", "1,,2", "3-1", "-1", "1-", "a", "1 2", "+1", "0-65536", "99999999999"}) {
    BOOST_TEST(!ParseNumberList(text).has_value(), text);
  }
  BOOST_TEST(ParseNumberList("65535").has_value());
}

BOOST_AUTO_TEST_SUITE_END()
