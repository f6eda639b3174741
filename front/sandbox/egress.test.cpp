#include "front/sandbox/egress.h"

#include <boost/test/unit_test.hpp>

using namespace nucleus::front;

BOOST_AUTO_TEST_SUITE(egress)

BOOST_AUTO_TEST_CASE(what_is_allowed_becomes_rules) {
  SandboxOptions options;
  options.allow = {"Example.org:443", "10.0.0.0/8:5432,udp/53,8000-8010", "192.0.2.1", "[2001:db8::/32]:443",
                   "2001:db8::1"};
  options.dns = {"192.0.2.53"};
  const auto document = EgressDocument(options);
  BOOST_REQUIRE(document.has_value());
  BOOST_TEST(*document ==
             "log = true\n"
             "[[allow]]\ndomain = \"Example.org\"\nports = [\"tcp/443\"]\n"
             "[[allow]]\ncidr = \"10.0.0.0/8\"\nports = [\"tcp/5432\", \"udp/53\", \"tcp/8000-8010\"]\n"
             "[[allow]]\ncidr = \"192.0.2.1/32\"\n"
             "[[allow]]\ncidr = \"2001:db8::/32\"\nports = [\"tcp/443\"]\n"
             "[[allow]]\ncidr = \"2001:db8::1/128\"\n"
             "[dns]\nservers = [\"192.0.2.53\"]\n");
}

BOOST_AUTO_TEST_CASE(nothing_is_allowed_by_nothing) {
  BOOST_TEST(EgressDocument({}).value() == "");
}

BOOST_AUTO_TEST_CASE(hostile_words_make_no_document) {
  for (const char* word : {"a\"b", "a\nb", "x]\n[broker", "a\\", "", ":", ":443", "[::1", "[::1]443", "a:b:c",
                           "10.0.0.1/33", "10.0.0.1:0", "a.test:tcp/", "a.test:,", "*", "a..b"}) {
    SandboxOptions options;
    options.allow = {word};
    options.dns = {"192.0.2.53"};
    BOOST_TEST(!EgressDocument(options).has_value(), word);
  }
}

BOOST_AUTO_TEST_CASE(a_broker_is_alone) {
  SandboxOptions options;
  options.broker = "192.0.2.1:3128";
  BOOST_TEST(EgressDocument(options).value() == "log = true\n[broker]\nendpoint = \"192.0.2.1:3128\"\n");
  options.allow = {"192.0.2.1"};
  BOOST_TEST(!EgressDocument(options).has_value());
}

BOOST_AUTO_TEST_SUITE_END()
