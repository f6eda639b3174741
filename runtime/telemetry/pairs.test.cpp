#include "runtime/telemetry/pairs.h"

#include <boost/test/unit_test.hpp>

using namespace nucleus::telemetry;

BOOST_AUTO_TEST_SUITE(telemetry_pairs)

BOOST_AUTO_TEST_CASE(members) {
  const auto pairs = ParsePairs("service.name=shop, region = eu%2Dwest ,,empty=,equals=a=b,note=%C3%A4%20%2c");
  BOOST_REQUIRE(pairs);
  const Pairs expected = {
      {"service.name", "shop"}, {"region", "eu-west"}, {"empty", ""}, {"equals", "a=b"}, {"note", "\xc3\xa4 ,"}};
  BOOST_TEST((*pairs == expected));
  BOOST_TEST(ParsePairs("")->empty());
  BOOST_TEST(ParsePairs(" , ,")->empty());
}

BOOST_AUTO_TEST_CASE(what_is_wrong_is_said_without_the_value) {
  BOOST_TEST(ParsePairs("a=1,secret").error().message == "member 2 is not NAME=VALUE");
  BOOST_TEST(ParsePairs("=secret").error().message == "member 1 is not NAME=VALUE");
  for (const char* text : {"a=%", "a=%2", "a=%2g", "a=secret%-1", "%zz=1", "a=% 1"}) {
    BOOST_TEST(ParsePairs(text).error().message == "member 1 has a % without two hex digits", text);
  }
}

BOOST_AUTO_TEST_SUITE_END()
