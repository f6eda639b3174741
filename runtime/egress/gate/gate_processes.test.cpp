// The processes of the gate from outside: what they may do, and what becomes of the container's names when they end.
#include <boost/test/unit_test.hpp>
#include <fstream>
#include <sstream>

#include "base/fd.h"
#include "runtime/egress/gate/confine.h"
#include "runtime/egress/gate/gate.h"
#include "runtime/egress/gate/test_world.h"

#define NEEDS_ROOT                                          \
  if (test::Unable()) {                                     \
    BOOST_TEST_MESSAGE("skipped: only root can set it up"); \
    return;                                                 \
  }

namespace nucleus::gate {
namespace {

using test::World;

Config OneName() {
  Config config;
  config.names = {{.domain = "test", .wildcard = true, .group = 0}};
  config.servers = {test::Address("127.0.0.1")};
  return config;
}

test::Handler Any() {
  return [](const ldns_pkt& query, bool) -> std::vector<Bytes> {
    std::string name = test::QuestionOf(query);
    name.resize(name.find(' '));
    return {test::Wire(test::ReplyTo(query, {name + " 50 IN A 8.8.8.1"}).get())};
  };
}

std::string StatusLine(pid_t pid, const std::string& key) {
  std::ifstream in{"/proc/" + std::to_string(pid) + "/status"};
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(key + ":")) {
      std::string value = line.substr(key.size() + 1);
      std::ranges::replace(value, '\t', ' ');
      return value.substr(value.find_first_not_of(' ') == std::string::npos ? value.size()
                                                                            : value.find_first_not_of(' '));
    }
  }
  return "gone";
}

// By what they may do. -1: there is none.
struct Two {
  pid_t setter = -1;
  pid_t parser = -1;
};

Two FindBoth(pid_t gate) {
  Two two;
  std::ifstream in{"/proc/" + std::to_string(gate) + "/task/" + std::to_string(gate) + "/children"};
  for (pid_t pid = 0; in >> pid;) {
    if (StatusLine(pid, "Seccomp") != "2") {
      continue;
    }
    (StatusLine(pid, "CapEff") == "0000000000000000" ? two.parser : two.setter) = pid;
  }
  return two;
}

Two AwaitBoth(pid_t gate, Two old) {
  for (int i = 0; i < 2000; ++i) {
    const Two two = FindBoth(gate);
    if (two.setter > 0 && two.parser > 0 && two.setter != old.setter && two.parser != old.parser) {
      return two;
    }
    ::poll(nullptr, 0, 10);
  }
  return {};
}

bool IsGone(pid_t pid) {
  for (int i = 0; i < 2000; ++i) {
    if (::kill(pid, 0) != 0 || StatusLine(pid, "State").starts_with("Z")) {
      return true;
    }
    ::poll(nullptr, 0, 10);
  }
  return false;
}

std::vector<std::string> Descriptors(pid_t pid) {
  std::vector<std::string> result;
  for (int fd = 0; fd < 64; ++fd) {
    std::array<char, 256> target{};
    const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(fd);
    if (::readlink(path.c_str(), target.data(), target.size() - 1) > 0) {
      std::string text = target.data();
      result.push_back(text.substr(0, text.find(':')));
    }
  }
  return result;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(dns_gate_processes)

BOOST_AUTO_TEST_CASE(what_they_may_do) {
  NEEDS_ROOT
  World world{OneName()};
  world.Add("127.0.0.1", Any());
  BOOST_REQUIRE(world.Start());
  const Two two = FindBoth(world.gate.pid());
  BOOST_REQUIRE(two.parser > 0);
  BOOST_REQUIRE(two.setter > 0);
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    BOOST_TEST(StatusLine(two.parser, set) == "0000000000000000", set);
  }
  for (const char* set : {"CapPrm", "CapEff", "CapBnd"}) {
    BOOST_TEST(StatusLine(two.setter, set) == "0000000000001000", set);  // CAP_NET_ADMIN
  }
  for (const char* set : {"CapInh", "CapAmb"}) {
    BOOST_TEST(StatusLine(two.setter, set) == "0000000000000000", set);
  }
  BOOST_TEST(StatusLine(two.parser, "Uid") == "65534 65534 65534 65534");
  BOOST_TEST(StatusLine(two.parser, "Gid") == "65534 65534 65534 65534");
  BOOST_TEST(StatusLine(two.parser, "Groups") == "");
  for (const pid_t pid : {two.parser, two.setter}) {
    BOOST_TEST(StatusLine(pid, "NoNewPrivs") == "1");
    BOOST_TEST(StatusLine(pid, "Seccomp") == "2");
    // Not dumpable: its files in /proc are root's.
    struct stat status{};
    BOOST_REQUIRE(::stat(("/proc/" + std::to_string(pid) + "/environ").c_str(), &status) == 0);
    BOOST_TEST(status.st_uid == 0U);
  }
  // Its sockets, the report, the events, and /dev/null for the streams and in the numbers below the first free one.
  std::map<std::string, int> kinds;
  for (const std::string& kind : Descriptors(two.parser)) {
    ++kinds[kind];
  }
  BOOST_TEST(kinds["socket"] == 4);
#if defined(__SANITIZE_ADDRESS__) || defined(__clang__)
  BOOST_TEST((kinds["pipe"] == 1 || kinds["pipe"] == 2));  // a sanitizer keeps the error stream, under ctest a pipe
#else
  BOOST_TEST(kinds["pipe"] == 1);
#endif
  BOOST_TEST(kinds["anon_inode"] == 1);
  BOOST_TEST(kinds["/dev/null"] >= 9);
  BOOST_TEST(kinds.size() <= 5U);
  kinds.clear();
  for (const std::string& kind : Descriptors(two.setter)) {
    ++kinds[kind];
  }
  BOOST_TEST(kinds["socket"] == 2);
  BOOST_TEST(kinds.size() <= 3U);
}

