// Both tables are taken by the kernel, in a network namespace of the test's own, and what the kernel has is what was
// asked for.

#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <functional>

#include "runtime/egress/nft/verify.h"
#include "runtime/egress/rules/inner.h"
#include "runtime/egress/rules/outer.h"
#include "runtime/egress/rules/test_policies.h"
#include "runtime/net/netlink.h"

namespace nucleus::egress {
namespace {

// Each in a process of its own: what it does to its namespace is gone with it. The exit status is the result.
std::string InNamespace(const std::function<std::string()>& test) {
  int pipe[2];
  BOOST_REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    const std::string result = ::unshare(CLONE_NEWNET) == 0 ? test() : "unshare";
    (void)!::write(pipe[1], result.data(), result.size());
    ::_exit(0);
  }
  ::close(pipe[1]);
  std::string result;
  char buffer[4096];
  for (ssize_t size = 0; (size = ::read(pipe[0], buffer, sizeof buffer)) > 0;) {
    result.append(buffer, static_cast<std::size_t>(size));
  }
  ::close(pipe[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? result : "ended by " + std::to_string(status);
}

void AddBridge(const std::string& name) {
  net::Socket socket = net::Socket::Open().value();
  ifinfomsg header{};
  net::Request request{RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, header};
  request.Text(IFLA_IFNAME, name);
  // IFLA_LINKINFO { IFLA_INFO_KIND "bridge" }
  request.Attribute(IFLA_LINKINFO | 0x8000, std::string{"\x0a\0\x01\0bridge\0\0", 12});
  if (const auto made = socket.Exchange(std::move(request)); !made) {
    std::fprintf(stderr, "%s\n", made.error().message.c_str());
    ::_exit(3);
  }
}

policies::EgressPolicy Policy(const std::string& toml) {
  const Result<policies::EgressPolicy> policy = policies::ParseEgressPolicy(toml, "egress.toml");
  BOOST_REQUIRE_MESSAGE(policy.has_value(), (policy ? "" : policy.error().message));
  return *policy;
}

std::string LoadAndVerify(nft::Table table) {
  Result<nft::Socket> socket = nft::Socket::Open();
  const nft::Expected expected = nft::Expect(table);
  nft::Batch batch;
  batch.AddAll(table, true);
  if (const Result<> done = socket->Commit(std::move(batch)); !done) {
    return done.error().message;
  }
  const Result<nft::Loaded> loaded = nft::Verify(*socket, expected);
  return loaded ? "rules " + std::to_string(loaded->rules) + " elements " + std::to_string(loaded->elements)
                : loaded.error().message;
}

const std::string kEverything = "log = true\n" + kEveryNetworkRule + R"([[allow]]
domain = "api.example.com"
ports = ["tcp/443"]
[[allow]]
domain = "*.example.org"
[[allow]]
domain = "third.example.com"
ports = ["tcp/443"]
[dns]
servers = ["10.0.0.53"]
)";

OuterLink Link() {
  return {.device = "veth0",
          .mac = {"\x02\0\0\0\0\x07", 6},
          .address = {std::string{10, 9, 0, 2}, std::string(16, '\x20')}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(tables)

BOOST_AUTO_TEST_CASE(inner_of_everything) {
  const auto compiled = Compile(Policy(kEverything));
  BOOST_REQUIRE(compiled.has_value());
  BOOST_TEST(compiled->groups.size() == 2U);
  BOOST_TEST(compiled->names.size() == 3U);
  const std::string result = InNamespace(
      [&] { return LoadAndVerify(InnerTable(*compiled, {.owner = "box", .generation = 1, .log_group = 7})); });
  BOOST_TEST(result.starts_with("rules "), result);
}

BOOST_AUTO_TEST_CASE(outer_of_everything) {
  const auto compiled = Compile(Policy(kEverything));
  BOOST_REQUIRE(compiled.has_value());
  const std::string result = InNamespace([&] {
    AddBridge("veth0");
    return LoadAndVerify(OuterTable(*compiled, {.owner = "box", .generation = 3, .log_group = 7}, Link()));
  });
  BOOST_TEST(result.starts_with("rules "), result);
}

BOOST_AUTO_TEST_CASE(nothing_and_a_broker) {
  for (const char* toml :
       {"", "[broker]\nendpoint = \"10.0.42.1:8080\"", "[broker]\nendpoint = \"[2001:db8::1]:8080\""}) {
    const auto compiled = Compile(Policy(toml));
    BOOST_REQUIRE(compiled.has_value());
    std::string result =
        InNamespace([&] { return LoadAndVerify(InnerTable(*compiled, {.owner = "b", .log_group = {}})); });
    BOOST_TEST(result.starts_with("rules "), result);
    result = InNamespace([&] {
      AddBridge("veth0");
      return LoadAndVerify(OuterTable(*compiled, {.owner = "b", .log_group = {}}, Link()));
    });
    BOOST_TEST(result.starts_with("rules "), result);
  }
}

BOOST_AUTO_TEST_CASE(ten_thousand_networks) {
  std::string toml;
  for (int i = 0; i < 10000; ++i) {
    // Every other /28, half of them with ports.
    const unsigned address = 0x0A000000U + static_cast<unsigned>(i) * 32;
    toml += "[[allow]]\ncidr = \"" + std::to_string(address >> 24) + "." + std::to_string(address >> 16 & 255) + "." +
            std::to_string(address >> 8 & 255) + "." + std::to_string(address & 255) + "/28\"\n" +
            (i % 2 == 0 ? "" : "ports = [\"tcp/" + std::to_string(1 + i % 7) + "\"]\n");
  }
  const auto compiled = Compile(Policy(toml));
  BOOST_REQUIRE(compiled.has_value());
  const std::string result =
      InNamespace([&] { return LoadAndVerify(InnerTable(*compiled, {.owner = "box", .log_group = {}})); });
  BOOST_TEST(result.ends_with(" elements 15000"), result);
}

BOOST_AUTO_TEST_CASE(what_differs_is_found) {
  const auto compiled = Compile(Policy(kEverything));
  BOOST_REQUIRE(compiled.has_value());
  const TableOptions options{.owner = "box", .generation = 1, .log_group = {}};
  const auto damaged = [&](const std::function<void(nft::Socket&, nft::Batch&)>& damage) {
    return InNamespace([&]() -> std::string {
      nft::Table table = InnerTable(*compiled, options);
      const nft::Expected expected = nft::Expect(table);
      nft::Socket socket = nft::Socket::Open().value();
      nft::Batch load;
      load.AddAll(table, true);
      if (const Result<> done = socket.Commit(std::move(load)); !done) {
        return done.error().message;
      }
      nft::Batch batch;
      damage(socket, batch);
      if (const Result<> done = socket.Commit(std::move(batch)); !done) {
        return done.error().message;
      }
      const auto loaded = nft::Verify(socket, expected);
      return loaded ? "the same" : loaded.error().message;
    });
  };
  const nft::Table table{.family = NFPROTO_INET, .name = kInnerTable};
  BOOST_TEST(damaged([&](nft::Socket&, nft::Batch& batch) {
               nft::Rule rule{"output"};
               rule.Accept();
               batch.AddRule(table, rule);
             }).find("chain output has ") != std::string::npos);
  BOOST_TEST(damaged([&](nft::Socket&, nft::Batch& batch) {
               batch.FlushChain(NFPROTO_INET, kInnerTable, "refuse");
             }).find("rule 1 of chain refuse: none") != std::string::npos);
  BOOST_TEST(damaged([&](nft::Socket&, nft::Batch& batch) {
               batch.AddChain(table, {.name = "other", .hook = {}});
             }).find("the chains of table nucleus") != std::string::npos);
  BOOST_TEST(damaged([&](nft::Socket&, nft::Batch& batch) {
               batch.DeleteTable(NFPROTO_INET, kInnerTable);
             }).find("no table nucleus") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(replaced_in_one_transaction) {
  const auto before = Compile(Policy(kEverything));
  const auto after = Compile(Policy("[[allow]]\ncidr = \"10.0.0.0/8\"\nports = [\"tcp/80\"]\n"));
  BOOST_REQUIRE((before.has_value() && after.has_value()));
  const std::string result = InNamespace([&]() -> std::string {
    nft::Table table = InnerTable(*before, {.owner = "box", .generation = 1, .log_group = {}});
    nft::Socket socket = nft::Socket::Open().value();
    nft::Batch load;
    load.AddAll(table, true);
    if (const Result<> done = socket.Commit(std::move(load)); !done) {
      return done.error().message;
    }
    const auto sets = nft::ListSets(socket, NFPROTO_INET, kInnerTable);
    nft::Table next = InnerTable(*after, {.owner = "box", .generation = 2, .log_group = {}});
    const nft::Expected expected = nft::Expect(next);
    if (const Result<> made = socket.Commit(NewSets(next)); !made) {
      return made.error().message;
    }
    if (const Result<> done = socket.Commit(Replacement(next, *sets)); !done) {
      return done.error().message;
    }
    const auto left = nft::ListSets(socket, NFPROTO_INET, kInnerTable);
    if (left->size() != 1 || left->front() != "allow_ports4_2") {
      return std::to_string(left->size()) + " sets are left";
    }
    const auto loaded = nft::Verify(socket, expected);
    return loaded ? "ok" : loaded.error().message;
  });
  BOOST_TEST(result == "ok");
}

BOOST_AUTO_TEST_CASE(one_table_a_namespace) {
  const auto compiled = Compile({});
  const std::string result = InNamespace([&]() -> std::string {
    LoadAndVerify(InnerTable(*compiled, {.owner = "first", .log_group = {}}));
    return LoadAndVerify(InnerTable(*compiled, {.owner = "second", .log_group = {}}));
  });
  BOOST_TEST(result.ends_with("file exists"), result);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::egress
