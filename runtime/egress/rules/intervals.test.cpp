// Networks as disjoint intervals, compared with looking at each address.

#include "runtime/egress/rules/intervals.h"

#include <arpa/inet.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <random>

namespace nucleus::egress {
namespace {

using policies::Protocol;

policies::Cidr Cidr4(const char* text, int prefix) {
  policies::Cidr cidr{.address = {}, .prefix = prefix};
  BOOST_REQUIRE(::inet_pton(AF_INET, text, cidr.address.bytes.data()) == 1);
  return cidr;
}
policies::Cidr Cidr6(const char* text, int prefix) {
  policies::Cidr cidr{.address = {.v6 = true}, .prefix = prefix};
  BOOST_REQUIRE(::inet_pton(AF_INET6, text, cidr.address.bytes.data()) == 1);
  return cidr;
}

std::string Show(const std::string& bytes) {
  char text[INET6_ADDRSTRLEN];
  return ::inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text, sizeof text);
}
std::string Show(const std::vector<AddressInterval>& intervals) {
  std::string text;
  for (const AddressInterval& interval : intervals) {
    text += Show(interval.first) + "-" + Show(interval.last) + " ";
  }
  return text;
}
std::string Show(const std::vector<PortRule>& rules) {
  std::string text;
  for (const PortRule& rule : rules) {
    text += Show(std::vector{rule.addresses});
    for (const policies::PortRange& range : rule.ports) {
      text += (range.protocol == Protocol::kTcp ? "t" : "u") + std::to_string(range.first) + "-" +
              std::to_string(range.last) + " ";
    }
    text += "| ";
  }
  return text;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(intervals)

BOOST_AUTO_TEST_CASE(of_a_network) {
  BOOST_TEST(Show({IntervalOf(Cidr4("10.1.2.0", 23))}) == "10.1.2.0-10.1.3.255 ");
  BOOST_TEST(Show({IntervalOf(Cidr4("0.0.0.0", 0))}) == "0.0.0.0-255.255.255.255 ");
  BOOST_TEST(Show({IntervalOf(Cidr4("192.0.2.7", 32))}) == "192.0.2.7-192.0.2.7 ");
  BOOST_TEST(Show({IntervalOf(Cidr6("2001:db8::", 33))}) == "2001:db8::-2001:db8:7fff:ffff:ffff:ffff:ffff:ffff ");
}

BOOST_AUTO_TEST_CASE(networks_are_merged) {
  const auto merged = [](std::vector<policies::Cidr> cidrs) {
    std::vector<AddressInterval> all;
    for (const policies::Cidr& cidr : cidrs) {
      all.push_back(IntervalOf(cidr));
    }
    return Show(Merge(std::move(all)));
  };
  BOOST_TEST(merged({}) == "");
  // Adjacent, within, the same twice, in any order.
  BOOST_TEST(merged({Cidr4("10.0.1.0", 24), Cidr4("10.0.0.0", 24)}) == "10.0.0.0-10.0.1.255 ");
  BOOST_TEST(merged({Cidr4("10.0.0.0", 8), Cidr4("10.7.0.0", 16), Cidr4("10.0.0.0", 8)}) == "10.0.0.0-10.255.255.255 ");
  BOOST_TEST(merged({Cidr4("10.0.0.0", 24), Cidr4("10.0.2.0", 24)}) == "10.0.0.0-10.0.0.255 10.0.2.0-10.0.2.255 ");
  BOOST_TEST(merged({Cidr4("255.255.255.0", 24), Cidr4("0.0.0.0", 0)}) == "0.0.0.0-255.255.255.255 ");
  BOOST_TEST(merged({Cidr4("127.0.0.0", 8), Cidr4("128.0.0.0", 8)}) == "127.0.0.0-128.255.255.255 ");
}

BOOST_AUTO_TEST_CASE(ports_are_merged) {
  const std::vector<PortRule> rule = {{.addresses = IntervalOf(Cidr4("10.0.0.0", 8)),
                                       .ports = MergePorts({{Protocol::kUdp, 5, 6},
                                                            {Protocol::kTcp, 80, 90},
                                                            {Protocol::kTcp, 91, 95},
                                                            {Protocol::kTcp, 65535, 65535},
                                                            {Protocol::kTcp, 85, 86},
                                                            {Protocol::kTcp, 100, 100}})}};
  BOOST_TEST(Show(rule) == "10.0.0.0-10.255.255.255 t80-95 t100-100 t65535-65535 u5-6 | ");
}

BOOST_AUTO_TEST_CASE(pieces) {
  const auto split = [](std::vector<PortRule> rules) {
    const auto result = Split(rules);
    BOOST_REQUIRE(result.has_value());
    return Show(*result);
  };
  BOOST_TEST(split({}) == "");
  BOOST_TEST(split({{IntervalOf(Cidr4("10.0.0.0", 30)), {{Protocol::kTcp, 80, 80}}},
                    {IntervalOf(Cidr4("10.0.0.2", 32)), {{Protocol::kTcp, 443, 443}}}}) ==
             "10.0.0.0-10.0.0.1 t80-80 | 10.0.0.2-10.0.0.2 t80-80 t443-443 | 10.0.0.3-10.0.0.3 t80-80 | ");
  // The same ports side by side are one piece; the last address of all has nothing behind it.
  BOOST_TEST(split({{IntervalOf(Cidr4("255.255.255.254", 32)), {{Protocol::kTcp, 80, 80}}},
                    {IntervalOf(Cidr4("255.255.255.255", 32)), {{Protocol::kTcp, 80, 80}}}}) ==
             "255.255.255.254-255.255.255.255 t80-80 | ");
  BOOST_TEST(split({{IntervalOf(Cidr4("0.0.0.0", 0)), {{Protocol::kUdp, 1, 65535}}},
                    {IntervalOf(Cidr4("0.0.0.0", 0)), {{Protocol::kUdp, 9, 9}}}}) ==
             "0.0.0.0-255.255.255.255 u1-65535 | ");
}

BOOST_AUTO_TEST_CASE(pieces_mean_what_the_rules_mean) {
  std::mt19937 random{7};  // NOLINT: the same rules each time
  for (int round = 0; round < 200; ++round) {
    std::vector<PortRule> rules;
    for (int i = 0; i < 12; ++i) {
      const int prefix = 26 + static_cast<int>(random() % 7);
      const unsigned host = random() % 64 & ~((1U << (32 - prefix)) - 1);
      const auto port = static_cast<std::uint16_t>(1 + random() % 20);
      rules.push_back({IntervalOf(Cidr4(("10.0.0." + std::to_string(host)).c_str(), prefix)),
                       {{random() % 2 == 0 ? Protocol::kTcp : Protocol::kUdp, port,
                         static_cast<std::uint16_t>(port + random() % 5)}}});
    }
    const auto pieces = Split(rules);
    BOOST_REQUIRE(pieces.has_value());
    const auto covers = [](const std::vector<PortRule>& of, const std::string& address, Protocol protocol, int port) {
      int times = 0;
      for (const PortRule& rule : of) {
        for (const policies::PortRange& range : rule.ports) {
          times += rule.addresses.first <= address && address <= rule.addresses.last && range.protocol == protocol &&
                   range.first <= port && port <= range.last;
        }
      }
      return times;
    };
    for (int host = 0; host < 70; ++host) {
      const std::string address{10, 0, 0, static_cast<char>(host)};
      for (int port = 0; port < 28; ++port) {
        for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
          const int times = covers(*pieces, address, protocol, port);
          BOOST_REQUIRE(times <= 1);  // disjoint
          BOOST_REQUIRE((times == 1) == (covers(rules, address, protocol, port) > 0));
        }
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(too_many) {
  // Every other port of one network each: no two ranges join.
  std::vector<PortRule> rules;
  for (int i = 0; i < 300; ++i) {
    PortRule rule{
        .addresses = IntervalOf(Cidr4(("10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250)).c_str(), 32)),
        .ports = {}};
    for (std::uint16_t port = 1; port < 600; port += 2) {
      rule.ports.push_back({Protocol::kTcp, port, static_cast<std::uint16_t>(port)});
    }
    rule.ports.push_back({Protocol::kUdp, static_cast<std::uint16_t>(i + 1), static_cast<std::uint16_t>(i + 1)});
    rules.push_back(std::move(rule));
  }
  const auto result = Split(rules);
  BOOST_REQUIRE(!result.has_value());
  BOOST_TEST(result.error().code == E2BIG);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::egress
