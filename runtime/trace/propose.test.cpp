#include "runtime/trace/propose.h"

#include <boost/test/unit_test.hpp>
#include <set>

#include "policies/egress_policy.h"
#include "policies/landlock_policy.h"
#include "runtime/trace/observe.h"

namespace nucleus::trace {
namespace {

Trace Files(std::initializer_list<std::pair<const char*, const char*>> uses) {
  Trace trace;
  for (const auto& [path, use] : uses) {
    ++trace.files[{.what = path, .use = use, .syscall = "openat", .program = "sh"}];
  }
  return trace;
}

Trace Connections(std::initializer_list<std::pair<const char*, const char*>> uses) {
  Trace trace;
  for (const auto& [what, use] : uses) {
    ++trace.connections[{.what = what, .use = use, .syscall = use, .program = "sh"}];
  }
  return trace;
}

// Directories end in a slash here.
KindOf Tree(std::set<std::string> paths) {
  return [paths = std::move(paths)](const std::string& path) {
    return path == "/" || paths.contains(path + "/") ? Kind::kDirectory
           : paths.contains(path)                    ? Kind::kFile
                                                     : Kind::kMissing;
  };
}

std::map<std::string, unsigned> Rules(const Trace& trace, const KindOf& kind_of) {
  const std::string text = ProposeLandlock(trace, kind_of);
  const Result<policies::LandlockPolicy> policy = policies::ParseLandlockPolicy(text, "p");
  BOOST_REQUIRE_MESSAGE(policy, (policy ? "" : policy.error().message) + "\n" + text);
  std::map<std::string, unsigned> rules;
  for (const policies::LandlockRule& rule : policy->rules) {
    rules[rule.path] = rule.access;
  }
  return rules;
}

using Expected = std::map<std::string, unsigned>;
constexpr unsigned kRead = policies::kLandlockRead;
constexpr unsigned kExecute = policies::kLandlockExecute;

BOOST_AUTO_TEST_SUITE(trace_propose)

BOOST_AUTO_TEST_CASE(plain_paths) {
  BOOST_TEST(PlainPath("/a/b", "c") == "/a/b/c");
  BOOST_TEST(PlainPath("/a/b", "../../../c//./d/") == "/c/d");
  BOOST_TEST(PlainPath("/a", "..") == "/");
  BOOST_TEST(PlainPath("/a", "/b") == "/b");
}

BOOST_AUTO_TEST_CASE(files_and_directories) {
  const KindOf tree = Tree({"/usr/", "/usr/bin/", "/usr/bin/sh", "/etc/", "/etc/a", "/data/", "/data/1", "/data/2",
                            "/data/3", "/data/4", "/lib64/"});
  BOOST_TEST((Rules(Files({{"/usr/bin/sh", "execute"}, {"/etc/a", "read"}, {"/etc/none", "read"}}), tree) ==
              Expected{{"/usr", kRead | kExecute}, {"/lib64", kRead | kExecute}, {"/etc/a", kRead}}));
  BOOST_TEST((Rules(Files({{"/data/1", "read"}, {"/data/2", "read"}, {"/data/3", "read"}, {"/data/4", "read"}}),
                    tree) == Expected{{"/data", kRead}}));
}

BOOST_AUTO_TEST_CASE(what_came_and_went_is_its_directory) {
  const KindOf tree = Tree({"/tmp/"});
  const auto rules = Rules(Files({{"/tmp/a/b", "create"}, {"/tmp/a/b", "write"}, {"/tmp/a/b", "read"}}), tree);
  BOOST_TEST((rules == Expected{{"/tmp", kRead | policies::kLandlockWrite | policies::kLandlockCreate}}));
}

BOOST_AUTO_TEST_CASE(never_all_of_the_root) {
  const Trace trace = Files({{"/", "read"}, {"/x", "create"}, {"/x", "write"}});
  BOOST_TEST(Rules(trace, Tree({})).empty());
  BOOST_TEST(ProposeLandlock(trace, Tree({})).find("Not proposed") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(names_cannot_say_more_than_a_name) {
  const KindOf tree = Tree({"/a/", "/a/\n[[rules]]", "/a/\"\\\x01"});
  const auto rules =
      Rules(Files({{"/a/\n[[rules]]", "read"}, {"/a/\"\\\x01", "read"}, {"/\xEF\xBF\xBD", "read"}}), tree);
  BOOST_TEST((rules == Expected{{"/a/\n[[rules]]", kRead}, {"/a/\"\\\x01", kRead}}));
  BOOST_TEST(Evidence({{"x\n[[tcp]]", {{"open", 1}}}}) == "x?[[tcp]]: open 1");
}

BOOST_AUTO_TEST_CASE(ports) {
  const std::string text = ProposeLandlock(
      Connections({{"tcp/80 1.2.3.4", "connect"}, {"tcp/80 0.0.0.0", "bind"}, {"udp/53 1.1.1.1", "connect"}}),
      Tree({}));
  const Result<policies::LandlockPolicy> policy = policies::ParseLandlockPolicy(text, "p");
  BOOST_REQUIRE(policy);
  BOOST_REQUIRE(policy->tcp.size() == 1U);
  BOOST_TEST(policy->tcp[0].port == 80);
  BOOST_TEST(policy->tcp[0].access == (policies::kLandlockBind | policies::kLandlockConnect));
}

BOOST_AUTO_TEST_CASE(addresses) {
  const Trace trace = Connections({{"tcp/443 10.0.0.1", "connect"},
                                   {"udp/53 10.0.0.1", "connect"},
                                   {"unknown/9 2001:db8::1", "connect"},
                                   {"tcp/0 10.0.0.2", "connect"},
                                   {"tcp/80 127.0.0.1", "connect"},
                                   {"tcp/80 ::1", "connect"},
                                   {"tcp/80 10.0.0.3", "bind"},
                                   {"tcp/80 nonsense\"", "connect"},
                                   {"nonsense", "connect"}});
  const std::string text = ProposeEgress(trace);
  const Result<policies::EgressPolicy> policy = policies::ParseEgressPolicy(text, "p");
  BOOST_REQUIRE_MESSAGE(policy, (policy ? "" : policy.error().message) + "\n" + text);
  BOOST_REQUIRE(policy->allow.size() == 2U);
  BOOST_TEST(policy->allow[0].cidr->prefix == 32);
  BOOST_TEST(policy->allow[0].ports.size() == 2U);
  BOOST_TEST(policy->allow[1].cidr->prefix == 128);
  BOOST_TEST(policy->allow[1].ports.size() == 2U);
  BOOST_TEST(policies::ParseEgressPolicy(ProposeEgress({}), "p").has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nucleus::trace
