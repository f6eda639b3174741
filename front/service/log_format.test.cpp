#include "front/service/log_format.h"

#include <boost/test/unit_test.hpp>
#include <vector>

using namespace nucleus;  // NOLINT(google-build-using-namespace): a test

BOOST_AUTO_TEST_SUITE(log_format)

BOOST_AUTO_TEST_CASE(any_bytes_come_back) {
  std::string all;
  for (int i = 0; i < 256; ++i) {
    all += static_cast<char>(i);
  }
  for (const std::string& bytes : {all, std::string{}, std::string{"plain"}, std::string{R"(\x41 \\x41 \x \\)"},
                                   std::string{"\xe2\x82\xac \xe2\x82"}, std::string{"\xc2\x9b[31m"},
                                   std::string{"\xed\xa0\x80"}, std::string{"\t\r\n\0end", 7}}) {
    const std::string text = front::EscapeLog(bytes);
    BOOST_TEST(front::UnescapeLog(text) == bytes);
    for (const char c : text) {
      const auto byte = static_cast<unsigned char>(c);
      BOOST_TEST((byte == '\t' || (byte >= 0x20 && byte != 0x7f)));
    }
    BOOST_TEST(text.find("\xc2\x9b") == std::string::npos);
  }
  BOOST_TEST(front::EscapeLog("a\tb€") == "a\tb€");
  BOOST_TEST(front::EscapeLog("\x1b[m\\x") == R"(\x1b[m\x5cx)");
}

BOOST_AUTO_TEST_CASE(records) {
  const timespec time{.tv_sec = 1700000000, .tv_nsec = 5};
  const std::string line = front::FormatRecord(time, front::Stream::kErr, false, "a b\n");
  BOOST_TEST(line == "2023-11-14T22:13:20.000000005Z stderr P a b\\x0a\n");
  const auto record = front::ParseRecord(std::string_view{line}.substr(0, line.size() - 1));
  BOOST_REQUIRE(record.has_value());
  BOOST_TEST(record->time == "2023-11-14T22:13:20.000000005Z");
  BOOST_TEST((record->stream == front::Stream::kErr));
  BOOST_TEST(!record->whole);
  BOOST_TEST(record->text == "a b\\x0a");
  for (const char* bad : {"", "x", "T stdout", "T stdout F", "T other F x", "T stdout X x", "T stdout FF x"}) {
    BOOST_TEST(!front::ParseRecord(bad).has_value());
  }
  BOOST_TEST(front::ParseRecord("T nucleus F ")->text.empty());
}

BOOST_AUTO_TEST_CASE(a_terminal_gets_colours_alone) {
  const auto shown = [](std::string_view bytes) { return front::ForTerminal(front::EscapeLog(bytes), true); };
  BOOST_TEST(shown("\x1b[1;31mred") == "\x1b[1;31mred\x1b[0m");
  BOOST_TEST(shown("\x1b[2Jx\x1b]0;t\x07") == R"(\x1b[2Jx\x1b]0;t\x07)");
  BOOST_TEST(shown("\x1b[31") == R"(\x1b[31)");
  BOOST_TEST(front::ForTerminal(R"(\x1b[31mred)", false) == R"(\x1b[31mred)");
}

BOOST_AUTO_TEST_CASE(lines) {
  front::LineSplitter splitter;
  std::vector<std::pair<bool, std::string>> got;
  const auto emit = [&](bool whole, std::string_view line) { got.emplace_back(whole, line); };
  splitter.Feed("one\n\ntw", emit);
  BOOST_TEST(splitter.pending());
  splitter.Feed("o\nrest", emit);
  splitter.Flush(emit);
  BOOST_TEST(!splitter.pending());
  const std::vector<std::pair<bool, std::string>> expected = {
      {true, "one"}, {true, ""}, {true, "two"}, {false, "rest"}};
  BOOST_TEST((got == expected));
  got.clear();
  splitter.Feed(std::string(front::kMostOfALine, 'x') + "y\n", emit);
  const std::vector<std::pair<bool, std::string>> long_line = {{false, std::string(front::kMostOfALine, 'x')},
                                                               {true, "y"}};
  BOOST_TEST((got == long_line));
}

BOOST_AUTO_TEST_SUITE_END()
