// The wire form of criu's messages.

#include "runtime/criu/message.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::criu {

BOOST_AUTO_TEST_SUITE(criu_message)

BOOST_AUTO_TEST_CASE(as_it_is_documented) {
  using namespace std::string_literals;
  BOOST_TEST(Message{}.Number(1, 150).bytes() == "\x08\x96\x01"s);
  BOOST_TEST(Message{}.Text(2, "testing").bytes() == "\x12\x07testing"s);
  BOOST_TEST(Message{}.Nested(3, Message{}.Number(1, 150)).bytes() == "\x1a\x03\x08\x96\x01"s);
  BOOST_TEST(Message{}.Flag(50, true).bytes() == "\x90\x03\x01"s);
  BOOST_TEST(Message{}.Number(1, UINT64_MAX).bytes() == "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s);
}

BOOST_AUTO_TEST_CASE(there_and_back) {
  const Message message = Message{}.Number(1, 0).Number(70, UINT64_MAX).Text(15, std::string(300, 'x')).Text(16, "");
  const std::vector<Field> fields = ParseMessage(message.bytes()).value();
  BOOST_REQUIRE(fields.size() == 4U);
  BOOST_TEST(fields[0].number == 1U);
  BOOST_TEST(fields[0].value == 0U);
  BOOST_TEST(fields[1].number == 70U);
  BOOST_TEST(fields[1].value == UINT64_MAX);
  BOOST_TEST(fields[2].bytes == std::string(300, 'x'));
  BOOST_TEST(fields[3].bytes.empty());
}

BOOST_AUTO_TEST_CASE(answers) {
  const Answer stage =
      ParseAnswer(
          Message{}.Number(1, 6).Flag(2, true).Nested(5, Message{}.Text(1, "post-restore").Number(2, 4711)).bytes())
          .value();
  BOOST_TEST((stage.type == RequestType::kNotify));
  BOOST_TEST(stage.success);
  BOOST_TEST(stage.stage == "post-restore");
  BOOST_TEST(stage.pid == 4711);
  const Answer restored =
      ParseAnswer(Message{}.Number(1, 2).Flag(2, true).Nested(4, Message{}.Number(1, 42)).bytes()).value();
  BOOST_TEST((restored.type == RequestType::kRestore));
  BOOST_TEST(restored.pid == 42);
  const Answer failed = ParseAnswer(Message{}.Number(1, 1).Flag(2, false).Number(7, 17).Text(9, "no").bytes()).value();
  BOOST_TEST(!failed.success);
  BOOST_TEST(failed.error == 17);
  BOOST_TEST(failed.error_message == "no");
}

BOOST_AUTO_TEST_CASE(refusals) {
  using namespace std::string_view_literals;
  for (const std::string_view bytes :
       {"\x08"sv, "\x08\x80"sv,
        "\x12\x05"
        "abc"sv,
        "\x0b"sv, "\x09\x01"sv, "\x0d\x01"sv, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"sv}) {
    BOOST_TEST(!ParseMessage(bytes).has_value());
  }
  BOOST_TEST(!ParseAnswer("\x2a\x01\x08"sv).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::criu
