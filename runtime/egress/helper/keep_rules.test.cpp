// Rules that nucleus-net has made and kept, loaded by somebody who knows nothing of them: the kernel tells the same
// back, in whatever namespace, and a difference is found.

#include "runtime/egress/helper/keep_rules.h"

#include <fcntl.h>
#include <linux/netfilter.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <functional>

#include "base/test_directory.h"
#include "runtime/egress/nft/batch.h"
#include "runtime/egress/rules/inner.h"
#include "runtime/egress/rules/test_policies.h"
#include "runtime/net/present_rules.h"
#include "runtime/net/rule_image.h"
#include "runtime/sys/own_cache.h"

namespace nucleus::egress {
namespace {

constexpr const char* kKey = "key";

// In a process of its own: what it does to its namespaces is gone with it.
std::string InNamespaces(int flags, const std::function<std::string()>& test) {
  int pipe[2];
  BOOST_REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  BOOST_REQUIRE(child >= 0);
  if (child == 0) {
    const std::string result = ::unshare(flags) == 0 ? test() : "unshare";
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

Compiled CompiledOf(const std::string& toml) {
  const Result<policies::EgressPolicy> policy = policies::ParseEgressPolicy(toml, "egress.toml");
  BOOST_REQUIRE_MESSAGE(policy.has_value(), (policy ? "" : policy.error().message));
  return Compile(*policy).value();
}

nft::Table TableOf(const Compiled& compiled, const std::string& owner) {
  return InnerTable(compiled, {.owner = owner, .generation = 1, .log_group = {}});
}

// As nucleus-net does it; empty: an error was said.
std::optional<net::RuleImage> Kept(const Compiled& compiled) {
  const TestDirectory cache;
  const std::string result = InNamespaces(CLONE_NEWNET, [&]() -> std::string {
    nft::Socket socket = nft::Socket::Open().value();
    nft::Table table = TableOf(compiled, "first");
    const nft::Expected expected = nft::Expect(table);
    nft::Batch batch;
    batch.AddAll(table, true);
    if (const Result<> done = socket.Commit(std::move(batch)); !done) {
      return done.error().message;
    }
    const Result<nft::Loaded> loaded = nft::Verify(socket, expected);
    if (!loaded) {
      return loaded.error().message;
    }
    net::HelperRequest request;
    request.id = "first";
    request.image_directory = cache.top;
    request.image_key = kKey;
    KeepRules(socket, compiled, *loaded, request);
    return "ok";
  });
  BOOST_TEST_REQUIRE(result == "ok");
  const std::optional<std::string> kept = sys::OwnCache{cache.top}.Find(kKey);
  return kept ? net::ParseRuleImage(*kept) : std::nullopt;
}

std::string Loaded(const net::RuleImage& image, const std::string& owner) {
  const Result<net::LoadedTable> loaded = net::LoadRules(net::Socket::OpenFilter().value(), image, owner);
  return loaded ? "rules " + std::to_string(loaded->rules) + " elements " + std::to_string(loaded->elements)
                : loaded.error().message;
}

std::string Networks(int count) {
  std::string toml;
  for (int i = 0; i < count; ++i) {
    const unsigned address = 0x0A000000U + static_cast<unsigned>(i) * 32;
    toml += "[[allow]]\ncidr = \"" + std::to_string(address >> 24) + "." + std::to_string(address >> 16 & 255) + "." +
            std::to_string(address >> 8 & 255) + "." + std::to_string(address & 255) + "/28\"\n" +
            (i % 2 == 0 ? "" : "ports = [\"tcp/" + std::to_string(1 + i % 7) + "\"]\n");
  }
  return toml;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(keep_rules)

BOOST_AUTO_TEST_CASE(what_was_kept_is_loaded_and_told_back) {
  for (const std::string& toml : {std::string{}, kEveryNetworkRule, Networks(3000)}) {
    const Compiled compiled = CompiledOf(toml);
    const std::optional<net::RuleImage> image = Kept(compiled);
    BOOST_TEST_REQUIRE(image.has_value());
    const std::string wanted = "rules " + std::to_string(image->rules) + " elements " + std::to_string(image->elements);
    // Sets have an order of their own in each namespace.
    for (const int flags : {CLONE_NEWNET, CLONE_NEWNET, CLONE_NEWNET | CLONE_NEWUSER, CLONE_NEWNET | CLONE_NEWUSER}) {
      BOOST_TEST(InNamespaces(flags, [&] { return Loaded(*image, "box"); }) == wanted);
    }
  }
}

BOOST_AUTO_TEST_CASE(the_same_as_nucleus_net_would_load) {
  const Compiled compiled = CompiledOf(kEveryNetworkRule);
  const std::optional<net::RuleImage> image = Kept(compiled);
  BOOST_TEST_REQUIRE(image.has_value());
  const std::string result = InNamespaces(CLONE_NEWNET, [&]() -> std::string {
    if (const std::string loaded = Loaded(*image, "box"); !loaded.starts_with("rules ")) {
      return loaded;
    }
    nft::Socket socket = nft::Socket::Open().value();
    const auto loaded = nft::Verify(socket, nft::Expect(TableOf(compiled, "box")));
    return loaded ? "ok" : loaded.error().message;
  });
  BOOST_TEST(result == "ok");
}

BOOST_AUTO_TEST_CASE(no_right_to_send_so_much) {
  const std::optional<net::RuleImage> image = Kept(CompiledOf(Networks(3000)));
  BOOST_TEST_REQUIRE(image.has_value());
  BOOST_TEST(image->batch.size() > (std::size_t{64} << 10));
  BOOST_TEST(net::FitsIntoSocket(image->batch.size()));
  BOOST_TEST(!net::FitsIntoSocket(std::size_t{256} << 20));
}

BOOST_AUTO_TEST_CASE(what_differs_is_found) {
  const Compiled compiled = CompiledOf(kEveryNetworkRule);
  const std::optional<net::RuleImage> image = Kept(compiled);
  BOOST_TEST_REQUIRE(image.has_value());
  // Loaded, damaged, and looked at again.
  const auto damaged = [&](const std::function<void(nft::Batch&)>& damage) {
    return InNamespaces(CLONE_NEWNET, [&]() -> std::string {
      if (const std::string loaded = Loaded(*image, "box"); !loaded.starts_with("rules ")) {
        return loaded;
      }
      nft::Socket socket = nft::Socket::Open().value();
      nft::Batch batch;
      damage(batch);
      if (const Result<> done = socket.Commit(std::move(batch)); !done) {
        return done.error().message;
      }
      net::Socket filter = net::Socket::OpenFilter().value();
      const auto compared = net::CompareRules(filter, *image, "box");
      return compared ? "the same" : ErrnoName(compared.error().code) + " " + compared.error().message;
    });
  };
  const std::string words = "EPROTO nf_tables: the kernel does not have what was loaded: ";
  const nft::Table table{.family = NFPROTO_INET, .name = kInnerTable};
  const nft::Table whole = TableOf(compiled, "box");
  BOOST_TEST(damaged([](nft::Batch&) {}) == "the same");
  const std::vector<std::function<void(nft::Batch&)>> damages = {
      [&](nft::Batch& batch) {  // a rule more
        nft::Rule rule{"output"};
        rule.Accept();
        batch.AddRule(table, rule);
      },
      [&](nft::Batch& batch) {  // rules less
        batch.FlushChain(NFPROTO_INET, kInnerTable, "refuse");
      },
      [&](nft::Batch& batch) {  // a chain more
        batch.AddChain(table, {.name = "other", .hook = {}});
      },
      [&](nft::Batch& batch) {  // a set more
        nft::Set set = whole.sets.front();
        set.name = "other";
        set.elements.clear();
        batch.AddSet(table, set);
      },
      [&](nft::Batch& batch) {  // another table
        batch.AddTable({.family = NFPROTO_IPV4, .name = "other"}, true);
      },
      [&](nft::Batch& batch) {  // none
        batch.DeleteTable(NFPROTO_INET, kInnerTable);
      },
  };
  for (std::size_t i = 0; i < damages.size(); ++i) {
    const std::string said = damaged(damages[i]);
    BOOST_TEST(said.starts_with(words), i << ": " << said);
  }
}

BOOST_AUTO_TEST_CASE(other_rules_than_the_images_are_found) {
  const Compiled compiled = CompiledOf(kEveryNetworkRule);
  const std::optional<net::RuleImage> image = Kept(compiled);
  BOOST_TEST_REQUIRE(image.has_value());
  const auto of = [&](const std::function<void(nft::Table&)>& change) {
    nft::Table table = TableOf(compiled, "");
    change(table);
    nft::Batch batch;
    batch.AddAll(table, true);
    net::RuleImage other = *image;
    other.batch = batch.Finish();
    return InNamespaces(CLONE_NEWNET, [&] { return Loaded(other, "box"); });
  };
  BOOST_TEST(of([](nft::Table&) {}).starts_with("rules "));
  const std::vector<std::function<void(nft::Table&)>> changes = {
      [](nft::Table& table) { table.rules.pop_back(); },
      [](nft::Table& table) { std::swap(table.rules[0], table.rules[1]); },
      [](nft::Table& table) { table.chains[2].hook->drop = false; },
      [](nft::Table& table) { table.chains[2].hook->priority = 1; },
      [](nft::Table& table) { table.chains[2].hook->number = NF_INET_FORWARD; },
      [](nft::Table& table) { table.sets[0].elements[0].key[3] ^= 1; },
      [](nft::Table& table) { table.name = "other"; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    const std::string said = of(changes[i]);
    BOOST_TEST(said.find("the kernel does not have what was loaded") != std::string::npos, i << ": " << said);
  }
  // Sets are the rules' own, and the kernel changes none that is in use: less is loaded.
  for (std::size_t i = 0; i < TableOf(compiled, "").sets.size(); ++i) {
    const std::string said = of([i](nft::Table& table) {
      nft::Set& set = table.sets[i];
      set.elements.erase(set.elements.begin(), set.elements.begin() + (set.concatenation.empty() ? 2 : 1));
    });
    BOOST_TEST(said.find("the kernel does not have what was loaded") != std::string::npos, i << ": " << said);
  }
}

BOOST_AUTO_TEST_CASE(a_namespace_that_has_rules_already) {
  const std::optional<net::RuleImage> image = Kept(CompiledOf(kEveryNetworkRule));
  BOOST_TEST_REQUIRE(image.has_value());
  BOOST_TEST(InNamespaces(CLONE_NEWNET, [&] {
               Loaded(*image, "first");
               return Loaded(*image, "second");
             }).ends_with("file exists"));
  // Without rights over the namespace there is no half of it.
  BOOST_TEST(InNamespaces(CLONE_NEWUSER, [&] { return Loaded(*image, "box"); }).ends_with("operation not permitted"));
}

BOOST_AUTO_TEST_CASE(another_owner) {
  const std::optional<net::RuleImage> image = Kept(CompiledOf(""));
  BOOST_TEST_REQUIRE(image.has_value());
  BOOST_TEST(InNamespaces(CLONE_NEWNET, [&]() -> std::string {
               Loaded(*image, "box");
               net::Socket socket = net::Socket::OpenFilter().value();
               return net::CompareRules(socket, *image, "other").error().message;
             }).ends_with("the table is another's"));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::egress
