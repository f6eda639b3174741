// The gate against servers that the test makes up: what is answered, what is not, and what the sets got before.
#include "runtime/egress/gate/gate.h"

#include <boost/test/unit_test.hpp>
#include <set>

#include "runtime/egress/gate/test_world.h"

#define NEEDS_ROOT                                          \
  if (test::Unable()) {                                     \
    BOOST_TEST_MESSAGE("skipped: only root can set it up"); \
    return;                                                 \
  }

namespace nucleus::gate {

using test::Address;
using test::Cidr;
using test::ReplyTo;
using test::Said;
using test::Wire;
using test::World;
using test::Zone;

namespace {

using Texts = std::vector<std::string>;

Config OneServer(std::vector<Name> names) {
  Config config;
  config.names = std::move(names);
  config.servers = {Address("127.0.0.1")};
  return config;
}

Name Exact(const std::string& domain, std::uint32_t group = 0) {
  return {.domain = domain, .wildcard = false, .group = group};
}
Name Below(const std::string& domain, std::uint32_t group = 0) {
  return {.domain = domain, .wildcard = true, .group = group};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(dns_gate)

BOOST_AUTO_TEST_CASE(names_exact_and_wildcard) {
  NEEDS_ROOT
  World world{OneServer({Exact("api.example.com", 3), Below("example.org", 4), Exact("a.example.org", 5)})};
  world.Add("127.0.0.1", Zone({{"api.example.com. A", {"api.example.com. 120 IN A 8.8.8.1"}},
                               {"a.example.org. A", {"a.example.org. 120 IN A 8.8.8.2"}},
                               {"x.y.example.org. A", {"x.y.example.org. 120 IN A 8.8.8.3"}},
                               {"example.org. A", {"example.org. 120 IN A 8.8.8.4"}},
                               {"www.api.example.com. A", {"www.api.example.com. 120 IN A 8.8.8.5"}}}));
  BOOST_REQUIRE(world.Start());
  BOOST_TEST(world.Ask("api.example.com", "A").text == "NOERROR api.example.com. A 8.8.8.1");
  // As the client spells it.
  const Said spelled = world.Ask("API.example.COM", "A");
  BOOST_TEST(spelled.text == "NOERROR API.example.COM. A 8.8.8.1");
  BOOST_TEST(spelled.question == "API.example.COM.");
  BOOST_TEST(spelled.ra);
  BOOST_TEST(world.Ask("a.example.org", "A").text == "NOERROR a.example.org. A 8.8.8.2");
  BOOST_TEST(world.Ask("x.y.example.org", "A").text == "NOERROR x.y.example.org. A 8.8.8.3");
  for (const char* name :
       {"example.org", "www.api.example.com", "example.com", "com", ".", "xexample.org", "api.example.com.evil.net",
        "api\\.example.com", "x\\000.example.org", "_a.b c.example.org"}) {
    BOOST_TEST(world.Ask(name, "A").text == "REFUSED", name);
  }
  BOOST_TEST((world.Granted() == Texts{"8.8.8.1 group 3 for 180", "8.8.8.2 group 4 for 180", "8.8.8.2 group 5 for 180",
                                       "8.8.8.3 group 4 for 180"}));
  BOOST_TEST(world.shared.seen_count == 3U);
  const std::string report = world.Reported();
  BOOST_TEST(report.find("\"name\":\"example.org\",\"type\":\"A\",\"reason\":\"name\"}") != std::string::npos, report);
  BOOST_TEST(std::ranges::count(report, '\n') == 10);
}

BOOST_AUTO_TEST_CASE(types) {
  NEEDS_ROOT
  World world{OneServer({Exact("a.test")})};
  world.Add("127.0.0.1", Zone({{"a.test. AAAA", {"a.test. 99 IN AAAA 2600::1"}},
                               {"a.test. TXT", {"a.test. 99 IN TXT \"hello\""}},
                               {"a.test. MX", {"a.test. 99 IN MX 10 Mail.A.test.", "+mail.a.test. 99 IN A 8.8.8.8"}},
                               {"a.test. HTTPS", {"a.test. 99 IN A 8.8.8.8"}}}));
  BOOST_REQUIRE(world.Start());
  BOOST_TEST(world.Ask("a.test", "AAAA").text == "NOERROR a.test. AAAA 2600::1");
  BOOST_TEST(world.Ask("a.test", "TXT").text == "NOERROR a.test. TXT \"hello\"");
  // Nothing from the additional section, and nothing is granted for it.
  BOOST_TEST(world.Ask("a.test", "MX").text == "NOERROR a.test. MX 10 mail.a.test.");
  BOOST_TEST(world.Ask("a.test", "TYPE65").text == "NOERROR");
  BOOST_TEST(world.Ask("a.test", "TYPE64").text == "NOERROR");
  for (const char* type : {"ANY", "AXFR", "IXFR", "RRSIG", "DNSKEY", "NULL", "TYPE4711"}) {
    BOOST_TEST(world.Ask("a.test", type).text == "REFUSED", type);
  }
  for (const char* type : {"TYPE65", "PTR", "TXT", "ANY"}) {
    BOOST_TEST(world.Ask("b.test", type).text == "REFUSED", type);
  }
  BOOST_TEST(world.Ask("1.0.0.127.in-addr.arpa", "PTR").text == "REFUSED");
  BOOST_TEST((world.Granted() == Texts{"2600::1 group 0 for 159"}));
  BOOST_TEST(world.shared.seen_count == 3U);
}

BOOST_AUTO_TEST_CASE(chains) {
  NEEDS_ROOT
  std::map<std::string, Texts> zone;
  zone["a.test. A"] = {"a.test. 100 IN CNAME b.cdn.", "b.cdn. 50 IN CNAME c.CDN.", "c.cdn. 70 IN A 8.8.8.1",
                       "other.cdn. 70 IN A 8.8.8.66", "c.cdn. 70 IN A 8.8.8.2",    "c.cdn. 70 IN AAAA 2600::66",
                       "+a.test. 70 IN A 8.8.8.67",   "!a.test. 70 IN NS ns.test."};
  // The order on the wire says nothing.
  zone["mixed.test. A"] = {"y.cdn. 50 IN A 8.8.8.3", "x.cdn. 50 IN CNAME y.cdn.", "mixed.test. 50 IN CNAME x.cdn."};
  zone["loop.test. A"] = {"loop.test. 50 IN CNAME x.test.", "x.test. 50 IN CNAME loop.test.",
                          "x.test. 50 IN A 8.8.8.68"};
  zone["self.test. A"] = {"self.test. 50 IN CNAME self.test.", "self.test. 50 IN A 8.8.8.69"};
  for (int i = 0; i < 30; ++i) {
    zone["deep.test. A"].push_back((i == 0 ? "deep.test" : "d" + std::to_string(i) + ".test") + ". 50 IN CNAME d" +
                                   std::to_string(i + 1) + ".test.");
    if (i < 16) {
      zone["sixteen.test. A"].push_back((i == 0 ? "sixteen.test" : "d" + std::to_string(i) + ".test") +
                                        ". 50 IN CNAME d" + std::to_string(i + 1) + ".test.");
    }
  }
  zone["deep.test. A"].push_back("d30.test. 50 IN A 8.8.8.70");
  zone["sixteen.test. A"].push_back("d16.test. 50 IN A 8.8.8.4");
  zone["dangling.test. A"] = {"dangling.test. 50 IN CNAME nowhere.cdn."};
  zone["a.test. CNAME"] = {"a.test. 100 IN CNAME b.cdn."};
  World world{OneServer({Below("test", 7)})};
  world.Add("127.0.0.1", Zone(zone));
  BOOST_REQUIRE(world.Start());
  const Said said = world.Ask("a.test", "A");
  BOOST_TEST(said.text == "NOERROR a.test. CNAME b.cdn., b.cdn. CNAME c.cdn., c.cdn. A 8.8.8.1, c.cdn. A 8.8.8.2");
  // The least of all, for all.
  BOOST_TEST((said.ttls == std::vector<std::uint32_t>{50, 50, 50, 50}));
  BOOST_TEST(world.Ask("mixed.test", "A").text ==
             "NOERROR mixed.test. CNAME x.cdn., x.cdn. CNAME y.cdn., y.cdn. A 8.8.8.3");
  BOOST_TEST(world.Ask("loop.test", "A").text == "SERVFAIL");
  BOOST_TEST(world.Ask("self.test", "A").text == "SERVFAIL");
  BOOST_TEST(world.Ask("deep.test", "A").text == "SERVFAIL");
  BOOST_TEST(world.Ask("sixteen.test", "A").text.ends_with(", d16.test. A 8.8.8.4"));
  BOOST_TEST(world.Ask("dangling.test", "A").text == "NOERROR dangling.test. CNAME nowhere.cdn.");
  BOOST_TEST(world.Ask("a.test", "CNAME").text == "NOERROR a.test. CNAME b.cdn.");
  // The end of a chain is no name that may be asked for.
  BOOST_TEST(world.Ask("b.cdn", "A").text == "REFUSED");
  BOOST_TEST((world.Granted() == Texts{"8.8.8.1 group 7 for 110", "8.8.8.2 group 7 for 110", "8.8.8.3 group 7 for 110",
                                       "8.8.8.4 group 7 for 110"}));
}

BOOST_AUTO_TEST_CASE(ttls) {
  NEEDS_ROOT
  World world{OneServer({Below("test")})};
  world.Add("127.0.0.1", Zone({{"zero.test. A", {"zero.test. 0 IN A 8.8.8.1"}},
                               {"day.test. A", {"day.test. 86400 IN A 8.8.8.2"}},
                               {"odd.test. A", {"odd.test. 2147483647 IN A 8.8.8.3", "odd.test. 7 IN A 8.8.8.4"}},
                               {"empty.test. A", {"!test. 3000 IN SOA ns.test. me.test. 1 2 3 4 40"}},
                               {"long.test. A", {"!test. 3000 IN SOA ns.test. me.test. 1 2 3 4 4000"}},
                               {"bare.test. A", {}}}));
  BOOST_REQUIRE(world.Start());
  using Ttls = std::vector<std::uint32_t>;
  BOOST_TEST((world.Ask("zero.test", "A").ttls == Ttls{5}));
  BOOST_TEST((world.Ask("day.test", "A").ttls == Ttls{3600}));
  BOOST_TEST((world.Ask("odd.test", "A").ttls == Ttls{7, 7}));
  const Said empty = world.Ask("empty.test", "A");
  BOOST_TEST(empty.text == "NOERROR test. SOA ns.test. me.test. 1 2 3 4 40");
  BOOST_TEST((empty.ttls == Ttls{40}));
  BOOST_TEST((world.Ask("long.test", "A").ttls == Ttls{300}));
  BOOST_TEST(world.Ask("bare.test", "A").text == "NOERROR");
  // No client is told of an address for longer than it is granted.
  BOOST_TEST((world.Granted() == Texts{"8.8.8.1 group 0 for 65", "8.8.8.2 group 0 for 3660", "8.8.8.3 group 0 for 67",
                                       "8.8.8.4 group 0 for 67"}));
  // From what is known: never for longer than before, and no server is asked.
  const std::size_t asked = world.shared.seen_count;
  const Said again = world.Ask("day.test", "A");
  BOOST_TEST(again.text == "NOERROR day.test. A 8.8.8.2");
  BOOST_REQUIRE(again.ttls.size() == 1U);
  BOOST_TEST(again.ttls[0] <= 3600U);
  BOOST_TEST(world.Ask("empty.test", "A").text == empty.text);
  BOOST_TEST(world.shared.seen_count == asked);
  BOOST_TEST(world.shared.count == 4U);
}

BOOST_AUTO_TEST_CASE(negative_answers) {
  NEEDS_ROOT
  World world{OneServer({Below("test")})};
  world.Add("127.0.0.1", [](const ldns_pkt& query, bool) -> std::vector<Bytes> {
    const std::string question = test::QuestionOf(query);
    if (question == "broken.test. A") {
      return {Wire(ReplyTo(query, {}, 2).get())};
    }
    if (question == "liar.test. A") {
      return {Wire(ReplyTo(query, {"liar.test. 50 IN A 8.8.8.8"}, 3).get())};
    }
    if (question == "foreign.test. A") {
      return {Wire(ReplyTo(query, {"!elsewhere. 60 IN SOA ns.test. me.test. 1 2 3 4 40"}, 3).get())};
    }
    return {Wire(ReplyTo(query,
                         {"x.test. 60 IN CNAME y.test.", "!test. 60 IN SOA ns.test. me.test. 1 2 3 4 40",
                          "!test. 60 IN NS ns.test.", "!a.test. 60 IN NSEC b.test. A"},
                         3)
                     .get())};
  });
  BOOST_REQUIRE(world.Start());
  BOOST_TEST(world.Ask("no.test", "A").text == "NXDOMAIN test. SOA ns.test. me.test. 1 2 3 4 40");
  BOOST_TEST(world.Ask("x.test", "A").text == "NXDOMAIN x.test. CNAME y.test., test. SOA ns.test. me.test. 1 2 3 4 40");
  BOOST_TEST(world.Ask("foreign.test", "A").text == "NXDOMAIN");
  const std::size_t before = world.shared.seen_count;
  BOOST_TEST(world.Ask("broken.test", "A").text == "SERVFAIL");
  BOOST_TEST(world.Ask("liar.test", "A").text == "SERVFAIL");
  // A server that fails is asked once more, and not again and again.
  BOOST_TEST(world.shared.seen_count == before + 4);
  BOOST_TEST(world.shared.count == 0U);
}

BOOST_AUTO_TEST_CASE(the_set_comes_before_the_answer) {
  NEEDS_ROOT
  World world{OneServer({Below("test")})};
  world.Add("127.0.0.1", [](const ldns_pkt& query, bool) -> std::vector<Bytes> {
    std::string name = test::QuestionOf(query);
    name.resize(name.find(' '));
    return {Wire(ReplyTo(query, {name + " 50 IN A 8.8.8.1"}).get())};
  });
  BOOST_REQUIRE(world.Start());
  world.shared.hold = true;
  const Fd client = world.Client();
  const Bytes query = test::Query("a.test", "A");
  BOOST_REQUIRE(::send(client.get(), query.data(), query.size(), 0) > 0);
  while (world.shared.adding == 0) {
    ::poll(nullptr, 0, 1);
  }
  // Nothing while Add has not returned, whoever asks, and others are served meanwhile.
  const Fd other = world.Client();
  BOOST_REQUIRE(::send(other.get(), query.data(), query.size(), 0) > 0);
  BOOST_TEST(world.Ask("evil.example", "A").text == "REFUSED");
  BOOST_TEST(!World::Receive(client.get(), 300).has_value());
  BOOST_TEST(!World::Receive(other.get(), 0).has_value());
  BOOST_TEST(world.shared.count == 0U);
  world.shared.hold = false;
  const std::optional<Bytes> answer = World::Receive(client.get());
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(world.shared.count == 1U);
  BOOST_TEST(test::Read(*answer).text == "NOERROR a.test. A 8.8.8.1");
  BOOST_TEST(World::Receive(other.get()).has_value());
  BOOST_TEST(world.shared.seen_count == 1U);
  // What cannot be granted is not told.
  world.shared.error = ENFILE;
  BOOST_TEST(world.Ask("b.test", "A").text == "SERVFAIL");
  BOOST_TEST(world.Reported().find("\"reason\":\"set\"") != std::string::npos);
  world.shared.error = 0;
  BOOST_TEST(world.Ask("b.test", "A").text == "NOERROR b.test. A 8.8.8.1");
}

BOOST_AUTO_TEST_CASE(rebinding) {
  NEEDS_ROOT
  Config config = OneServer({Below("test")});
  config.allowed = {Cidr("10.1.0.0/16"), Cidr("fd00::/8")};
  config.denied = {Cidr("10.1.2.0/24"), Cidr("8.8.4.0/24")};
  World world{config};
  world.Add("127.0.0.1", [](const ldns_pkt& query, bool) -> std::vector<Bytes> {
    const std::string question = test::QuestionOf(query);
    // "10-0-0-1.test. A"
    std::string address = question.substr(0, question.find('.'));
    const bool v6 = question.ends_with("AAAA");
    std::ranges::replace(address, '-', v6 ? ':' : '.');
    Texts records;
    std::string name = question.substr(0, question.find(' '));
    if (name == "mixed.test.") {
      records = {"mixed.test. 50 IN A 127.0.0.1", "mixed.test. 50 IN A 8.8.8.8", "mixed.test. 50 IN A 10.1.2.3"};
    } else {
      records = {name + " 50 IN " + (v6 ? "AAAA " : "A ") + address};
    }
    return {Wire(ReplyTo(query, records).get())};
  });
  BOOST_REQUIRE(world.Start());
  for (const char* name :
       {"127-0-0-1", "10-0-0-1", "172-16-5-5", "192-168-1-1", "169-254-169-254", "100-64-0-1", "0-0-0-0", "224-0-0-1",
        "255-255-255-255", "198-18-0-1", "192-0-2-1", "10-1-2-9", "8-8-4-4"}) {
    BOOST_TEST(world.Ask(std::string{name} + ".test", "A").text == "NOERROR", name);
  }
  for (const char* name : {"--1", "--", "fe80--1", "fc00--1", "ff02--1", "--ffff-8-8", "64-ff9b--1", "2002-a00-1--",
                           "2001-db8--1", "2001--1", "4000--1"}) {
    BOOST_TEST(world.Ask(std::string{name} + ".test", "AAAA").text == "NOERROR", name);
  }
  BOOST_TEST(world.shared.count == 0U);
  const std::string report = world.Reported();
  BOOST_TEST(
      report.find("\"name\":\"127-0-0-1.test\",\"type\":\"A\",\"reason\":\"address\",\"addresses\":[\"127.0.0.1\"]") !=
          std::string::npos,
      report);
  BOOST_TEST(world.Ask("10-1-1-1.test", "A").text == "NOERROR 10-1-1-1.test. A 10.1.1.1");
  BOOST_TEST(world.Ask("fd00--1.test", "AAAA").text == "NOERROR fd00--1.test. AAAA fd00::1");
  BOOST_TEST(world.Ask("2600--1.test", "AAAA").text == "NOERROR 2600--1.test. AAAA 2600::1");
  // What is left after those that are refused.
  BOOST_TEST(world.Ask("mixed.test", "A").text == "NOERROR mixed.test. A 8.8.8.8");
  BOOST_TEST(world.shared.count == 4U);
}

BOOST_AUTO_TEST_CASE(sizes_and_tcp) {
  NEEDS_ROOT
  Texts many;
  for (int i = 1; i <= 60; ++i) {
    many.push_back("many.test. 50 IN A 8.8.8." + std::to_string(i));
  }
  World world{OneServer({Below("test")})};
  world.Add("127.0.0.1", [many](const ldns_pkt& query, bool tcp) -> std::vector<Bytes> {
    const test::Packet reply = ReplyTo(query, tcp ? many : Texts{});
    ::ldns_pkt_set_tc(reply.get(), !tcp);
    return {Wire(reply.get())};
  });
  BOOST_REQUIRE(world.Start());
  // The server's truncated answer is asked for again by TCP; the client's is cut to what it takes.
  const Said small = world.Ask("many.test", "A");
  BOOST_TEST(small.text == "NOERROR TC");
  BOOST_TEST(world.shared.seen_count == 2U);
  BOOST_TEST(!world.shared.seen[0].tcp);
  BOOST_TEST(world.shared.seen[0].edns == 1232);
  BOOST_TEST(world.shared.seen[1].tcp);
  BOOST_TEST(world.shared.count == 60U);
  const Said tcp = world.Ask("many.test", "A", {.tcp = true});
  BOOST_TEST(tcp.ttls.size() == 60U);
  BOOST_TEST(world.Ask("many.test", "A", {.edns = 1232}).ttls.size() == 60U);
  BOOST_TEST(world.Ask("many.test", "A", {.edns = 600}).text == "NOERROR TC");
  BOOST_TEST(world.Ask("many.test", "A", {.edns = 100}).text == "NOERROR TC");
  BOOST_TEST(world.shared.seen_count == 2U);
  // Several on one connection, in pieces and together.
  const Fd client = world.TcpClient();
  Bytes bytes;
  for (std::uint16_t id = 1; id <= 3; ++id) {
    const Bytes query = test::Query("many.test", "A", {.id = id});
    bytes.push_back(0);
    bytes.push_back(static_cast<std::uint8_t>(query.size()));
    bytes.insert(bytes.end(), query.begin(), query.end());
  }
  for (std::size_t at = 0; at < bytes.size(); at += 7) {
    BOOST_REQUIRE(::send(client.get(), bytes.data() + at, std::min<std::size_t>(7, bytes.size() - at), 0) > 0);
  }
  for (std::uint16_t id = 1; id <= 3; ++id) {
    const std::optional<Bytes> answer = test::ReceiveTcp(client.get());
    BOOST_REQUIRE(answer.has_value());
    BOOST_TEST(test::Read(*answer).id == id);
  }
  // More clients than there is room for: the newest is served, the oldest is closed.
  std::vector<Fd> crowd;
  for (int i = 0; i < 80; ++i) {
    crowd.push_back(world.TcpClient());
  }
  BOOST_REQUIRE(test::SendTcp(crowd.back().get(), test::Query("many.test", "A")));
  BOOST_TEST(test::ReceiveTcp(crowd.back().get()).has_value());
  BOOST_TEST(!test::ReceiveTcp(client.get()).has_value());
  // One that promises too much.
  BOOST_REQUIRE(::send(crowd.back().get(), "\xff\xff", 2, 0) == 2);
  BOOST_TEST(!test::ReceiveTcp(crowd.back().get()).has_value());
}

BOOST_AUTO_TEST_CASE(failover) {
  NEEDS_ROOT
  Config config = OneServer({Below("test")});
  config.servers = {Address("127.0.0.1"), Address("127.0.0.2"), Address("127.0.0.3")};
  World world{config};
  // Nobody listens at the first; the second is mute; the third answers, after it has failed once.
  world.Add("127.0.0.2", [](const ldns_pkt&, bool) { return std::vector<Bytes>{}; });
  world.Add("127.0.0.3", [count = 0](const ldns_pkt& query, bool) mutable -> std::vector<Bytes> {
    std::string name = test::QuestionOf(query);
    name.resize(name.find(' '));
    return {Wire(++count == 1 ? ReplyTo(query, {}, 2).get() : ReplyTo(query, {name + " 50 IN A 8.8.8.1"}).get())};
  });
  BOOST_REQUIRE(world.Start());
  BOOST_TEST(world.Ask("a.test", "A").text == "NOERROR a.test. A 8.8.8.1");
  BOOST_TEST(world.shared.seen_count >= 3U);
  // From now on it is asked first.
  const std::size_t before = world.shared.seen_count;
  for (int i = 0; i < 20; ++i) {
    const std::string name = "x" + std::to_string(i) + ".test";
    BOOST_TEST(world.Ask(name, "A").text == "NOERROR " + name + ". A 8.8.8.1");
  }
  BOOST_TEST(world.shared.seen_count == before + 20);
  world.EndServer(1);
  BOOST_TEST(world.Ask("b.test", "A").text == "SERVFAIL");
}

BOOST_AUTO_TEST_CASE(without_edns) {
  NEEDS_ROOT
  World world{OneServer({Below("test")})};
  world.Add("127.0.0.1", [](const ldns_pkt& query, bool) -> std::vector<Bytes> {
    if (!::ldns_pkt_edns(&query)) {
      return {Wire(ReplyTo(query, {"a.test. 50 IN A 8.8.8.1"}).get())};
    }
    // The header alone.
    Bytes bytes = Wire(ReplyTo(query, {}, 1).get());
    bytes.resize(12);
    bytes[5] = 0;
    return {bytes};
  });
  BOOST_REQUIRE(world.Start());
  BOOST_TEST(world.Ask("a.test", "A").text == "NOERROR a.test. A 8.8.8.1");
}

BOOST_AUTO_TEST_CASE(what_a_server_sees_cannot_be_guessed) {
  NEEDS_ROOT
  World world{OneServer({Below("test")})};
  world.Add("127.0.0.1", Zone({}));
  BOOST_REQUIRE(world.Start());
  constexpr std::size_t kQueries = 400;
  for (std::size_t i = 0; i < kQueries; ++i) {
    BOOST_REQUIRE(world.Ask("abcdefghijklmnopqrstuvwxyz.n" + std::to_string(i) + ".test", "A").text == "NXDOMAIN");
  }
  BOOST_REQUIRE(world.shared.seen_count == kQueries);
  std::set<std::uint16_t> ids;
  std::set<std::uint16_t> ports;
  std::array<std::size_t, 26> upper{};
  std::size_t next_port = 0;
  for (std::size_t i = 0; i < kQueries; ++i) {
    const auto& seen = world.shared.seen.at(i);
    ids.insert(seen.id);
    ports.insert(seen.port);
    for (std::size_t letter = 0; letter < upper.size(); ++letter) {
      upper.at(letter) += std::isupper(static_cast<unsigned char>(seen.name.at(letter))) != 0 ? 1 : 0;
    }
    next_port += i > 0 && std::abs(seen.port - world.shared.seen.at(i - 1).port) <= 2 ? 1 : 0;
  }
  // Of 400 out of 65,536 about 399 are different, and of 28,000 ports about 397.
  BOOST_TEST(ids.size() > kQueries - 20);
  BOOST_TEST(ports.size() > kQueries - 40);
  BOOST_TEST(next_port < 10U);
  for (const std::size_t count : upper) {
    BOOST_TEST(count > kQueries / 4);
    BOOST_TEST(count < 3 * kQueries / 4);
  }
}

BOOST_AUTO_TEST_CASE(forgeries) {
  NEEDS_ROOT
  World world{OneServer({Below("test")})};
  world.Add("127.0.0.1", [](const ldns_pkt& query, bool tcp) -> std::vector<Bytes> {
    const std::string question = test::QuestionOf(query);
    std::string name = question.substr(0, question.find(' '));
    const auto with = [&](const std::string& address, const auto& spoil) {
      const test::Packet reply = ReplyTo(query, {name + " 50 IN A " + address});
      spoil(reply.get());
      return Wire(reply.get());
    };
    const auto nothing = [](ldns_pkt*) {};
    const auto ask = [](const char* other) {
      return [other](ldns_pkt* packet) {
        ::ldns_rr_set_owner(::ldns_rr_list_rr(::ldns_pkt_question(packet), 0), ::ldns_dname_new_frm_str(other));
      };
    };
    const Bytes good = with("8.8.8.1", nothing);
    if (tcp) {
      return {good};
    }
    if (name == "id.test.") {
      return {with("6.6.6.6", [](ldns_pkt* p) { ::ldns_pkt_set_id(p, ::ldns_pkt_id(p) ^ 1); }), good};
    }
    if (name == "many.test.") {
      return std::vector<Bytes>(20,
                                with("6.6.6.6", [](ldns_pkt* p) { ::ldns_pkt_set_id(p, ::ldns_pkt_id(p) ^ 0x8000); }));
    }
    if (name == "question.test.") {
      return {with("6.6.6.6", ask("other.test.")), good};
    }
    if (name == "type.test.") {
      return {with("6.6.6.6",
                   [](ldns_pkt* p) {
                     ::ldns_rr_set_type(::ldns_rr_list_rr(::ldns_pkt_question(p), 0), LDNS_RR_TYPE_AAAA);
                   }),
              good};
    }
    if (name == "query.test.") {
      return {with("6.6.6.6", [](ldns_pkt* p) { ::ldns_pkt_set_qr(p, false); }), good};
    }
    if (name == "abcdefghijklmnopqrstuvwxyz.test.") {
      // One who did not see it cannot know the case; a server that does not keep it is the same to look at.
      return {with("6.6.6.6", ask("abcdefghijklmnopqrstuvwxyz.test."))};
    }
    if (name == "garbage.test.") {
      Bytes cut = good;
      cut.resize(cut.size() - 3);
      return {Bytes(3, 0xff), Bytes{}, good};
    }
    // From elsewhere: another address of the same host, the right port, everything else right.
    if (name == "elsewhere.test.") {
      return {};
    }
    return {good};
  });
  BOOST_REQUIRE(world.Start());
  for (const char* name : {"id.test", "many.test", "question.test", "type.test", "query.test", "garbage.test",
                           "abcdefghijklmnopqrstuvwxyz.test"}) {
    BOOST_TEST(world.Ask(name, "A").text == std::string{"NOERROR "} + name + ". A 8.8.8.1", name);
  }
  // The case: once by UDP and then by TCP; the next names go to TCP at once.
  const std::size_t before = world.shared.seen_count;
  BOOST_TEST(world.shared.seen.at(before - 1).tcp);
  BOOST_TEST(world.Ask("plain.test", "A").text == "NOERROR plain.test. A 8.8.8.1");
  BOOST_TEST(world.shared.seen_count == before + 1);
  BOOST_TEST(world.shared.seen.at(before).tcp);
  for (const std::string& granted : world.Granted()) {
    BOOST_TEST(granted.starts_with("8.8.8.1 "), granted);
  }
}

BOOST_AUTO_TEST_CASE(answers_from_elsewhere) {
  NEEDS_ROOT
  World world{OneServer({Below("test")})};
  // The server itself is mute; somebody else on the path's other side knows everything but has another address.
  world.Add("127.0.0.1", [&world](const ldns_pkt& query, bool) -> std::vector<Bytes> {
    if (!test::QuestionOf(query).starts_with("a.test.")) {
      return {};
    }
    const Bytes reply = Wire(ReplyTo(query, {"a.test. 50 IN A 6.6.6.6"}).get());
    const Fd socket{::socket(AF_INET, SOCK_DGRAM, 0)};
    sockaddr_in own = test::Port53("127.0.0.9");
    const int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own);
    const auto& seen = world.shared.seen.at(world.shared.seen_count - 1);
    sockaddr_in to = test::Port53("127.0.0.1");
    to.sin_port = htons(seen.port);
    const ssize_t sent =
        ::sendto(socket.get(), reply.data(), reply.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
    return bound == 0 && sent > 0 ? std::vector<Bytes>{} : std::vector<Bytes>{reply};
  });
  BOOST_REQUIRE(world.Start());
  BOOST_TEST(world.Ask("a.test", "A").text == "SERVFAIL");
  BOOST_TEST(world.shared.count == 0U);
}

BOOST_AUTO_TEST_CASE(malformed_requests) {
  NEEDS_ROOT
  World world{OneServer({Below("test")})};
  world.Add("127.0.0.1", Zone({{"a.test. A", {"a.test. 50 IN A 8.8.8.1"}}}));
  BOOST_REQUIRE(world.Start());
  const Fd client = world.Client();
  const auto ask = [&](const Bytes& bytes) {
    if (::send(client.get(), bytes.data(), bytes.size(), 0) < 0) {
      return std::string{"not sent"};
    }
    const std::optional<Bytes> answer = World::Receive(client.get());
    return answer ? test::Read(*answer).text : "nothing";
  };
  const Bytes good = test::Query("a.test", "A");
  const auto changed = [&](std::size_t at, std::uint8_t value) {
    Bytes bytes = good;
    bytes.at(at) = value;
    return bytes;
  };
  // To these there is no answer.
  for (const Bytes& bytes : {Bytes{}, Bytes(11, 0), changed(2, 0x81)}) {
    (void)::send(client.get(), bytes.data(), bytes.size(), 0);
  }
  BOOST_TEST(ask(good) == "NOERROR a.test. A 8.8.8.1");
  BOOST_TEST(ask(changed(5, 2)) == "FORMERR");
  BOOST_TEST(ask(changed(5, 0)) == "FORMERR");
  BOOST_TEST(ask(changed(7, 1)) == "FORMERR");
  BOOST_TEST(ask(changed(11, 9)) == "FORMERR");
  BOOST_TEST(ask(changed(2, 0x29)) == "REFUSED");             // UPDATE
  BOOST_TEST(ask(changed(good.size() - 1, 3)) == "REFUSED");  // class CH
  BOOST_TEST(ask(changed(12, 0xc0)) == "FORMERR");            // a pointer ahead, out of the message
  Bytes loop = changed(12, 0xc0);
  loop[13] = 12;
  BOOST_TEST(ask(loop) == "FORMERR");
  BOOST_TEST(ask({good.begin(), good.end() - 3}) == "FORMERR");
  Bytes large = good;
  large.resize(1500);
  BOOST_TEST(ask(large) == "FORMERR");
  Bytes version = test::Query("a.test", "A", {.edns = 1232});
  version.at(version.size() - 5) = 1;
  BOOST_TEST(ask(version) == "BADVERS");
  // Everything, in every place.
  std::uint32_t state = 1;
  for (int i = 0; i < 5000; ++i) {
    Bytes noise = i % 2 == 0 ? good : test::Query("a.test", "A", {.edns = 4096});
    for (int change = 0; change < 3; ++change) {
      state = state * 1664525 + 1013904223;
      noise.at((state >> 8) % noise.size()) = static_cast<std::uint8_t>(state >> 24);
    }
    (void)::send(client.get(), noise.data(), noise.size(), MSG_DONTWAIT);
  }
  while (World::Receive(client.get(), 200)) {
  }
  BOOST_TEST(world.Ask("a.test", "A").text == "NOERROR a.test. A 8.8.8.1");
  BOOST_TEST(world.shared.opened == 1U);
  BOOST_TEST(world.Reported().find("died") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(rotating_answers) {
  NEEDS_ROOT
  World world{OneServer({Exact("a.test")})};
  world.Add("127.0.0.1", [count = 0](const ldns_pkt& query, bool) mutable -> std::vector<Bytes> {
    return {Wire(ReplyTo(query, {"a.test. 0 IN A 8.8.8." + std::to_string(++count)}).get())};
  });
  BOOST_REQUIRE(world.Start());
  // The least TTL is 5 s: the second address comes when that is over, and until then the first one is told, less and
  // less.
  std::string last = "NOERROR a.test. A 8.8.8.1";
  BOOST_TEST(world.Ask("a.test", "A").text == last);
  for (;;) {
    const std::size_t granted = world.shared.count;
    const Said said = world.Ask("a.test", "A");
    if (said.text != last) {
      BOOST_TEST(said.text == "NOERROR a.test. A 8.8.8.2");
      break;
    }
    BOOST_TEST(said.ttls.at(0) <= 5U);
    BOOST_TEST(granted == 1U);
    ::poll(nullptr, 0, 50);
  }
  // The first one is granted for a minute still.
  BOOST_TEST((world.Granted() == Texts{"8.8.8.1 group 0 for 65", "8.8.8.2 group 0 for 65"}));
}

BOOST_AUTO_TEST_CASE(what_is_refused_at_the_start) {
  NEEDS_ROOT {
    Config config;
    config.names = {Exact("a.test")};
    World world{config};
    BOOST_TEST(!world.Start());
    BOOST_TEST(world.gate.Wait() != 0);
    BOOST_TEST(std::string{world.shared.text.data()} == "DNS gate: takes 1 to 16 servers");
  }
  std::vector<Name> names;
  for (std::uint32_t i = 0; i <= kMaxGroups; ++i) {
    names.push_back(Exact("a.test", i));
  }
  World world{OneServer(names)};
  BOOST_TEST(!world.Start());
  BOOST_TEST(world.gate.Wait() != 0);
  BOOST_TEST(std::string{world.shared.text.data()} == "DNS gate: a name is in too many rules");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::gate
