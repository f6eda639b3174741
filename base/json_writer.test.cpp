// The output is valid JSON whatever goes in.

#include "base/json_writer.h"

#include <yajl/yajl_parse.h>

#include <boost/test/unit_test.hpp>

namespace nucleus {
namespace {

std::string Written(std::string_view value) {
  JsonWriter out;
  out.String(value);
  return out.Take();
}

// Parsed with UTF-8 checking on, as every strict reader does.
bool IsValid(const std::string& json) {
  yajl_handle parser = yajl_alloc(nullptr, nullptr, nullptr);
  const auto* bytes = reinterpret_cast<const unsigned char*>(json.data());
  const bool valid =
      yajl_parse(parser, bytes, json.size()) == yajl_status_ok && yajl_complete_parse(parser) == yajl_status_ok;
  yajl_free(parser);
  return valid;
}

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

std::string Replaced(std::size_t times) {
  std::string text = "\"";
  for (std::size_t i = 0; i < times; ++i) {
    text += kReplacement;
  }
  return text + "\"";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(json_writer)

BOOST_AUTO_TEST_CASE(shapes) {
  JsonWriter out;
  out.BeginObject();
  out.Key("a").BeginArray().Int(INT64_MIN).Uint(UINT64_MAX).Bool(true).Bool(false).Null().String("").EndArray();
  out.Key("b").BeginObject().EndObject();
  out.EndObject();
  BOOST_TEST(out.Take() == R"({"a":[-9223372036854775808,18446744073709551615,true,false,null,""],"b":{}})");
}

BOOST_AUTO_TEST_CASE(indented) {
  JsonWriter out{2};
  out.BeginObject().Key("a").BeginArray().Int(1).Int(2).EndArray().EndObject();
  BOOST_TEST(out.Take() == "{\n  \"a\": [\n    1,\n    2\n  ]\n}");
}

BOOST_AUTO_TEST_CASE(escapes) {
  BOOST_TEST(Written("a\"b\\c\n\t\r\b\f") == R"("a\"b\\c\n\t\r\b\f")");
  BOOST_TEST(IsValid(Written(std::string_view{"\0\x01\x1f\x7f", 4})));
  BOOST_TEST(Written(std::string_view{"\0", 1}) == R"("\u0000")");
  BOOST_TEST(Written("</script>") == R"("</script>")");
}

BOOST_AUTO_TEST_CASE(utf8_stays) {
  for (const char* text : {"\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbf",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "caf\xc3\xa9 \xf0\x9f\x98\x80"}) {
    BOOST_TEST(Written(text) == "\"" + std::string{text} + "\"");
  }
}

BOOST_AUTO_TEST_CASE(what_is_not_utf8_is_replaced) {
  struct Row {
    std::string_view bytes;
    std::size_t replacements;
  };
  static constexpr Row kRows[] = {
      {"\x80", 1},              // a tail without a head
      {"\xbf", 1},              //
      {"\xc2", 1},              // a head without its tail
      {"\xe0\xa0", 2},          //
      {"\xf0\x90\x80", 3},      //
      {"\xc0\x80", 2},          // overlong NUL
      {"\xc1\xbf", 2},          // overlong
      {"\xe0\x9f\xbf", 3},      //
      {"\xf0\x8f\xbf\xbf", 4},  //
      {"\xed\xa0\x80", 3},      // surrogates
      {"\xed\xbf\xbf", 3},      //
      {"\xf4\x90\x80\x80", 4},  // beyond U+10FFFF
      {"\xf5\x80\x80\x80", 4},  //
      {"\xfe", 1},              //
      {"\xff", 1},
  };
  for (const Row& row : kRows) {
    BOOST_TEST_CONTEXT("the bytes " << Written(row.bytes)) {
      BOOST_TEST(Written(row.bytes) == Replaced(row.replacements));
    }
  }
  BOOST_TEST(Written("a\xff"
                     "b\xc3\xa9") ==
             "\"a\xEF\xBF\xBD"
             "b\xc3\xa9\"");
}

BOOST_AUTO_TEST_CASE(every_pair_of_bytes_gives_valid_json) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const char bytes[] = {static_cast<char>(first), static_cast<char>(second)};
      BOOST_REQUIRE_MESSAGE(IsValid(Written({bytes, 2})), first << " " << second);
    }
  }
}

BOOST_AUTO_TEST_CASE(keys_are_made_valid_as_well) {
  JsonWriter out;
  out.BeginObject().Key("\xff\"").String("x").EndObject();
  BOOST_TEST(out.Take() == "{\"\xEF\xBF\xBD\\\"\":\"x\"}");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus
