#include "policies/closure.h"

#include <boost/test/unit_test.hpp>

using nucleus::policies::ParseClosure;

BOOST_AUTO_TEST_SUITE(closure)

BOOST_AUTO_TEST_CASE(a_path_a_line) {
  const auto paths = ParseClosure("/s/a\n/s/a-b\n/s/b c\n", "list");
  BOOST_REQUIRE(paths.has_value());
  BOOST_TEST(paths->size() == 3U);
  BOOST_TEST(paths->at(2) == "/s/b c");
  BOOST_TEST(ParseClosure("", "list").value().empty());
}

BOOST_AUTO_TEST_CASE(all_else_is_refused) {
  const auto message = [](std::string_view text) { return ParseClosure(text, "list").error().message; };
  BOOST_TEST(message("/s/a\n\n") == "list: line 2: must be an absolute path, and not /");
  BOOST_TEST(message("/\n") == "list: line 1: must be an absolute path, and not /");
  BOOST_TEST(message("s/a\n") == "list: line 1: must be an absolute path, and not /");
  BOOST_TEST(message("/s/a") == "list: line 1: the line has no end");
  for (const char* text : {"/s//a\n", "/s/../a\n", "/s/./a\n", "/s/\n"}) {
    BOOST_TEST(message(text) == "list: line 1: the path has a component that is empty, \".\" or \"..\"");
  }
  BOOST_TEST(message("/s/a\tb\n") == "list: line 1: the path has a control character");
  BOOST_TEST(message("/s/b\n/s/a\n") == "list: line 2: the paths are not sorted");
  BOOST_TEST(message("/s/b\n/s/b\n") == "list: line 2: the path is there twice");
  BOOST_TEST(message("/s/a\n/s/a-b\n/s/a/b/c\n") == "list: line 3: the path lies in /s/a, which is in the list");
}

BOOST_AUTO_TEST_SUITE_END()
