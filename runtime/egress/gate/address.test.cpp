#include "runtime/egress/gate/address.h"

#include <boost/test/unit_test.hpp>

#include "runtime/egress/gate/test_world.h"

namespace nucleus::gate {

using test::Address;
using test::Cidr;

BOOST_AUTO_TEST_SUITE(gate_addresses)

BOOST_AUTO_TEST_CASE(many_prefixes) {
  const Prefixes none{std::vector<policies::Cidr>{}};
  BOOST_TEST(!none.Have(Address("1.2.3.4")));
  const Prefixes prefixes{std::vector{Cidr("10.0.0.0/8"), Cidr("10.1.0.0/16"), Cidr("11.0.0.0/9"), Cidr("12.0.0.1/32"),
                                      Cidr("2600::/64"), Cidr("::/128")}};
  for (const char* address : {"10.0.0.0", "10.255.255.255", "10.1.2.3", "11.127.255.255", "12.0.0.1",
                              "2600::", "2600::ffff:ffff:ffff:ffff", "::"}) {
    BOOST_TEST(prefixes.Have(Address(address)), address);
  }
  for (const char* address : {"9.255.255.255", "11.128.0.0", "12.0.0.0", "12.0.0.2", "0.0.0.0", "255.255.255.255",
                              "2600:0:0:1::", "25ff::", "::1", "a00::"}) {
    BOOST_TEST(!prefixes.Have(Address(address)), address);
  }
  const Prefixes all{std::vector{Cidr("0.0.0.0/0")}};
  BOOST_TEST(all.Have(Address("255.255.255.255")));
  BOOST_TEST(!all.Have(Address("::")));
}

BOOST_AUTO_TEST_CASE(what_may_be_granted) {
  const AddressPolicy plain{{}, {}};
  for (const char* address : {"8.8.8.8", "1.1.1.1", "9.255.255.255", "11.0.0.0", "172.15.255.255", "172.32.0.0",
                              "100.63.255.255", "100.128.0.0", "223.255.255.255", "2600::1", "2001:4860::8888"}) {
    BOOST_TEST(plain.MayGrant(Address(address)), address);
  }
  const std::vector<const char*> special = {"10.0.0.0",     "10.255.255.255",  "127.0.0.1",      "169.254.169.254",
                                            "172.16.0.0",   "172.31.255.255",  "192.168.0.1",    "192.0.0.8",
                                            "192.0.2.1",    "198.18.0.1",      "198.19.255.255", "203.0.113.7",
                                            "100.64.0.0",   "100.127.255.255", "192.88.99.1",    "::1",
                                            "fe80::1",      "fc00::1",         "fdff::1",        "64:ff9b::808:808",
                                            "64:ff9b:1::1", "100::1",          "2001::1",        "2001:db8::1",
                                            "2002::1",      "3fff::1",         "4000::1",        "8000::1",
                                            "::8.8.8.8"};
  for (const char* address : special) {
    BOOST_TEST(!plain.MayGrant(Address(address)), address);
  }
  const std::vector all = {Cidr("0.0.0.0/0"), Cidr("::/0")};
  const AddressPolicy open{all, {}};
  for (const char* address : special) {
    BOOST_TEST(open.MayGrant(Address(address)), address);
  }
  for (const char* address : {"0.0.0.0", "0.1.2.3", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
                              "::", "ff02::1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8"}) {
    BOOST_TEST(!open.MayGrant(Address(address)), address);
    BOOST_TEST(!plain.MayGrant(Address(address)), address);
  }
  const std::vector denied = {Cidr("8.8.0.0/16"), Cidr("2600::/16")};
  const AddressPolicy narrow{all, denied};
  BOOST_TEST(!narrow.MayGrant(Address("8.8.8.8")));
  BOOST_TEST(!narrow.MayGrant(Address("2600::1")));
  BOOST_TEST(narrow.MayGrant(Address("8.9.8.8")));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::gate
