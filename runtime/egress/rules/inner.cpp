#include "runtime/egress/rules/inner.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <net/if_arp.h>

#include <algorithm>
#include <initializer_list>

#include "runtime/egress/rules/match.h"

namespace nucleus::egress {
namespace {

// linux/netfilter/nf_conntrack_common.h: 1 << (IP_CT_* + 1). A packet has one of them.
constexpr std::uint32_t kCtEstablished = 1U << 1;
constexpr std::uint32_t kCtRelated = 1U << 2;
constexpr std::uint8_t kCtReplyDirection = 1;
// RFC 4861: router solicitation, neighbour solicitation and advertisement.
constexpr std::uint8_t kRouterSolicitation = 133;
constexpr std::uint8_t kNeighbourSolicitation = 135;
constexpr std::uint8_t kNeighbourAdvertisement = 136;
constexpr std::uint8_t kHopLimit = 255;
constexpr std::uint8_t kListenerReport = 143;  // RFC 3810
// The chain of what is accepted without a look at the policy.
constexpr const char* kKnown = "known";
constexpr std::uint64_t kLogsPerSecond = 20;
constexpr std::uint32_t kLogBurst = 100;
constexpr std::uint32_t kLogBytes = 128;

std::string Word(std::uint32_t value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::string Byte(std::uint8_t value) {
  return {static_cast<char>(value)};
}

// As a register has them that was loaded with less than a word.
std::string Padded(std::initializer_list<std::uint8_t> bytes) {
  std::string word(sizeof(std::uint32_t), '\0');
  std::ranges::copy(bytes, word.begin());
  return word;
}

std::string Loopback() {
  const std::uint16_t type = ARPHRD_LOOPBACK;
  return {reinterpret_cast<const char*>(&type), sizeof type};
}

class Inner {
 public:
  Inner(const Compiled& compiled, const TableOptions& options) : compiled_(compiled), options_(options) {
  }

  nft::Table Make() {
    table_.family = NFPROTO_INET;
    table_.name = kInnerTable;
    table_.owner = options_.owner;
    table_.counters = {"allowed", "refused", "refused_inbound", "refused_forward"};
    AddPolicySets(compiled_, options_.generation, table_.sets);
    table_.chains = {{.name = "refuse", .hook = {}},
                     {.name = kKnown, .hook = {}},
                     {.name = "output", .hook = nft::Hook{.number = NF_INET_LOCAL_OUT}},
                     {.name = "input", .hook = nft::Hook{.number = NF_INET_LOCAL_IN}},
                     {.name = "forward", .hook = nft::Hook{.number = NF_INET_FORWARD}}};
    Known();
    Output();
    Input();
    New("forward").Count("refused_forward");
    Refuse();
    return std::move(table_);
  }

 private:
  nft::Rule& New(const char* chain) {
    return table_.rules.emplace_back(chain);
  }
  nft::Rule& New(const char* chain, Family family) {
    return New(chain).Meta(NFT_META_NFPROTO).Is8(family == kIpv4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
  }
  // A connection that this policy has let through; those of an earlier policy are looked at anew.
  void Accept(nft::Rule& rule) {
    rule.SetCtMark(options_.generation).Count("allowed").Accept();
  }

  void Established() {
    New(kKnown).Ct(NFT_CT_STATE).Ct(NFT_CT_MARK, 1).Is(Word(kCtEstablished) + Word(options_.generation)).Accept();
    for (const std::uint8_t protocol : std::initializer_list<std::uint8_t>{IPPROTO_ICMP, IPPROTO_ICMPV6}) {
      New(kKnown).Ct(NFT_CT_STATE).Meta(NFT_META_L4PROTO, 1).Is(Word(kCtRelated) + Padded({protocol})).Accept();
    }
  }

  void NeighbourDiscovery() {
    // No router has passed them on.
    static_assert(kIpv6HopLimit == kIpv6NextHeader + 1);
    const std::string family = Padded({NFPROTO_IPV6});
    const std::string header = Padded({IPPROTO_ICMPV6, kHopLimit});
    New(kKnown)
        .Meta(NFT_META_NFPROTO)
        .Network(kIpv6NextHeader, 2, 1)
        .Transport(0, 1, 2)
        .Is(family + header + Padded({kRouterSolicitation}))
        .Accept();
    static_assert(kNeighbourAdvertisement == kNeighbourSolicitation + 1);
    New(kKnown)
        .Meta(NFT_META_NFPROTO)
        .Network(kIpv6NextHeader, 2, 1)
        .Is(family + header)
        .Transport(0, 1)
        .Between(Byte(kNeighbourSolicitation), Byte(kNeighbourAdvertisement))
        .Accept();
    // Which groups are listened to: without it a switch may keep the above back. Behind a hop-by-hop header.
    New(kKnown)
        .Meta(NFT_META_NFPROTO)
        .Network(kIpv6HopLimit, 1, 1)
        .Meta(NFT_META_L4PROTO, 2)
        .Transport(0, 1, 3)
        .Is(family + Padded({1}) + Padded({IPPROTO_ICMPV6}) + Padded({kListenerReport}))
        .Accept();
  }

  static nft::Rule& IsReply(nft::Rule& rule) {
    return rule.Ct(NFT_CT_STATE).Ct(NFT_CT_DIRECTION, 1).Is(Word(kCtEstablished) + Padded({kCtReplyDirection}));
  }

  // What both directions accept is there once, and what can be is compared at once: the kernel takes its time for every
  // expression of every rule.
  void Known() {
    // The mark says that these very rules have let it through, the denied networks included: nothing of them changes
    // within a generation.
    Established();
    NeighbourDiscovery();
  }

  void Deny(Family family) {
    const AddressSets& deny = compiled_.deny[family];
    if (!deny.whole.empty()) {
      Destination(New("output", family), family).In(DenyName(family, options_.generation)).Goto("refuse");
    }
    if (!deny.ports.empty()) {
      DestinationAndPort(New("output", family), family).In(DenyPortsName(family, options_.generation)).Goto("refuse");
    }
  }

  void Allow(Family family) {
    const AddressSets& allow = compiled_.allow[family];
    if (!compiled_.members[family].empty()) {
      Accept(Destination(New("output", family), family).In(MembersName(family, options_.generation)));
    }
    if (!allow.ports.empty()) {
      Accept(DestinationAndPort(New("output", family), family).In(AllowPortsName(family, options_.generation)));
    }
    // Names come from the gate. A resolver in a network that is allowed as a whole would be a way around it.
    if (!compiled_.names.empty()) {
      nft::Rule& resolvers = New("output", family);
      ProtocolAndPort(resolvers, kDestinationPort).In(ResolverPortsName(options_.generation)).Goto("refuse");
    }
    if (!allow.whole.empty()) {
      Accept(Destination(New("output", family), family).In(AllowName(family, options_.generation)));
    }
    for (std::size_t group = 0; group < compiled_.groups.size(); ++group) {
      nft::Rule& rule = New("output", family);
      Destination(rule, family).In(GroupName(group, family, options_.generation));
      if (!compiled_.groups[group].ports.empty()) {
        ProtocolAndPort(rule, kDestinationPort).In(GroupPortsName(group, options_.generation));
      }
      Accept(rule);
    }
  }

  void Broker() {
    const policies::EgressPolicy::Broker& broker = *compiled_.broker;
    const Family family = broker.address.v6 ? kIpv6 : kIpv4;
    Accept(Destination(New("output", family), family)
               .Is(BytesOf(broker.address))
               .Meta(NFT_META_L4PROTO)
               .Is8(IPPROTO_TCP)
               .Transport(kDestinationPort, 2)
               .Is16(broker.port));
  }

  void Output() {
    New("output").Jump(kKnown);
    New("output").Meta(NFT_META_OIFTYPE).Is(Loopback()).Accept();
    Deny(kIpv4);
    Deny(kIpv6);
    // The replies of a connection from outside that an earlier policy let in.
    if (!compiled_.inbound.empty()) {
      Accept(ProtocolAndPort(IsReply(New("output")), kSourcePort).In(InboundName(options_.generation)));
    }
    if (compiled_.broker) {
      Broker();
    }
    Allow(kIpv4);
    Allow(kIpv6);
    New("output").Goto("refuse");
  }

  void Input() {
    New("input").Jump(kKnown);
    New("input").Meta(NFT_META_IIFTYPE).Is(Loopback()).Accept();
    // Answers to what the container has sent, also to a connection of an earlier policy: whether that goes on is judged
    // by what the container sends. It may have nothing to send before it has the answer.
    IsReply(New("input")).Accept();
    for (const Family family : {kIpv4, kIpv6}) {
      if (!compiled_.members[family].empty()) {
        Accept(Source(New("input", family), family).In(MembersName(family, options_.generation)));
      }
    }
    if (!compiled_.inbound.empty()) {
      Accept(ProtocolAndPort(New("input"), kDestinationPort).In(InboundName(options_.generation)));
    }
    New("input").Count("refused_inbound");
  }

  void Refuse() {
    New("refuse").Count("refused");
    if (options_.log_group) {
      New("refuse").Limit(kLogsPerSecond, kLogBurst).Log(*options_.log_group, "nucleus", kLogBytes);
    }
    New("refuse").Meta(NFT_META_L4PROTO).Is8(IPPROTO_TCP).RejectTcp();
    New("refuse").Reject();
  }

  const Compiled& compiled_;
  const TableOptions& options_;
  nft::Table table_;
};

}  // namespace

nft::Table InnerTable(const Compiled& compiled, const TableOptions& options) {
  return Inner(compiled, options).Make();
}

nft::Batch NewSets(const nft::Table& next) {
  nft::Batch batch;
  for (const nft::Set& set : next.sets) {
    batch.AddSet(next, set);
  }
  return batch;
}

nft::Batch Replacement(nft::Table& next, const std::vector<std::string>& old_sets) {
  nft::Batch batch;
  for (const nft::Chain& chain : next.chains) {
    // An earlier version's table may not have it.
    if (!chain.hook) {
      batch.AddChain(next, chain, false);
    }
    batch.FlushChain(next.family, next.name, chain.name);
  }
  for (nft::Rule& rule : next.rules) {
    batch.AddRule(next, rule);
  }
  for (const std::string& set : old_sets) {
    batch.DeleteSet(next.family, next.name, set);
  }
  return batch;
}

}  // namespace nucleus::egress
