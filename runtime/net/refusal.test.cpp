// Refusals as they are told: their names are the container's to choose.

#include "runtime/net/refusal.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::net {
namespace {

std::string Told(std::string_view line) {
  const std::optional<Refusal> refusal = ParseRefusal(line);
  return refusal ? RefusalText(*refusal) : "unreadable";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(refusal)

BOOST_AUTO_TEST_CASE(as_text) {
  BOOST_TEST(Told(R"({"time":"T","protocol":"tcp","source":"s","destination":"192.0.2.1","port":80})") ==
             "T tcp 192.0.2.1 port 80");
  BOOST_TEST(Told(R"({"time":"T","protocol":"icmp","destination":"192.0.2.1","name":"a.b"})") ==
             "T icmp 192.0.2.1 (a.b)");
  BOOST_TEST(Told(R"({"time":"T","name":"a.b","type":"A","reason":"name"})") == "T dns a.b A (name)");
}

BOOST_AUTO_TEST_CASE(control_characters_do_not_reach_the_terminal) {
  BOOST_TEST(Told(R"({"time":"T","name":"a\u001b[2J\nb","type":"A","reason":"name"})") == "T dns a?[2J?b A (name)");
}

BOOST_AUTO_TEST_CASE(what_cannot_be_read) {
  for (const char* line : {"", "{", "[]", R"({"port":-1})", R"({"port":4294967296})", R"({"name":1})"}) {
    BOOST_TEST(Told(line) == "unreadable", line);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::net
