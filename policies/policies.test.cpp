// The documents: what each may say, and that every mistake is named by file, line and key.

#include <boost/test/unit_test.hpp>

#include "policies/capability_policy.h"
#include "policies/egress_policy.h"
#include "policies/landlock_policy.h"
#include "policies/seccomp_policy.h"

namespace nucleus::policies {
namespace {

using Mistakes = std::initializer_list<std::pair<std::string, std::string>>;

template <class Parse>
void CheckMistakes(Parse parse, Mistakes mistakes) {
  for (const auto& [text, message] : mistakes) {
    const auto result = parse(text);
    BOOST_TEST((result ? "accepted: " + text : result.error().message) == message);
  }
}

bool IsSyscall(std::string_view name) {
  return name != "no_such_call" && name.find('\n') == std::string_view::npos;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(capability_policy)

BOOST_AUTO_TEST_CASE(one_list_for_all_sets) {
  const Result<CapabilityPolicy> policy = ParseCapabilityPolicy("keep = [\"CAP_CHOWN\", \"CAP_KILL\"]", "c.toml");
  BOOST_REQUIRE(policy.has_value());
  const oci::Capabilities narrowed = Narrow(
      oci::Capabilities{
          .bounding = {"CAP_KILL", "CAP_SYS_ADMIN"}, .effective = {"CAP_SYS_ADMIN"}, .ambient = {"CAP_CHOWN"}},
      *policy);
  BOOST_TEST(narrowed.bounding == std::vector<std::string>{"CAP_KILL"});
  BOOST_TEST(narrowed.effective.empty());
  BOOST_TEST(narrowed.permitted.empty());
  BOOST_TEST(narrowed.ambient == std::vector<std::string>{"CAP_CHOWN"});
  // Never more than was granted.
  BOOST_TEST(Narrow({}, *policy).bounding.empty());
}

BOOST_AUTO_TEST_CASE(a_table_for_each_set) {
  const Result<CapabilityPolicy> policy =
      ParseCapabilityPolicy("[bounding]\nkeep = [\"CAP_CHOWN\"]\n[ambient]\nkeep = []", "c.toml");
  BOOST_REQUIRE(policy.has_value());
  BOOST_TEST(policy->keep.bounding == std::vector<std::string>{"CAP_CHOWN"});
  BOOST_TEST(policy->keep.ambient.empty());
  BOOST_TEST(policy->keep.permitted.empty());
  BOOST_TEST(ParseCapabilityPolicy("", "c.toml").has_value());
}

BOOST_AUTO_TEST_CASE(mistakes) {
  CheckMistakes([](const std::string& text) { return ParseCapabilityPolicy(text, "c.toml"); },
                {{"keep = [\"CAP_FLY\"]", "c.toml:1: keep[0]: unknown capability \"CAP_FLY\""},
                 {"\nkeep = [\"chown\"]", "c.toml:2: keep[0]: unknown capability \"chown\""},
                 {"keep = [\"CAP_CHOWN\",\n \"CAP_CHOWN\"]", "c.toml:2: keep[1]: \"CAP_CHOWN\" is there twice"},
                 {"keep = 1", "c.toml:1: keep: expected an array of strings"},
                 {"keep = [1]", "c.toml:1: keep[0]: expected a string"},
                 {"kept = []", "c.toml:1: kept: unknown key"},
                 {"[ambient]\nkeeps = []", "c.toml:2: ambient.keeps: unknown key"},
                 {"keep = []\n[ambient]\nkeep = []", "c.toml:2: ambient: not beside a keep for all sets"},
                 {"ambient = []", "c.toml:1: ambient: expected a table"}});
  const auto bytes = ParseCapabilityPolicy("keep = []\n[bo\x90\x9a\x8c]\n", "c.toml");
  BOOST_REQUIRE(!bytes.has_value());
  BOOST_TEST(bytes.error().message == "c.toml:2: is not valid UTF-8");
  BOOST_TEST(!ParseCapabilityPolicy("[\x01"
                                    "bounding]\nkeep = []",
                                    "c.toml")
                  .has_value());
  const auto broken = ParseCapabilityPolicy("keep = [\n", "c.toml");
  BOOST_REQUIRE(!broken.has_value());
  BOOST_TEST(broken.error().message.starts_with("c.toml:"));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(landlock_policy)

BOOST_AUTO_TEST_CASE(all_of_it) {
  const Result<LandlockPolicy> policy = ParseLandlockPolicy(
      "min_abi = 2\nscope = [\"signal\", \"abstract-unix-socket\"]\n"
      "[[rules]]\npath = \"/usr\"\naccess = [\"read\", \"execute\"]\n"
      "[[rules]]\npath = \"/tmp\"\naccess = [\"write\", \"create\", \"remove\", \"refer\", \"truncate\", \"ioctl\"]\n"
      "[[tcp]]\nport = 8080\naccess = [\"bind\"]\n[[tcp]]\nport = 443\naccess = [\"connect\"]\n",
      "l.toml");
  BOOST_REQUIRE(policy.has_value());
  BOOST_TEST(policy->min_abi == 2);
  BOOST_TEST(policy->scope == unsigned{kLandlockSignal | kLandlockAbstractUnix});
  BOOST_REQUIRE(policy->rules.size() == 2U);
  BOOST_TEST(policy->rules[0].path == "/usr");
  BOOST_TEST(policy->rules[0].access == unsigned{kLandlockRead | kLandlockExecute});
  BOOST_TEST(policy->handles_tcp);
  BOOST_TEST(policy->tcp[1].port == 443);
  BOOST_TEST(policy->NeededAbi() == 6);
}

BOOST_AUTO_TEST_CASE(what_each_right_needs) {
  const auto needs = [](const std::string& text) { return ParseLandlockPolicy(text, "l")->NeededAbi(); };
  const auto rule = [](const std::string& access) { return "[[rules]]\npath = \"/\"\naccess = [\"" + access + "\"]"; };
  BOOST_TEST(needs("") == 1);
  BOOST_TEST(needs("min_abi = 4") == 4);
  BOOST_TEST(needs(rule("create")) == 1);
  BOOST_TEST(needs(rule("refer")) == 2);
  BOOST_TEST(needs(rule("truncate")) == 3);
  BOOST_TEST(needs("tcp = []") == 4);
  BOOST_TEST(needs(rule("ioctl")) == 5);
  BOOST_TEST(needs("scope = [\"signal\"]") == 6);
}

BOOST_AUTO_TEST_CASE(mistakes) {
  CheckMistakes(
      [](const std::string& text) { return ParseLandlockPolicy(text, "l.toml"); },
      {{"min_abi = 0", "l.toml:1: min_abi: must be from 1 to 99"},
       {"min_abi = \"3\"", "l.toml:1: min_abi: expected an integer"},
       {"scope = [\"signals\"]",
        "l.toml:1: scope[0]: unknown word \"signals\", must be of abstract-unix-socket, signal"},
       {"[rules]", "l.toml:1: rules: expected tables: [[rules]]"},
       {"[[rules]]\naccess = [\"read\"]", "l.toml:1: rules[0].path: required"},
       {"[[rules]]\npath = \"usr\"\naccess = [\"read\"]",
        "l.toml:2: rules[0].path: must be absolute and without \"..\""},
       {"[[rules]]\npath = \"/a/../b\"\naccess = [\"read\"]",
        "l.toml:2: rules[0].path: must be absolute and without \"..\""},
       {"[[rules]]\npath = \"/\"", "l.toml:1: rules[0].access: required"},
       {"[[rules]]\npath = \"/\"\naccess = [\"fly\"]",
        "l.toml:3: rules[0].access[0]: unknown word \"fly\", must be of read, write, execute, create, remove, refer, "
        "truncate, ioctl"},
       {"[[rules]]\npath = \"/\"\naccess = [\"read\"]\n[[rules]]\npath = \"/\"\naccess = [\"write\"]",
        "l.toml:5: rules[1].path: a second rule for \"/\""},
       {"[[rules]]\npath = \"/\\u0000\"\naccess = [\"read\"]",
        "l.toml:2: rules[0].path: a string with a NUL character"},
       {"[[tcp]]\nport = 65536\naccess = [\"bind\"]", "l.toml:2: tcp[0].port: must be from 0 to 65535"},
       {"[[tcp]]\naccess = [\"bind\"]", "l.toml:1: tcp[0].port: required"},
       {"[[tcp]]\nport = 1\naccess = [\"listen\"]",
        "l.toml:3: tcp[0].access[0]: unknown word \"listen\", must be of bind, connect"},
       {"[[rule]]", "l.toml:1: rule: unknown key"}});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(egress_policy)

BOOST_AUTO_TEST_CASE(all_of_it) {
  const Result<EgressPolicy> policy = ParseEgressPolicy(
      "log = true\n[[allow]]\ncidr = \"10.0.0.0/8\"\nports = [\"tcp/443\", \"udp/8000-8010\"]\n"
      "[[allow]]\ndomain = \"*.Example.com\"\n[[allow]]\ndomain = \"example.com\"\nports = [\"tcp/443\"]\n"
      "[[allow]]\ncidr = \"2001:db8::/32\"\n"
      "[[deny]]\ncidr = \"10.1.2.3\"\n[dns]\nservers = [\"10.0.0.1\", \"2001:db8::53\"]\n",
      "e.toml");
  BOOST_REQUIRE(policy.has_value());
  BOOST_TEST(policy->log);
  BOOST_REQUIRE(policy->allow.size() == 4U);
  BOOST_TEST(policy->allow[0].cidr->prefix == 8);
  BOOST_TEST(policy->allow[0].ports[1].last == 8010);
  BOOST_TEST(policy->allow[1].wildcard);
  BOOST_TEST(policy->allow[1].domain == "example.com");
  BOOST_TEST(!policy->allow[2].wildcard);
  BOOST_TEST(policy->allow[3].cidr->address.v6);
  BOOST_TEST(policy->deny[0].cidr->prefix == 32);
  BOOST_TEST(policy->dns_servers.size() == 2U);
}

BOOST_AUTO_TEST_CASE(broker) {
  const Result<EgressPolicy> policy = ParseEgressPolicy("[broker]\nendpoint = \"[2001:db8::1]:8080\"", "e.toml");
  BOOST_REQUIRE(policy.has_value());
  BOOST_TEST(policy->broker->port == 8080);
  BOOST_TEST(policy->broker->address.v6);
}

BOOST_AUTO_TEST_CASE(mistakes) {
  const auto allow = [](const std::string& text) { return "[[allow]]\n" + text; };
  const std::string network =
      "e.toml:2: allow[0].cidr: must be an IPv4 or IPv6 network, \"10.0.0.0/8\" or \"2001:db8::/32\"";
  const std::string ports =
      "e.toml:3: allow[0].ports[0]: must be \"tcp/PORT\", \"udp/PORT\" or a range, \"tcp/8000-8010\"";
  const std::string domain =
      "e.toml:2: allow[0].domain: must be a domain name, \"api.example.com\" or \"*.example.com\"";
  const auto with_ports = [&](const std::string& text) {
    return allow("cidr = \"10.0.0.1\"\nports = [\"" + text + "\"]");
  };
  CheckMistakes(
      [](const std::string& text) { return ParseEgressPolicy(text, "e.toml"); },
      {{"logs = true", "e.toml:1: logs: unknown key"},
       {"log = 1", "e.toml:1: log: expected true or false"},
       {allow(""), "e.toml:1: allow[0]: must have one of cidr and domain"},
       {allow("cidr = \"10.0.0.1\"\ndomain = \"a.b\""), "e.toml:1: allow[0]: must have one of cidr and domain"},
       {allow("cidr = \"10.0.0.0/33\""), network},
       {allow("cidr = \"10.0.0\""), network},
       {allow("cidr = \"10.0.0.0/08\""), network},
       {allow("cidr = \"::/129\""), network},
       {allow("cidr = \"10.0.0.1/8\""), "e.toml:2: allow[0].cidr: has address bits beyond the prefix"},
       {with_ports("443"), ports},
       {with_ports("tcp/0"), ports},
       {with_ports("tcp/65536"), ports},
       {with_ports("tcp/20-10"), ports},
       {with_ports("sctp/1"), ports},
       {with_ports("tcp/ 1"), ports},
       {allow("cidr = \"10.0.0.1\"\nports = []"),
        "e.toml:1: allow[0].ports: must not be empty; left out, it means all"},
       {allow("domain = \"\""), domain},
       {allow("domain = \"a..b\""), domain},
       {allow("domain = \"*\""), domain},
       {allow("domain = \"a.*.b\""), domain},
       {allow("domain = \"a.b.\""), domain},
       {allow("domain = \"10.0.0.1\""), domain},
       {allow("domain = \"a.b\""), "e.toml:1: dns.servers: needed where a domain is allowed"},
       {"[[deny]]\ndomain = \"a.b\"",
        "e.toml:2: deny[0].domain: only for allow: what a name leads to is not known beforehand"},
       {allow("cidr = \"10.0.0.1\"\n[[allow]]\ncidr = \"10.0.0.1/32\""), "e.toml:3: allow[1]: the same rule twice"},
       {"[dns]\nservers = [\"dns.example\"]", "e.toml:2: dns.servers[0]: must be an IPv4 or IPv6 address"},
       {"[broker]", "e.toml:1: broker.endpoint: required"},
       {"[broker]\nendpoint = \"10.0.0.1\"",
        "e.toml:2: broker.endpoint: must be ADDRESS:PORT, \"10.0.42.1:8080\" or \"[2001:db8::1]:8080\""},
       {"[broker]\nendpoint = \"10.0.0.1:1\"\n[dns]\nservers = []", "e.toml:1: broker: excludes dns"}});
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(seccomp_policy)

BOOST_AUTO_TEST_CASE(as_config_json_has_it) {
  const Result<oci::Seccomp> policy = ParseSeccompPolicy(
      R"({"defaultAction": "SCMP_ACT_ERRNO", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
          {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
          {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
          {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 2, "op": "SCMP_CMP_EQ"}]}]})",
      "s.json", IsSyscall);
  BOOST_REQUIRE(policy.has_value());
  BOOST_TEST(policy->syscalls.size() == 3U);
}

BOOST_AUTO_TEST_CASE(mistakes) {
  const auto rules = [](const std::string& text) {
    return "{\"defaultAction\": \"SCMP_ACT_ERRNO\",\n\"syscalls\": [\n" + text + "]}";
  };
  const std::string read = R"({"names": ["read"], "action": "SCMP_ACT_ALLOW"})";
  const std::string one = R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 1, )"
                          R"("op": "SCMP_CMP_EQ"}]})";
  CheckMistakes(
      [](const std::string& text) { return ParseSeccompPolicy(text, "s.json", IsSyscall); },
      {{"{}", "s.json:1: defaultAction: required"},
       {"{\n\"defaultaction\": 1}", "s.json:2: defaultaction: unknown key"},
       {"{\"defaultAction\": \"SCMP_ACT_ALLOW\",\n\"defaultAction\": \"SCMP_ACT_LOG\"}",
        "s.json:2: defaultAction: given twice"},
       {"{\"defaultAction\":\n \"SCMP_ACT_NO\"}", "s.json:2: defaultAction: unknown seccomp action \"SCMP_ACT_NO\""},
       {"{\"defaultAction\": null}", "s.json:1: defaultAction: expected string"},
       {rules(R"({"names": ["read"], "action": "SCMP_ACT_ALLOW", "comment": "x"})"),
        "s.json:3: syscalls[0].comment: unknown key"},
       {rules(R"({"names": ["no_such_call"], "action": "SCMP_ACT_ALLOW"})"),
        "s.json:3: syscalls[0].names[0]: unknown syscall \"no_such_call\""},
       {rules(R"({"names": ["a\n\u001b[1m"], "action": "SCMP_ACT_ALLOW"})"),
        "s.json:1: syscalls[0].names[0]: unknown syscall \"a??[1m\""},
       {rules(read + ",\n" + read), "s.json:4: syscalls[1].names[0]: a second rule for \"read\""},
       {rules(read + ",\n" + one), "s.json:4: syscalls[1].names[0]: a second rule for \"read\""},
       {rules(one + ",\n" + one), "s.json:4: syscalls[1].names[0]: a second rule for \"read\""},
       {rules(R"({"names": ["read", "read"], "action": "SCMP_ACT_ALLOW"})"),
        "s.json:3: syscalls[0].names[1]: a second rule for \"read\""}});
  BOOST_TEST(ParseSeccompPolicy("{", "s.json", IsSyscall).error().message.starts_with("s.json:1:"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::policies
