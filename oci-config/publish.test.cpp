// Published ports as text.

#include "oci-config/publish.h"

#include <boost/test/unit_test.hpp>
#include <string>

namespace nucleus::oci {
namespace {

PublishedPort One(std::string_view text) {
  const Result<std::vector<PublishedPort>> ports = ParsePublish(text);
  BOOST_REQUIRE_MESSAGE(ports.has_value(), text << ": " << (ports ? "" : ports.error().message));
  BOOST_REQUIRE(ports->size() == 1U);
  return ports->front();
}

std::string ErrorOf(std::string_view text) {
  const Result<std::vector<PublishedPort>> ports = ParsePublish(text);
  return ports ? "accepted" : ports.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(publish)

BOOST_AUTO_TEST_CASE(forms) {
  const PublishedPort any = One("8080:80");
  BOOST_TEST((any.host == PublishedPort::Host::kAny));
  BOOST_TEST(any.host_port == 8080);
  BOOST_TEST(any.container_port == 80);
  BOOST_TEST(any.count == 1);
  BOOST_TEST((any.protocol == PublishedPort::Protocol::kTcp));
  const PublishedPort v4 = One("127.0.0.1:5353:53/udp");
  BOOST_TEST((v4.host == PublishedPort::Host::kV4));
  BOOST_TEST(int{v4.address[0]} == 127);
  BOOST_TEST(int{v4.address[3]} == 1);
  BOOST_TEST((v4.protocol == PublishedPort::Protocol::kUdp));
  const PublishedPort v6 = One("[2001:db8::7]:8443:443/tcp");
  BOOST_TEST((v6.host == PublishedPort::Host::kV6));
  BOOST_TEST(int{v6.address[15]} == 7);
  BOOST_TEST(v6.host_port == 8443);
  const PublishedPort range = One("9000-9010:7000-7010");
  BOOST_TEST(range.count == 11);
  BOOST_TEST(One("1-65535:1-65535").count == 65535);
  BOOST_TEST(ParsePublish("1:1,1:1/udp,127.0.0.1:2:2,127.0.0.2:2:2,[::1]:2:2").value().size() == 5U);
}

BOOST_AUTO_TEST_CASE(refusals) {
  for (const char* text : {"",
                           ",",
                           "80",
                           "80:",
                           ":80",
                           "0:80",
                           "80:0",
                           "080:80",
                           "65536:80",
                           "80:65536",
                           "80:80/sctp",
                           "80:80/",
                           "a:b",
                           "1-2:1",
                           "1:1-2",
                           "2-1:2-1",
                           "80:80,",
                           ",80:80",
                           "80:80 ",
                           " 80:80",
                           "localhost:80:80",
                           "1.2.3:80:80",
                           "::1:80:80",
                           "[::1:80:80",
                           "[::1]80:80",
                           "[1.2.3.4]:80:80",
                           "1.2.3.4:80",
                           "1:2:3:4",
                           "-1:80",
                           "+80:80",
                           "1-:1-"}) {
    BOOST_TEST(ErrorOf(text) != "accepted", "\"" << text << "\"");
  }
  for (const char* text : {"80:80,80:81", "1-10:1-10,10:80", "80:80,127.0.0.1:80:80", "0.0.0.0:80:80,127.0.0.1:80:80",
                           "[::]:80:80,[::1]:80:81"}) {
    BOOST_TEST(ErrorOf(text).ends_with("takes a port of the host that is taken already"), text);
  }
  std::string many = "1:1";
  for (int port = 2; port <= 257; ++port) {
    many += "," + std::to_string(port) + ":1";
  }
  BOOST_TEST(ErrorOf(many) == "more than 256 entries");
  BOOST_TEST(ErrorOf(std::string(1000, 'x')).size() < 250U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::oci
