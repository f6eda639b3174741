// The gate in front of servers that people use: unbound and dnsmasq.
#include <stdlib.h>  // mkdtemp
#include <sys/stat.h>

#include <boost/test/unit_test.hpp>
#include <chrono>
#include <fstream>
#include <set>

#include "runtime/egress/gate/gate.h"
#include "runtime/egress/gate/test_world.h"

namespace nucleus::gate {
namespace {

using test::Said;
using test::World;

constexpr const char* kUnbound = "/usr/sbin/unbound";
constexpr const char* kDnsmasq = "/usr/sbin/dnsmasq";

// Said where it is so.
bool Missing(const char* program) {
  if (test::Unable()) {
    BOOST_TEST_MESSAGE("skipped: only root can set it up");
    return true;
  }
  if (::access(program, X_OK) != 0) {
    BOOST_TEST_MESSAGE("skipped: there is no " << program);
    return true;
  }
  return false;
}

class Directory {
 public:
  Directory() {
    std::string pattern = "/tmp/nucleus-gate-XXXXXX";
    test::Check(::mkdtemp(pattern.data()) != nullptr, "mkdtemp");
    path_ = pattern;
  }
  ~Directory() {
    for (const std::string& file : files_) {
      ::unlink(file.c_str());
    }
    ::rmdir(path_.c_str());
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::string Write(const std::string& name, const std::string& text) {
    files_.push_back(path_ + "/" + name);
    std::ofstream{files_.back()} << text;
    return files_.back();
  }

 private:
  std::string path_;
  std::vector<std::string> files_;
};

// Its own data only: it asks nobody.
std::string UnboundConfig(const std::string& address, const std::string& data) {
  return "server:\n  directory: \"\"\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  use-syslog: no\n  logfile: "
         "\"\"\n"
         "  verbosity: 0\n  do-daemonize: no\n  num-threads: 1\n  interface: " +
         address +
         "\n  interface: ::1\n  access-control: 127.0.0.0/8 allow\n  access-control: ::1 allow\n  module-config: "
         "\"iterator\"\n  do-not-query-localhost: yes\n"
         "  ip-ratelimit: 0\n  root-hints: \"\"\n  local-zone: \".\" static\n" +
         data + "remote-control:\n  control-enable: no\n";
}

std::string UnboundName(int i) {
  return "host" + std::to_string(i) + ".example.com";
}

std::string UnboundAddress(int i) {
  return "8." + std::to_string(1 + i / 250) + "." + std::to_string(1 + i % 250) + ".9";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(dns_gate_real)

BOOST_AUTO_TEST_CASE(unbound) {
  if (Missing(kUnbound)) {
    return;
  }
  Directory directory;
  std::string data = "  local-data: \"probe. 60 IN A 8.8.8.8\"\n";
  data += "  local-data: \"api.example.com. 120 IN A 8.8.8.1\"\n  local-data: \"api.example.com. 120 IN A 8.8.8.2\"\n";
  data += "  local-data: \"api.example.com. 120 IN AAAA 2600::1\"\n";
  data += "  local-data: 'api.example.com. 120 IN TXT \"" + std::string(200, 'x') + "\"'\n";
  data += "  local-data: \"inside.example.com. 120 IN A 192.168.3.4\"\n";
  for (int i = 1; i <= 200; ++i) {
    data += "  local-data: \"large.example.com. 60 IN A 8.9.9." + std::to_string(i) + "\"\n";
  }
  // A zone, for the chain of CNAMEs and the negative answers with their SOA.
  const std::string zone =
      directory.Write("zone",
                      "zone.example.net. 900 IN SOA ns.zone.example.net. me.zone.example.net. 1 2 3 4 77\n"
                      "zone.example.net. 900 IN NS ns.zone.example.net.\n"
                      "www.zone.example.net. 300 IN CNAME lb.zone.example.net.\n"
                      "lb.zone.example.net. 30 IN CNAME edge.zone.example.net.\n"
                      "edge.zone.example.net. 60 IN A 8.8.8.3\n");
  data += "  local-zone: \"zone.example.net.\" transparent\nauth-zone:\n  name: \"zone.example.net.\"\n  zonefile: \"" +
          zone + "\"\n  for-downstream: yes\n  for-upstream: no\n  fallback-enabled: no\n";
  const std::string file = directory.Write("unbound.conf", UnboundConfig("127.0.0.1", data));
  Config config;
  config.names = {{.domain = "example.com", .wildcard = true, .group = 1},
                  {.domain = "zone.example.net", .wildcard = true, .group = 2}};
  config.servers = {test::Address("::1")};
  World world{config};
  world.Run({kUnbound, "-d", "-c", file}, "127.0.0.1", "probe");
  BOOST_REQUIRE(world.Start());
  const Said both = world.Ask("api.example.com", "A");
  BOOST_TEST((both.text == "NOERROR api.example.com. A 8.8.8.1, api.example.com. A 8.8.8.2" ||
              both.text == "NOERROR api.example.com. A 8.8.8.2, api.example.com. A 8.8.8.1"),
             both.text);
  BOOST_TEST(world.Ask("api.example.com", "AAAA").text == "NOERROR api.example.com. AAAA 2600::1");
  BOOST_TEST(world.Ask("api.example.com", "TXT").text ==
             "NOERROR api.example.com. TXT \"" + std::string(200, 'x') + "\"");
  BOOST_TEST(world.Ask("inside.example.com", "A").text == "NOERROR");
  const Said chain = world.Ask("www.zone.example.net", "A");
  BOOST_TEST(chain.text ==
             "NOERROR www.zone.example.net. CNAME lb.zone.example.net., lb.zone.example.net. CNAME "
             "edge.zone.example.net., edge.zone.example.net. A 8.8.8.3");
  BOOST_TEST((chain.ttls == std::vector<std::uint32_t>{30, 30, 30}));
  BOOST_TEST(world.Ask("no.zone.example.net", "A").text.starts_with("NXDOMAIN zone.example.net. SOA "));
  BOOST_TEST(world.Ask("no.zone.example.net", "A").ttls.at(0) <= 77U);
  BOOST_TEST(world.Ask("edge.zone.example.net", "AAAA").text.starts_with("NOERROR zone.example.net. SOA "));
  BOOST_TEST(world.Ask("other.test", "A").text == "REFUSED");
  // 3,200 bytes: by TCP from the server, and by TCP or a large EDNS size to the client; the first 64 addresses.
  BOOST_TEST(world.Ask("large.example.com", "A").text == "NOERROR TC");
  BOOST_TEST(world.Ask("large.example.com", "A", {.edns = 4096}).ttls.size() == kMaxAddresses);
  BOOST_TEST(world.Ask("large.example.com", "A", {.tcp = true}).ttls.size() == kMaxAddresses);
  BOOST_TEST(world.shared.count == 2 + 1 + 1 + kMaxAddresses);
}

BOOST_AUTO_TEST_CASE(dnsmasq_in_place_of_one_that_is_away) {
  if (Missing(kDnsmasq)) {
    return;
  }
  Config config;
  config.names = {{.domain = "example.com", .wildcard = true, .group = 1}};
  config.servers = {test::Address("127.0.0.1"), test::Address("127.0.0.2")};
  World world{config};
  world.Run({kDnsmasq, "--keep-in-foreground", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--no-poll",
             "--bind-interfaces", "--listen-address=127.0.0.2", "--pid-file=", "--user=root", "--local=/com/",
             "--local-ttl=33", "--address=/probe/8.8.8.8", "--host-record=api.example.com,8.8.8.1,2600::1",
             "--cname=www.example.com,api.example.com", "--txt-record=api.example.com,hello"},
            "127.0.0.2", "probe");
  BOOST_REQUIRE(world.Start());
  const Said said = world.Ask("www.example.com", "A");
  BOOST_TEST(said.text == "NOERROR www.example.com. CNAME api.example.com., api.example.com. A 8.8.8.1");
  BOOST_TEST((said.ttls == std::vector<std::uint32_t>{33, 33}));
  BOOST_TEST(world.Ask("api.example.com", "AAAA").text == "NOERROR api.example.com. AAAA 2600::1");
  BOOST_TEST(world.Ask("api.example.com", "TXT").text == "NOERROR api.example.com. TXT \"hello\"");
  BOOST_TEST(world.Ask("no.example.com", "A").text == "NXDOMAIN");
  world.EndServer(0);
  BOOST_TEST(world.Ask("other.example.com", "A").text == "SERVFAIL");
}

BOOST_AUTO_TEST_CASE(a_thousand_names_and_many_queries) {
  if (Missing(kUnbound)) {
    return;
  }
  constexpr int kNames = 1000;
  constexpr int kQueries = 8000;
  constexpr int kSeconds = 4;
  Directory directory;
  std::string data = "  local-data: \"probe. 60 IN A 8.8.8.8\"\n";
  Config config;
  for (int i = 0; i < kNames; ++i) {
    data += "  local-data: \"" + UnboundName(i) + ". 300 IN A " + UnboundAddress(i) + "\"\n";
    config.names.push_back({.domain = UnboundName(i), .wildcard = false, .group = static_cast<std::uint32_t>(i)});
  }
  config.servers = {test::Address("127.0.0.1")};
  const std::string file = directory.Write("unbound.conf", UnboundConfig("127.0.0.1", data));
  World world{config};
  world.Run({kUnbound, "-d", "-c", file}, "127.0.0.1", "probe");
  BOOST_REQUIRE(world.Start());
  // At an even pace, whether answers come or not. Every fifth name is not allowed.
  const Fd client = world.Client();
  std::vector<bool> answered(kQueries);
  int right = 0;
  int wrong = 0;
  int busy = 0;
  const auto take = [&](int timeout) {
    const std::optional<Bytes> answer = World::Receive(client.get(), timeout);
    if (!answer) {
      return false;
    }
    const Said said = test::Read(*answer);
    const int i = said.id;
    const std::string expected =
        i % 5 == 4 ? "REFUSED" : "NOERROR " + UnboundName(i % kNames) + ". A " + UnboundAddress(i % kNames);
    if (i < kQueries && said.text == expected) {
      right += answered[static_cast<std::size_t>(i)] ? 0 : 1;
      answered[static_cast<std::size_t>(i)] = true;
    } else {
      (said.text == "SERVFAIL" ? busy : wrong) += 1;
    }
    return true;
  };
  const auto ask = [&](int i) {
    const std::string name = i % 5 == 4 ? "not" + std::to_string(i) + ".example.com" : UnboundName(i % kNames);
    const Bytes query = test::Query(name, "A", {.id = static_cast<std::uint16_t>(i)});
    (void)::send(client.get(), query.data(), query.size(), 0);
  };
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kQueries; ++i) {
    const auto due = start + std::chrono::microseconds{1'000'000LL * kSeconds * i / kQueries};
    while (std::chrono::steady_clock::now() < due) {
      (void)take(1);
    }
    ask(i);
  }
  while (right < kQueries && take(200)) {
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  BOOST_TEST_MESSAGE("DNS gate: " << right << " of " << kQueries << " answered in " << took.count()
                                  << " s: " << static_cast<int>(right / took.count()) << " a second");
  // What a machine with too much to do has lost is asked for again, as a resolver would.
  for (int round = 0; round < 100 && right < kQueries; ++round) {
    for (int i = 0, sent = 0; i < kQueries && sent < 100; ++i) {
      if (!answered[static_cast<std::size_t>(i)]) {
        ask(i);
        ++sent;
      }
    }
    while (right < kQueries && take(200)) {
    }
  }
  BOOST_TEST(right == kQueries);
  BOOST_TEST(wrong == 0);
  // Each name once, to its own group.
  BOOST_TEST(world.shared.count == 800U);
  std::set<std::uint32_t> groups;
  for (std::size_t i = 0; i < world.shared.count; ++i) {
    const Grant& grant = world.shared.grants.at(i);
    groups.insert(grant.group);
    BOOST_TEST(AddressText(grant.address) == UnboundAddress(static_cast<int>(grant.group)));
  }
  BOOST_TEST(groups.size() == 800U);
}

// The time that a first answer takes through the gate, beside asking the server itself: printed, not asserted.
BOOST_AUTO_TEST_CASE(a_first_answer) {
  if (Missing(kUnbound)) {
    return;
  }
  constexpr int kNames = 300;
  Directory directory;
  std::string data = "  local-data: \"probe. 60 IN A 8.8.8.8\"\n";
  for (int i = 0; i < kNames; ++i) {
    data += "  local-data: \"" + UnboundName(i) + ". 300 IN A " + UnboundAddress(i) + "\"\n";
  }
  Config config;
  config.names = {{.domain = "example.com", .wildcard = true, .group = 0}};
  config.servers = {test::Address("127.0.0.1")};
  const std::string file = directory.Write("unbound.conf", UnboundConfig("127.0.0.1", data));
  World world{config};
  world.Run({kUnbound, "-d", "-c", file}, "127.0.0.1", "probe");
  BOOST_REQUIRE(world.Start());
  Fd direct;
  {
    const test::InNamespace there{world.host};
    direct = Fd{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    const sockaddr_in address = test::Port53("127.0.0.1");
    BOOST_REQUIRE(::connect(direct.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  }
  const Fd client = world.Client();
  const auto ask = [](const Fd& socket, const std::string& name) {
    const Bytes query = test::Query(name, "A");
    const auto start = std::chrono::steady_clock::now();
    test::Check(::send(socket.get(), query.data(), query.size(), 0) > 0, "send");
    const bool answered = World::Receive(socket.get()).has_value();
    const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - start;
    test::Check(answered, "answer");
    return took.count();
  };
  std::vector<double> asked;
  std::vector<double> first;
  std::vector<double> second;
  for (int i = 0; i < kNames; ++i) {
    asked.push_back(ask(direct, UnboundName(i)));
    first.push_back(ask(client, UnboundName(i)));
    second.push_back(ask(client, UnboundName(i)));
  }
  const auto median = [](std::vector<double>& values) {
    std::ranges::nth_element(values, values.begin() + kNames / 2);
    return static_cast<int>(values[kNames / 2]);
  };
  BOOST_TEST_MESSAGE("DNS gate: median of the server " << median(asked) << " us, of a first answer " << median(first)
                                                       << " us, of a second one " << median(second) << " us");
  BOOST_TEST(world.shared.count == std::size_t{kNames});
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::gate
