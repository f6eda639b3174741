// The messages of rtnetlink: what is written, and what is read from answers that may be cut short.

#include "runtime/net/netlink.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <boost/test/unit_test.hpp>
#include <cstring>

namespace nucleus::net {
namespace {

// One attribute as it is on the wire; `length` as it says itself.
std::string Attribute(std::uint16_t type, const std::string& value, std::uint16_t length) {
  std::string bytes(4, '\0');
  std::memcpy(bytes.data(), &length, sizeof length);
  std::memcpy(bytes.data() + 2, &type, sizeof type);
  bytes += value;
  bytes.resize((bytes.size() + 3) & ~std::size_t{3});
  return bytes;
}
std::string Attribute(std::uint16_t type, const std::string& value) {
  return Attribute(type, value, static_cast<std::uint16_t>(4 + value.size()));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(netlink)

BOOST_AUTO_TEST_CASE(a_request) {
  rtgenmsg header{};
  header.rtgen_family = 7;
  Request request{RTM_GETLINK, NLM_F_ACK, header};
  request.Text(3, "eth0").Number(9, 0x01020304);
  const std::string_view bytes = request.Finish(42);
  nlmsghdr message{};
  BOOST_REQUIRE(bytes.size() == 16U + 4U + 12U + 8U);
  std::memcpy(&message, bytes.data(), sizeof message);
  BOOST_TEST(message.nlmsg_len == bytes.size());
  BOOST_TEST(message.nlmsg_type == RTM_GETLINK);
  BOOST_TEST(message.nlmsg_flags == (NLM_F_REQUEST | NLM_F_ACK));
  BOOST_TEST(message.nlmsg_seq == 42U);
  rtgenmsg back{};
  const std::optional<std::string_view> attributes = TakeHeader(bytes.substr(16), back);
  BOOST_REQUIRE(attributes.has_value());
  BOOST_TEST(int{back.rtgen_family} == 7);
  BOOST_TEST(TextAttribute(*attributes, 3) == "eth0");
  BOOST_TEST(NumberAttribute(*attributes, 9) == 0x01020304U);
}

BOOST_AUTO_TEST_CASE(attributes) {
  const std::string bytes = Attribute(1, "abc") + Attribute(2, "") + Attribute(0x8003, "x") + Attribute(1, "second");
  BOOST_TEST(FindAttribute(bytes, 1).value_or("none") == "abc");
  BOOST_TEST(FindAttribute(bytes, 2).value_or("none") == "");
  // The upper bits of the type are flags.
  BOOST_TEST(FindAttribute(bytes, 3).value_or("none") == "x");
  BOOST_TEST(FindAttribute(bytes, 4).value_or("none") == "none");
  BOOST_TEST(TextAttribute(bytes, 4) == "");
  BOOST_TEST(TextAttribute(Attribute(5, std::string{"a\0b", 3}), 5) == "a");
  // A number of another size is none.
  BOOST_TEST(NumberAttribute(bytes, 1) == 0U);
}

BOOST_AUTO_TEST_CASE(attributes_cut_short) {
  const std::string good = Attribute(1, "abcd");
  for (const std::uint16_t length : {0, 1, 3, 17, 0xffff}) {
    const std::string bytes = Attribute(7, "abcd", length) + good;
    BOOST_TEST(!FindAttribute(bytes, 7).has_value(), "length " << length);
    BOOST_TEST(!FindAttribute(bytes, 1).has_value(), "behind length " << length);
  }
  for (std::size_t size = 0; size < good.size(); ++size) {
    BOOST_TEST(!FindAttribute(std::string_view{good}.substr(0, size), 1).has_value(), "size " << size);
  }
  // The last one need not be padded.
  BOOST_TEST(FindAttribute(std::string_view{Attribute(1, "a")}.substr(0, 5), 1).value_or("none") == "a");
}

BOOST_AUTO_TEST_CASE(headers_cut_short) {
  ifinfomsg header{};
  const std::string bytes(sizeof header, 'x');
  BOOST_TEST(TakeHeader(bytes, header).value_or("none") == "");
  BOOST_TEST(!TakeHeader(std::string_view{bytes}.substr(1), header).has_value());
  BOOST_TEST(!TakeHeader(std::string_view{}, header).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::net
