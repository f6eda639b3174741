#include "front/commands/detach_keys.h"

#include <boost/test/unit_test.hpp>

using namespace nucleus;  // NOLINT(google-build-using-namespace): a test

BOOST_AUTO_TEST_SUITE(detach_keys)

BOOST_AUTO_TEST_CASE(names) {
  BOOST_TEST(front::ParseDetachKeys("ctrl-p,ctrl-q").value() == "\x10\x11");
  BOOST_TEST(front::ParseDetachKeys("a,ctrl-[,Z").value() == "a\x1bZ");
  BOOST_TEST(front::ParseDetachKeys("").value().empty());
  for (const char* bad : {"ctrl-", "ctrl-1", "ab", "ctrl-pp", "a,,b", ","}) {
    BOOST_TEST(!front::ParseDetachKeys(bad).has_value());
  }
}

BOOST_AUTO_TEST_CASE(in_what_is_typed) {
  front::DetachKeys keys{"aab"};
  std::string pass;
  BOOST_TEST(!keys.Feed("xa", pass));
  BOOST_TEST(pass == "x");
  BOOST_TEST(!keys.Feed("aa", pass));  // the first of three goes on: the last two may begin the keys
  BOOST_TEST(pass == "xa");
  BOOST_TEST(!keys.Feed("c", pass));
  BOOST_TEST(pass == "xaaac");
  BOOST_TEST(keys.Feed("aaab", pass));
  BOOST_TEST(pass == "xaaaca");
  front::DetachKeys none{""};
  pass.clear();
  BOOST_TEST(!none.Feed("\x10\x11", pass));
  BOOST_TEST(pass == "\x10\x11");
}

BOOST_AUTO_TEST_SUITE_END()
