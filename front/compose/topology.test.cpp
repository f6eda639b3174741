#include "front/compose/topology.h"

#include <boost/test/unit_test.hpp>

#include "front/compose/parse.h"

namespace nucleus::front::compose {
namespace {

// "3 services.web.x" of each problem.
std::vector<std::string> Told(std::string_view text) {
  std::vector<std::string> told;
  for (const Problem& problem : ReadTopology(text, "project").problems) {
    told.push_back(std::to_string(problem.at.line) + " " + problem.at.key);
  }
  return told;
}

using Words = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(compose_topology)

BOOST_AUTO_TEST_CASE(a_whole_one) {
  const Reading reading = ReadTopology(R"(
name = "shop"
[services.web]
command = ["/bin/web", "-v"]
rootfs = "/srv/web"
mode = "agent"
memory = "64m"
networks = ["front"]
volume = ["data:/data:rw", "/etc/hosts:/hosts", "./x:/x"]
secret = ["token", "token:/run/other"]
depends_on = { db = "healthy", job = "completed" }
deny = ["10.0.0.0/8"]
[services.db]
command = ["db"]
health-cmd = "true"
restart = "always"
[services.job]
bundle = "/srv/job"
depends_on = ["db"]
[networks.front]
[volumes.data]
owner = "5:6"
[volumes.scratch]
kind = "ephemeral"
[secrets.token]
env = "TOKEN"
)",
                                       "project");
  for (const Problem& problem : reading.problems) {
    BOOST_TEST_MESSAGE(problem.at.key + ": " + problem.message);
  }
  BOOST_REQUIRE(reading.problems.empty());
  const Topology& topology = reading.topology;
  BOOST_TEST(topology.name == "shop");
  const ServiceEntry& web = topology.services.at("web");
  BOOST_TEST((web.options.command == Words{"/bin/web", "-v"}));
  BOOST_TEST(web.options.memory.value() == 64 << 20);
  BOOST_TEST(web.options.hostname == "web");
  BOOST_TEST(web.mode == "agent");
  BOOST_REQUIRE(web.volumes.size() == 1U);
  BOOST_TEST(web.volumes[0].name == "data");
  BOOST_TEST(web.volumes[0].destination == "/data");
  BOOST_TEST(web.volumes[0].writable);
  BOOST_TEST(web.options.volumes.size() == 2U);
  BOOST_REQUIRE(web.secrets.size() == 2U);
  BOOST_TEST(web.secrets[0].destination == "/run/secrets/token");
  BOOST_TEST(web.secrets[1].destination == "/run/other");
  BOOST_TEST((web.depends_on.at("db").condition == Condition::kHealthy));
  BOOST_TEST((web.depends_on.at("job").condition == Condition::kCompleted));
  BOOST_TEST(topology.services.at("job").bundle == "/srv/job");
  BOOST_TEST(topology.volumes.at("data").persistent);
  BOOST_TEST((topology.volumes.at("data").owner == std::pair<std::uint32_t, std::uint32_t>{5, 6}));
  BOOST_TEST(!topology.volumes.at("scratch").persistent);
  BOOST_TEST(topology.secrets.at("token").variable == "TOKEN");
}

BOOST_AUTO_TEST_CASE(each_problem_has_its_place) {
  BOOST_TEST((Told("") == Words{"1 services"}));
  BOOST_TEST((Told("services = 1") == Words{"1 services"}));
  BOOST_TEST((Told("[services]\nweb = 1") == Words{"2 services.web"}));
  BOOST_TEST((Told("[services.Web]\ncommand = [\"x\"]") == Words{"1 services.Web"}));
  BOOST_TEST(
      (Told("[services.a]\ncommand = [\"x\", 1]\nmode = 1\nuser = \"x\"\nworkspace-exec = 1\n") ==
       Words{"2 services.a.command[1]", "3 services.a.mode", "4 services.a.user", "5 services.a.workspace-exec"}));
  BOOST_TEST(
      (Told("[services.a]\ncommand = [\"x\"]\nvolume = [\"a\", \"a:b\"]\nsecret = [\"\", \"a:../b\"]\n") ==
       Words{"3 services.a.volume[0]", "3 services.a.volume[1]", "4 services.a.secret[0]", "4 services.a.secret[1]"}));
  BOOST_TEST((Told("[services.a]\ncommand = [\"x\"]\ndepends_on = [\"b\", \"b\"]\n[services.b]\ncommand = [\"x\"]\n") ==
              Words{"3 services.a.depends_on[1]"}));
  BOOST_TEST((Told("[services.a]\ncommand = [\"x\"]\negress = \"f\"\nallow = [\"10.0.0.0/8\"]\n") ==
              Words{"4 services.a.allow"}));
  BOOST_TEST((Told("[services.a]\ncommand = [\"x\"]\nallow = [\"a:99999\"]\ndeny = [\"example.org\"]\n") ==
              Words{"3 services.a.allow[0]", "4 services.a.deny[0]"}));
  BOOST_TEST((Told("[services.a]\ncommand = [\"x\"]\ndepends_on = [\"a\"]\n") == Words{"3 services.a.depends_on[0]"}));
  BOOST_TEST((Told("[services.a]\ncommand = [\"x\"]\nrestart = \"always\"\n[services.b]\ncommand = [\"x\"]\n"
                   "depends_on = { a = \"completed\" }\n") == Words{"6 services.b.depends_on.a"}));
  BOOST_TEST((Told("[services.a\n") == Words{"1 "}));
  BOOST_TEST((Told("[services.a]\ncommand = [\"x\"]\nname = \xff") == Words{"3 "}));
}

BOOST_AUTO_TEST_CASE(the_projects_name) {
  const std::string service = "[services.a]\ncommand = [\"x\"]\n";
  BOOST_TEST(ReadTopology(service, "dir").topology.name == "dir");
  BOOST_TEST(ReadTopology(service, "My Project").problems.size() == 1U);
  BOOST_TEST(ReadTopology("name = \"good\"\n" + service, "My Project").problems.empty());
  for (const char* name : {"", ".", "-a", "a.b", "A", "a b"}) {
    BOOST_TEST(!IsLabel(name), name);
  }
  BOOST_TEST(!IsLabel(std::string(64, 'a')));
  BOOST_TEST(IsLabel("a-b_9"));
}

BOOST_AUTO_TEST_CASE(words_of_the_command_line) {
  const auto read = [](const Words& words) { return ParseCompose(words); };
  BOOST_TEST((read({"up"}).value().verb == Verb::kUp));
  BOOST_TEST(read({"up"}).value().file == "topology.toml");
  BOOST_TEST(read({"-f", "a", "plan", "--json"}).value().json);
  BOOST_TEST(read({"plan", "--file=a"}).value().file == "a");
  const CommandLine logs = read({"logs", "-f", "a", "-f", "-n", "3", "web", "db"}).value();
  BOOST_TEST(logs.follow);
  BOOST_TEST(logs.last == 3);
  BOOST_TEST((logs.services == Words{"web", "db"}));
  BOOST_TEST((read({"--help"}).value().verb == Verb::kHelp));
  for (const Words& words :
       {Words{}, Words{"-f"}, Words{"-f", "a"}, Words{"up", "-f", "a", "-f", "b"}, Words{"down", "x"},
        Words{"ps", "--follow"}, Words{"up", "-n", "1"}, Words{"logs", "-n", "-1"}}) {
    BOOST_TEST(!read(words).has_value());
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::front::compose
