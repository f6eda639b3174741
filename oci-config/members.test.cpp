#include "oci-config/members.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::oci {

BOOST_AUTO_TEST_SUITE(members)

BOOST_AUTO_TEST_CASE(a_number_and_names) {
  const Members alone = ParseMembers("32768").value();
  BOOST_TEST(alone.number == 32768U);
  BOOST_TEST(alone.others.empty());
  const Members some = ParseMembers("40001,web=40001,db-1.back_end=65533").value();
  BOOST_TEST(some.number == 40001U);
  BOOST_REQUIRE(some.others.size() == 2U);
  BOOST_TEST(some.others[1].name == "db-1.back_end");
  BOOST_TEST(some.others[1].number == 65533U);
}

BOOST_AUTO_TEST_CASE(what_is_malformed_is_refused) {
  for (const char* text : {"", "web", "1", "32767", "65534", "040001x", "40001,", "40001,,", "40001,web",
                           "40001,=40002", "40001,Web=40002", "40001,web.=40002", "40001,.web=40002", "40001,a b=40002",
                           "40001,web=2", "40001,web=40002,web=40003", "web=40001"}) {
    BOOST_TEST(!ParseMembers(text).has_value(), text);
  }
  std::string many = "40001";
  for (int i = 0; i < 257; ++i) {
    many += ",m" + std::to_string(i) + "=40002";
  }
  BOOST_TEST(!ParseMembers(many).has_value());
  BOOST_TEST(!ParseMembers("40001," + std::string(64, 'a') + "=40002").has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::oci