BOOST_AUTO_TEST_CASE(a_death_is_followed_by_a_restart) {
  NEEDS_ROOT
  World world{OneName()};
  world.Add("127.0.0.1", Any());
  BOOST_REQUIRE(world.Start());
  Two two = AwaitBoth(world.gate.pid(), {});
  int names = 0;
  for (const bool parser : {true, false, true}) {
    BOOST_TEST(world.Ask("n" + std::to_string(++names) + ".test", "A").text.starts_with("NOERROR"));
    const pid_t victim = parser ? two.parser : two.setter;
    BOOST_REQUIRE(victim > 0);
    // The other one goes with it.
    ::kill(victim, SIGKILL);
    BOOST_TEST(IsGone(two.parser));
    BOOST_TEST(IsGone(two.setter));
    two = AwaitBoth(world.gate.pid(), two);
    BOOST_TEST(two.parser > 0);
    // Nothing that was known is known any more: the sets are asked again.
    const std::size_t granted = world.shared.count;
    const std::string name = "n" + std::to_string(names) + ".test";
    BOOST_TEST(world.Ask(name, "A").text == "NOERROR " + name + ". A 8.8.8.1");
    BOOST_TEST(world.shared.count == granted + 1);
  }
  BOOST_TEST(world.shared.opened == 4U);
  const std::string report = world.Reported();
  BOOST_TEST(report.find("\"died\":\"parser\",\"signal\":9,\"then\":\"restart\"") != std::string::npos, report);
  BOOST_TEST(report.find("\"died\":\"setter\",\"signal\":9,\"then\":\"restart\"") != std::string::npos, report);
}

BOOST_AUTO_TEST_CASE(a_death_while_a_set_is_waited_for_is_no_answer) {
  NEEDS_ROOT
  for (const bool parser : {true, false}) {
    World world{OneName()};
    world.Add("127.0.0.1", Any());
    BOOST_REQUIRE(world.Start());
    const Two two = AwaitBoth(world.gate.pid(), {});
    world.shared.hold = true;
    const Fd client = world.Client();
    const Bytes query = test::Query("a.test", "A");
    BOOST_REQUIRE(::send(client.get(), query.data(), query.size(), 0) > 0);
    while (world.shared.adding == 0) {
      ::poll(nullptr, 0, 1);
    }
    ::kill(parser ? two.parser : two.setter, SIGKILL);
    const Two next = AwaitBoth(world.gate.pid(), two);
    BOOST_TEST(next.parser > 0);
    BOOST_TEST(!World::Receive(client.get(), 200).has_value());
    BOOST_TEST(world.shared.count == 0U);
    world.shared.hold = false;
    BOOST_TEST(world.Ask("a.test", "A").text == "NOERROR a.test. A 8.8.8.1");
  }
}

BOOST_AUTO_TEST_CASE(a_death_ends_the_container) {
  NEEDS_ROOT
  for (const bool parser : {true, false}) {
    World world{OneName(), OnDeath::kEndContainer};
    world.Add("127.0.0.1", Any());
    BOOST_REQUIRE(world.Start());
    const Two two = AwaitBoth(world.gate.pid(), {});
    BOOST_REQUIRE(two.parser > 0);
    ::kill(parser ? two.parser : two.setter, SIGKILL);
    const int status = world.gate.Wait();
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(WEXITSTATUS(status) == 1);
    const int init = world.init.Wait();
    BOOST_TEST(WIFSIGNALED(init));
    BOOST_TEST(WTERMSIG(init) == SIGKILL);
    BOOST_TEST(IsGone(two.parser));
    BOOST_TEST(IsGone(two.setter));
    BOOST_TEST(std::string{world.shared.text.data()}.ends_with(" has ended, and the container with it"));
  }
}

