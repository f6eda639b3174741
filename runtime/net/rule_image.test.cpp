// What an image is on disk, and what is put into its messages. That the kernel takes them:
// runtime/egress/helper/keep_rules.test.cpp.

#include "runtime/net/rule_image.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <boost/test/unit_test.hpp>
#include <cstring>

namespace nucleus::net {
namespace {

std::string Message(std::uint16_t type) {
  nfgenmsg header{};
  Request request{type, 0, header};
  request.Text(NFTA_TABLE_NAME, "nucleus");
  return std::string{request.Finish(1)};
}

constexpr std::uint16_t kNewTable = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE;
constexpr std::uint16_t kNewSet = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSET;

}  // namespace

BOOST_AUTO_TEST_SUITE(rule_image)

BOOST_AUTO_TEST_CASE(there_and_back) {
  const RuleImage image{.batch = std::string{"\0\n1 2", 5}, .digest = std::string(64, 'a'), .rules = 24, .elements = 7};
  const std::optional<RuleImage> back = ParseRuleImage(Format(image));
  BOOST_TEST_REQUIRE(back.has_value());
  BOOST_TEST(back->batch == image.batch);
  BOOST_TEST(back->digest == image.digest);
  BOOST_TEST(back->rules == 24U);
  BOOST_TEST(back->elements == 7U);
}

BOOST_AUTO_TEST_CASE(what_is_none) {
  const std::string digest(64, 'a');
  BOOST_TEST(ParseRuleImage("1 2 " + digest + "\n").has_value());
  for (const std::string& text : {std::string{}, "1 2 " + digest, "1 2 " + digest.substr(1) + "\n",
                                  "1  2 " + digest + "\n", "x 2 " + digest + "\n", "-1 2 " + digest + "\n",
                                  "1 2 " + std::string(64, 'A') + "\n", "99999999999999999999999 2 " + digest + "\n"}) {
    BOOST_TEST(!ParseRuleImage(text).has_value(), text);
  }
}

BOOST_AUTO_TEST_CASE(the_owner_is_the_tables) {
  const std::string begin = Message(NFNL_MSG_BATCH_BEGIN);
  const std::string table = Message(kNewTable);
  const std::string rest = Message(kNewSet) + Message(NFNL_MSG_BATCH_END);
  const Result<std::string> owned = WithOwner(begin + table + rest, "box-1");
  BOOST_TEST_REQUIRE(owned.has_value());
  BOOST_TEST(owned->starts_with(begin));
  BOOST_TEST(owned->ends_with(rest));
  nlmsghdr header{};
  std::memcpy(&header, owned->data() + begin.size(), sizeof header);
  BOOST_TEST(header.nlmsg_len == owned->size() - begin.size() - rest.size());
  const std::string_view attributes =
      std::string_view{*owned}.substr(begin.size() + sizeof header + sizeof(nfgenmsg), header.nlmsg_len);
  BOOST_TEST(TextAttribute(attributes, NFTA_TABLE_NAME) == "nucleus");
  BOOST_TEST(FindAttribute(attributes, NFTA_TABLE_USERDATA).value_or("") == "box-1");
}

BOOST_AUTO_TEST_CASE(messages_without_a_table) {
  const std::string begin = Message(NFNL_MSG_BATCH_BEGIN);
  const std::string table = Message(kNewTable);
  for (const std::string& batch : {std::string{}, begin, begin + Message(kNewSet), begin + table.substr(0, 20),
                                   std::string(64, '\0'), std::string(64, '\xff')}) {
    const Result<std::string> owned = WithOwner(batch, "box");
    BOOST_TEST_REQUIRE(!owned.has_value());
    BOOST_TEST(owned.error().code == EPROTO);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::net
