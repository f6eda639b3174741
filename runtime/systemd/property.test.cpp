// GVariant's text, and the annotations that have it.

#include "runtime/systemd/property.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::systemd {
namespace {

std::string Told(std::string_view text) {
  const Result<Property> value = ParseVariant(text);
  if (!value) {
    return "error: " + value.error().message;
  }
  std::string told = value->signature;
  for (const std::string& item : value->items) {
    told += " <" + item + ">";
  }
  return told;
}

bool IsRefused(std::string_view text) {
  return !ParseVariant(text).has_value();
}

std::string Annotated(const std::string& name, const std::string& value) {
  const auto properties = AnnotatedProperties({{"org.systemd.property." + name, value}});
  if (!properties) {
    return properties.error().message;
  }
  BOOST_REQUIRE(properties->size() == 1U);
  const Property& one = properties->front();
  return one.name + " " + one.signature + " " + one.items.at(0);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(systemd_variant)

BOOST_AUTO_TEST_CASE(single_values) {
  BOOST_TEST(Told("'a b'") == "s <a b>");
  BOOST_TEST(Told("\"it's\"") == "s <it's>");
  BOOST_TEST(Told(R"('a\'b\\c\n')") == "s <a'b\\c\n>");
  BOOST_TEST(Told("true") == "b <true>");
  BOOST_TEST(Told("false") == "b <false>");
  BOOST_TEST(Told("boolean true") == "b <true>");
  BOOST_TEST(Told("5") == "i <5>");
  BOOST_TEST(Told("-5") == "i <-5>");
  BOOST_TEST(Told("+5") == "i <5>");
  BOOST_TEST(Told(" uint64   123456789 ") == "t <123456789>");
  BOOST_TEST(Told("@t 7") == "t <7>");
  BOOST_TEST(Told("uint64 0x10") == "t <16>");
  BOOST_TEST(Told("int32 010") == "i <8>");
  BOOST_TEST(Told("byte 255") == "y <255>");
  BOOST_TEST(Told("int16 -32768") == "n <-32768>");
  BOOST_TEST(Told("uint16 65535") == "q <65535>");
  BOOST_TEST(Told("uint32 4294967295") == "u <4294967295>");
  BOOST_TEST(Told("int64 -9223372036854775808") == "x <-9223372036854775808>");
  BOOST_TEST(Told("uint64 18446744073709551615") == "t <18446744073709551615>");
  BOOST_TEST(Told("1.5") == "d <1.5>");
  BOOST_TEST(Told("double 2") == "d <2>");
  BOOST_TEST(Told("objectpath '/a'") == "o </a>");
}

BOOST_AUTO_TEST_CASE(arrays) {
  BOOST_TEST(Told("['a', 'b']") == "as <a> <b>");
  BOOST_TEST(Told("[ 1,2 , 3 ]") == "ai <1> <2> <3>");
  BOOST_TEST(Told("[uint32 1, 2]") == "au <1> <2>");
  BOOST_TEST(Told("@as []") == "as");
  BOOST_TEST(Told("@ay [1, 255]") == "ay <1> <255>");
  BOOST_TEST(Told("[true, false]") == "ab <true> <false>");
}

BOOST_AUTO_TEST_CASE(refusals) {
  for (const std::string_view text : {"",
                                      " ",
                                      "inactive",
                                      "'a",
                                      "\"a'",
                                      "'a\\",
                                      "'a' b",
                                      "[1",
                                      "[1 2]",
                                      "[,]",
                                      "[1,]",
                                      "[]",
                                      "[1, 'a']",
                                      "['a', true]",
                                      "[uint32 1, int32 2]",
                                      "uint64 -1",
                                      "byte 256",
                                      "int32 2147483648",
                                      "-2147483649",
                                      "uint64 18446744073709551616",
                                      "uint64 'a'",
                                      "boolean 1",
                                      "1x",
                                      "0x",
                                      "1.5.2",
                                      "nan",
                                      "inf",
                                      "1e999",
                                      "@",
                                      "@ai 1",
                                      "@(ss) ('a','b')",
                                      "@a{sv} {}",
                                      "('a', 'b')",
                                      "<1>",
                                      "{'a': 1}",
                                      "[[1]]",
                                      "@v <1>",
                                      "uint64",
                                      "'\\u0041'",
                                      "handle 1"}) {
    BOOST_TEST(IsRefused(text), text << ": " << Told(text));
  }
  using namespace std::string_view_literals;
  BOOST_TEST(IsRefused("'a\0b'"sv));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(systemd_annotations)

BOOST_AUTO_TEST_CASE(as_they_are) {
  BOOST_TEST(Annotated("TimeoutStopUSec", "uint64 123456789") == "TimeoutStopUSec t 123456789");
  BOOST_TEST(Annotated("CollectMode", "'inactive-or-failed'") == "CollectMode s inactive-or-failed");
  BOOST_TEST(Annotated("CPUQuotaPerSecUSec", "uint64 5") == "CPUQuotaPerSecUSec t 5");
}

BOOST_AUTO_TEST_CASE(seconds) {
  BOOST_TEST(Annotated("TimeoutStopSec", "5") == "TimeoutStopUSec t 5000000");
  BOOST_TEST(Annotated("RuntimeMaxSec", "uint64 7200") == "RuntimeMaxUSec t 7200000000");
  BOOST_TEST(Annotated("RuntimeMaxSec", "1.5") == "RuntimeMaxUSec t 1500000");
  for (const char* value : {"'5'", "-5", "true", "[5]", "uint64 18446744073709551615", "-0.5", "1e300"}) {
    BOOST_TEST(Annotated("TimeoutStopSec", value).starts_with("annotations[\"org.systemd.property.TimeoutStopSec\"]: "),
               value);
  }
}

BOOST_AUTO_TEST_CASE(names) {
  for (const char* name : {"", "Ab", "A_b", "Abc1", "Slice", "PIDs", "Delegate", "PIDFDs", "ControlGroup", "Abc "}) {
    BOOST_TEST(Annotated(name, "true").starts_with("annotations[\"org.systemd.property."), name);
  }
}

BOOST_AUTO_TEST_CASE(others_are_left_alone) {
  const auto properties = AnnotatedProperties({{"org.systemd.propertyX", "?"}, {"a", "b"}, {"org.systemd", "c"}});
  BOOST_REQUIRE(properties.has_value());
  BOOST_TEST(properties->empty());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::systemd