BOOST_AUTO_TEST_CASE(nothing_outlives_the_container) {
  NEEDS_ROOT
  World world{OneName()};
  BOOST_REQUIRE(world.Start());
  const Two two = AwaitBoth(world.gate.pid(), {});
  BOOST_REQUIRE(two.parser > 0);
  world.init.End();
  const int status = world.gate.Wait();
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 0);
  BOOST_TEST(IsGone(two.parser));
  BOOST_TEST(IsGone(two.setter));
}

BOOST_AUTO_TEST_CASE(it_stops_when_it_is_told_to) {
  NEEDS_ROOT
  World world{OneName()};
  std::array<int, 2> pipe{};
  BOOST_REQUIRE(::pipe2(pipe.data(), O_CLOEXEC) == 0);
  world.stop = pipe[0];
  BOOST_REQUIRE(world.Start());
  const Two two = AwaitBoth(world.gate.pid(), {});
  BOOST_REQUIRE(two.parser > 0);
  BOOST_TEST(::write(pipe[1], "1", 1) == 1);
  const int status = world.gate.Wait();
  BOOST_TEST(WIFEXITED(status));
  BOOST_TEST(WEXITSTATUS(status) == 0);
  BOOST_TEST(IsGone(two.parser));
  BOOST_TEST(IsGone(two.setter));
  BOOST_TEST(::kill(world.init.pid(), 0) == 0);
  // Another one takes its place.
  world.stop = -1;
  BOOST_TEST(world.Start());
  BOOST_TEST(world.Ask("a.example", "A").text == "REFUSED");
  ::close(pipe[0]);
  ::close(pipe[1]);
}

BOOST_AUTO_TEST_CASE(a_flood_grows_nothing) {
  NEEDS_ROOT
  World world{OneName()};
  // It is mute: everything that is asked for is waited for.
  world.Add("127.0.0.1", [](const ldns_pkt&, bool) { return std::vector<Bytes>{}; });
  BOOST_REQUIRE(world.Start());
  const Two two = AwaitBoth(world.gate.pid(), {});
  BOOST_REQUIRE(two.parser > 0);
  const Fd client = world.Client();
  std::vector<Fd> crowd;
  std::map<std::string, int> said;
  for (int i = 0; i < 150'000; ++i) {
    // Most are of one kind each: other names; the same name; not allowed; hosts that never send what they promise.
    const std::string name = i % 3 == 0 ? "same.test" : "n" + std::to_string(i) + (i % 3 == 1 ? ".test" : ".evil");
    const Bytes query = test::Query(name, "A", {.id = static_cast<std::uint16_t>(i)});
    (void)::send(client.get(), query.data(), query.size(), MSG_DONTWAIT);
    if (i % 1500 == 0) {
      crowd.push_back(world.TcpClient());
      (void)::send(crowd.back().get(), "\0\x20half", 6, MSG_NOSIGNAL);
    }
    if (i % 50 == 0) {
      while (const std::optional<Bytes> got = World::Receive(client.get(), 0)) {
        ++said[test::Read(*got).text];
      }
    }
  }
  // What is too much is told so.
  BOOST_TEST(said["SERVFAIL"] > 0);
  // What does not fit into the socket is lost, so a client asks again.
  const Fd patient = world.Client();
  const Bytes query = test::Query("b.evil", "A");
  std::optional<Bytes> answer;
  for (int i = 0; i < 100 && !answer; ++i) {
    (void)::send(patient.get(), query.data(), query.size(), MSG_DONTWAIT);
    answer = World::Receive(patient.get(), 100);
  }
  BOOST_REQUIRE(answer.has_value());
  BOOST_TEST(test::Read(*answer).text == "REFUSED");
  // kB. A sanitizer has memory of its own.
  const int most = std::stoi(StatusLine(two.parser, "VmHWM"));
  BOOST_TEST_MESSAGE("DNS gate: " << most << " kB at most in a flood");
  BOOST_TEST((most < 32 * 1024 || kSanitized), most);
  const Two after = FindBoth(world.gate.pid());
  BOOST_TEST(after.parser == two.parser);
  BOOST_TEST(after.setter == two.setter);
}

BOOST_AUTO_TEST_CASE(nothing_outlives_the_supervisor) {
  NEEDS_ROOT
  World world{OneName()};
  BOOST_REQUIRE(world.Start());
  const Two two = AwaitBoth(world.gate.pid(), {});
  BOOST_REQUIRE(two.parser > 0);
  world.gate.End();
  BOOST_TEST(IsGone(two.parser));
  BOOST_TEST(IsGone(two.setter));
  // And nobody answers in its place.
  const Fd client = world.Client();
  const Bytes query = test::Query("a.test", "A");
  (void)::send(client.get(), query.data(), query.size(), 0);
  BOOST_TEST(!World::Receive(client.get(), 100).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::gate
