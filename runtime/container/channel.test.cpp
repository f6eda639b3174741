#include "runtime/container/channel.h"

#include <boost/test/unit_test.hpp>

#include "runtime/sys/syscalls.h"

namespace nucleus::container {

BOOST_AUTO_TEST_SUITE(channel)

BOOST_AUTO_TEST_CASE(last_words_of_one_that_had_not_read_everything) {
  Fd runtime;
  Fd child;
  BOOST_REQUIRE(sys::SocketPair(runtime, child));
  BOOST_REQUIRE(Send(runtime.get(), Tag::kGo));
  BOOST_REQUIRE(Send(child.get(), Tag::kError, "no such thing", ENOENT));
  child.Reset();
  const Result<Message> message = Receive(runtime.get());
  BOOST_REQUIRE(message.has_value());
  BOOST_TEST((message->tag == Tag::kError));
  BOOST_TEST(message->text == "no such thing");
  BOOST_TEST(message->code == ENOENT);
  // And then there are none.
  const Result<Message> end = Receive(runtime.get());
  BOOST_REQUIRE(!end.has_value());
  BOOST_TEST(end.error().code == ECONNRESET);
}

BOOST_AUTO_TEST_CASE(one_that_has_gone_without_a_word) {
  Fd runtime;
  Fd child;
  BOOST_REQUIRE(sys::SocketPair(runtime, child));
  BOOST_REQUIRE(Send(runtime.get(), Tag::kGo));
  child.Reset();
  const Result<Message> message = Receive(runtime.get());
  BOOST_REQUIRE(!message.has_value());
  BOOST_TEST(message.error().code == ECONNRESET);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::container
