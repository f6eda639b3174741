// The setter beside a parser that was taken over.
#include "runtime/egress/gate/setter.h"

#include <boost/test/unit_test.hpp>

#include "runtime/egress/gate/protocol.h"
#include "runtime/egress/gate/test_world.h"

namespace nucleus::gate {
namespace {

using test::Address;

GrantRecord RecordOf(const std::string& text, std::uint32_t group, std::uint32_t seconds) {
  const policies::Address address = Address(text);
  return {.v6 = address.v6 ? 1U : 0U, .group = group, .seconds = seconds, .address = address.bytes};
}

// A setter in a process of its own, and what the test says in the parser's place.
class Dialogue {
 public:
  explicit Dialogue(Config config)
      : shared(*new(::mmap(nullptr, sizeof(test::Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
                   test::Shared) {
    Fd theirs;
    Fd life;
    test::Must(sys::SocketPair(channel, theirs));
    test::Must(sys::SocketPair(life_, life));
    const Fd here = test::Must(sys::Open("/proc/self/ns/net", 0));
    process = test::Process{here, [&]() -> int {
                              channel.Reset();
                              life_.Reset();
                              test::TestSets sets{shared};
                              RunSetter(config, sets, theirs.get(), life.get());
                              return 0;
                            }};
  }
  ~Dialogue() {
    process.End();
    ::munmap(&shared, sizeof shared);
  }
  Dialogue(const Dialogue&) = delete;
  Dialogue& operator=(const Dialogue&) = delete;

  void Say(const Header& header, const std::vector<GrantRecord>& records = {}) const {
    Bytes bytes(sizeof header + records.size() * sizeof(GrantRecord));
    std::memcpy(bytes.data(), &header, sizeof header);
    if (!records.empty()) {
      std::memcpy(bytes.data() + sizeof header, records.data(), records.size() * sizeof(GrantRecord));
    }
    test::Check(::send(channel.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) > 0, "send");
  }
  [[nodiscard]] std::optional<Header> Hear() const {
    const std::optional<Bytes> bytes = test::World::Receive(channel.get());
    Header header;
    if (!bytes || bytes->size() != sizeof header) {
      return std::nullopt;
    }
    std::memcpy(&header, bytes->data(), sizeof header);
    return header;
  }
  // The answer to a request for these.
  [[nodiscard]] int Ask(const std::vector<GrantRecord>& records) {
    const Header header{.word = Word::kGrant, .id = ++id_, .count = static_cast<std::uint32_t>(records.size())};
    Say(header, records);
    const std::optional<Header> answer = Hear();
    return answer && answer->word == Word::kGranted && answer->id == id_ ? answer->error : -1;
  }

  test::Shared& shared;
  Fd channel;
  test::Process process;

 private:
  Fd life_;
  std::uint64_t id_ = 0;
};

Config TwoGroups() {
  Config config;
  config.names = {{.domain = "a.test", .wildcard = false, .group = 3},
                  {.domain = "b.test", .wildcard = false, .group = 9}};
  config.servers = {Address("127.0.0.1")};
  config.allowed = {test::Cidr("10.1.0.0/16")};
  config.denied = {test::Cidr("10.1.2.0/24"), test::Cidr("8.8.4.0/24")};
  return config;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gate_setter)

BOOST_AUTO_TEST_CASE(what_it_grants) {
  Dialogue dialogue{TwoGroups()};
  BOOST_TEST(dialogue.Ask({RecordOf("8.8.8.1", 3, 100), RecordOf("2600::1", 9, 100), RecordOf("10.1.1.1", 3, 100)}) ==
             0);
  BOOST_TEST(dialogue.shared.count == 3U);
  // As long as it may be at most, whatever is asked for; and no less than the least.
  BOOST_TEST(dialogue.Ask({RecordOf("8.8.8.1", 3, 0xffffffff), RecordOf("8.8.8.2", 3, 0)}) == 0);
  BOOST_TEST(dialogue.shared.grants.at(3).seconds == kMaxTtl + kGrace);
  BOOST_TEST(dialogue.shared.grants.at(4).seconds == kMinTtl + kGrace);
  dialogue.shared.error = ENFILE;
  BOOST_TEST(dialogue.Ask({RecordOf("8.8.8.1", 3, 100)}) == ENFILE);
}

BOOST_AUTO_TEST_CASE(what_it_does_not_believe) {
  Dialogue dialogue{TwoGroups()};
  for (const char* address : {"127.0.0.1", "10.0.0.1", "10.1.2.3", "8.8.4.4", "169.254.169.254", "192.168.0.1",
                              "0.0.0.0", "224.0.0.1", "::1", "::ffff:8.8.8.8", "fe80::1", "fd00::1", "ff02::1"}) {
    BOOST_TEST(dialogue.Ask({RecordOf(address, 3, 100)}) == EPERM, address);
    // One of them spoils all.
    BOOST_TEST(dialogue.Ask({RecordOf("8.8.8.1", 3, 100), RecordOf(address, 3, 100)}) == EPERM, address);
  }
  for (const std::uint32_t group : {0U, 4U, 8U, 10U, 0xffffffffU}) {
    BOOST_TEST(dialogue.Ask({RecordOf("8.8.8.1", group, 100)}) == EPERM, group);
  }
  BOOST_TEST(dialogue.shared.count == 0U);
  BOOST_TEST(dialogue.Ask({RecordOf("8.8.8.1", 3, 100)}) == 0);
}

BOOST_AUTO_TEST_CASE(sockets) {
  Dialogue dialogue{TwoGroups()};
  dialogue.Say({.word = Word::kWantUdp, .server = 0, .count = 2});
  const std::optional<Header> header = dialogue.Hear();
  BOOST_REQUIRE(header.has_value());
  BOOST_TEST((header->word == Word::kUdp));
  BOOST_TEST(header->count == 2U);
}

// It ends, so that the supervisor begins anew.
BOOST_AUTO_TEST_CASE(what_ends_it) {
  const std::vector<GrantRecord> one = {RecordOf("8.8.8.1", 3, 100)};
  const std::vector<std::pair<Header, std::vector<GrantRecord>>> messages = {
      {{.word = Word::kGrant, .count = 2}, one},
      {{.word = Word::kGrant, .count = 0}, one},
      {{.word = Word::kGrant, .count = 0xffffffff}, one},
      {{.word = Word::kGrant, .count = 0x10000000}, {}},
      {{.word = Word::kGrant, .count = kMaxRecords + 1}, std::vector<GrantRecord>(kMaxRecords + 1, one[0])},
      {{.word = Word::kWantUdp, .server = 1, .count = 1}, {}},
      {{.word = Word::kWantUdp, .server = 0xffffffff, .count = 1}, {}},
      {{.word = Word::kWantUdp, .server = 0, .count = kMaxSockets + 1}, {}},
      {{.word = Word::kWantTcp, .server = 0, .count = 2}, {}},
      {{.word = Word::kWantTcp, .server = 1, .count = 1}, {}},
      {{.word = Word::kGranted}, {}},
      {{.word = static_cast<Word>(0)}, {}},
      {{.word = static_cast<Word>(77)}, {}},
  };
  for (const auto& [header, records] : messages) {
    Dialogue dialogue{TwoGroups()};
    dialogue.Say(header, records);
    const int status = dialogue.process.Wait();
    BOOST_TEST(WIFEXITED(status));
    BOOST_TEST(dialogue.shared.count == 0U);
  }
  Dialogue dialogue{TwoGroups()};
  test::Check(::send(dialogue.channel.get(), "short", 5, 0) == 5, "send");
  BOOST_TEST(WIFEXITED(dialogue.process.Wait()));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::gate
