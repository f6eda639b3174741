#include "runtime/egress/rules/outer.h"

#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include "runtime/egress/rules/match.h"

namespace nucleus::egress {
namespace {

constexpr std::int32_t kPriority = -300;  // before anything else that looks at the device
// A flow is forgotten when nothing was sent for so long: RFC 5382 wants two hours for TCP, RFC 4787 two minutes for
// UDP.
constexpr std::uint64_t kTcpFlowMs = 24ULL * 3600 * 1000;
constexpr std::uint64_t kUdpFlowMs = 180ULL * 1000;
constexpr std::uint32_t kMaxFlows = 65536;
constexpr std::uint64_t kLogsPerSecond = 20;
constexpr std::uint32_t kLogBurst = 100;
constexpr std::uint32_t kLogBytes = 128;
constexpr std::uint32_t kEthernetSource = 6;
constexpr std::uint32_t kIpv4Fragment = 6;
constexpr std::array kFromChains{"from_ipv4", "from_ipv6"};  // by family
constexpr std::uint8_t kRouterSolicitation = 133;
constexpr std::uint8_t kNeighbourSolicitation = 135;
constexpr std::uint8_t kNeighbourAdvertisement = 136;

class Outer {
 public:
  Outer(const Compiled& compiled, const TableOptions& options, const OuterLink& link)
      : compiled_(compiled), options_(options), link_(link) {
  }

  nft::Table Make() {
    table_.family = NFPROTO_NETDEV;
    table_.name = OuterTableName(link_.device);
    table_.owner = options_.owner;
    table_.counters = {"passed", "refused", "spoofed", "unusual"};
    AddPolicySets(compiled_, options_.generation, table_.sets);
    table_.sets.push_back(Protocols());
    for (const Family family : {kIpv4, kIpv6}) {
      table_.sets.push_back(Flows(family));
    }
    table_.chains = {{.name = "refuse", .hook = {}},
                     {.name = kFromChains[kIpv4], .hook = {}},
                     {.name = kFromChains[kIpv6], .hook = {}},
                     {.name = "from_container",
                      .hook = nft::Hook{.number = NF_NETDEV_INGRESS, .priority = kPriority, .device = link_.device}}};
    if (!compiled_.inbound.empty()) {
      table_.chains.push_back(
          {.name = "to_container",
           .hook =
               nft::Hook{.number = NF_NETDEV_EGRESS, .priority = kPriority, .drop = false, .device = link_.device}});
    }
    FromContainer();
    if (!compiled_.inbound.empty()) {
      ToContainer(kIpv4);
      ToContainer(kIpv6);
    }
    Refuse();
    return std::move(table_);
  }

 private:
  nft::Rule& New(const char* chain = "from_container") {
    return table_.rules.emplace_back(chain);
  }
  // Of the container's own hardware address, and of no VLAN.
  nft::Rule& Frame(std::uint16_t protocol) {
    const std::string type{static_cast<char>(protocol >> 8), static_cast<char>(protocol & 0xFF)};
    return New().Payload(NFT_PAYLOAD_LL_HEADER, kEthernetSource, 8).Is(link_.mac + type);
  }
  // Among the rules that only frames of the family come to.
  nft::Rule& New(Family family) {
    return New(kFromChains[family]);
  }
  static void Pass(nft::Rule& rule) {
    rule.Count("passed").Accept();
  }

  // What is passed on at all: nothing that carries another packet.
  [[nodiscard]] nft::Set Protocols() const {
    nft::Set set{.name = SetName("protocols", options_.generation),
                 .flags = NFT_SET_CONSTANT,
                 .type = nft::kTypeProtocol,
                 .key_length = 1,
                 .concatenation = {},
                 .elements = {}};
    for (const int protocol : std::initializer_list<int>{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMPV6}) {
      set.elements.push_back({.key = std::string(1, static_cast<char>(protocol)), .key_end = {}});
    }
    return set;
  }

  [[nodiscard]] std::string FlowsName(Family family) const {
    return SetName("flows" + FamilySuffix(family), options_.generation);
  }
  // the other end's address . protocol . the container's port . the other end's port
  [[nodiscard]] nft::Set Flows(Family family) const {
    const std::uint8_t length = family == kIpv4 ? 4 : 16;
    std::uint32_t type = family == kIpv4 ? nft::kTypeIpv4 : nft::kTypeIpv6;
    for (const std::uint32_t field : {nft::kTypeProtocol, nft::kTypeService, nft::kTypeService}) {
      type = type << nft::kTypeBits | field;
    }
    return {.name = FlowsName(family),
            .flags = NFT_SET_TIMEOUT | NFT_SET_EVAL | NFT_SET_CONCAT,
            .type = type,
            .key_length = length + 12U,
            .concatenation = {length, 1, 2, 2},
            .timeout_ms = kUdpFlowMs,
            .size = kMaxFlows,
            .elements = {}};
  }
  // As the container sends it, or, with `to`, as it gets it.
  static nft::Rule& Flow(nft::Rule& rule, Family family, bool to) {
    to ? Source(rule, family) : Destination(rule, family);
    const std::uint32_t words = AddressWords(family);
    rule.Meta(NFT_META_L4PROTO, words);
    rule.Transport(to ? kDestinationPort : kSourcePort, 2, words + 1);
    return rule.Transport(to ? kSourcePort : kDestinationPort, 2, words + 2);
  }
  // Remembers the flow for as long as its protocol is worth. `start` begins the rule, `end` closes it.
  template <class Start, class End>
  void Remember(Family family, bool to, Start start, End end) {
    for (const auto& [protocol, time] : {std::pair{IPPROTO_TCP, kTcpFlowMs}, std::pair{IPPROTO_UDP, kUdpFlowMs}}) {
      nft::Rule& rule = start();
      rule.Meta(NFT_META_L4PROTO).Is8(static_cast<std::uint8_t>(protocol));
      Flow(rule, family, to).Update(FlowsName(family), time);
      end(rule);
    }
  }

  void Arp() {
    if (link_.address[kIpv4].empty()) {
      return;
    }
    // Ethernet and IPv4, and nobody's address but its own (RFC 826).
    const std::string kind{"\x00\x01\x08\x00\x06\x04", 6};
    constexpr std::uint32_t kSenderHardware = 8;
    constexpr std::uint32_t kSenderProtocol = 14;
    Frame(ETH_P_ARP)
        .Network(0, 6)
        .Is(kind)
        .Network(kSenderHardware, 6)
        .Is(link_.mac)
        .Network(kSenderProtocol, 4)
        .Is(link_.address[kIpv4])
        .Accept();
  }

  // Its packets go no further than the link: hop limit 255, and types that nobody forwards.
  void NeighbourDiscovery() {
    if (link_.address[kIpv6].empty()) {
      return;
    }
    for (const std::uint8_t type : {kRouterSolicitation, kNeighbourSolicitation, kNeighbourAdvertisement}) {
      New(kIpv6)
          .Network(kIpv6NextHeader, 1)
          .Is8(IPPROTO_ICMPV6)
          .Network(kIpv6HopLimit, 1)
          .Is8(255)
          .Transport(0, 1)
          .Is8(type)
          .Accept();
    }
    // Every host says which groups it listens to: nobody asked here, and nothing was tried.
    New(kIpv6).Network(kIpv6Destination, 16).Is({"\xff\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\x16", 16}).Drop();
  }

  void Sender(Family family) {
    // Of IPv6 its own address alone as well: link-local addresses have nothing to say but the above.
    nft::Rule& rule = New(family);
    if (link_.address[family].empty()) {
      rule.Count("unusual").Goto("refuse");
      return;
    }
    Source(rule, family).IsNot(link_.address[family]).Count("spoofed").Goto("refuse");
  }

  // No extension headers of IPv6, which would hide what follows; of IPv4 no packet within a packet.
  void Protocol(Family family) {
    nft::Rule& rule = New(family);
    if (family == kIpv4) {
      rule.Meta(NFT_META_L4PROTO);
    } else {
      rule.Network(kIpv6NextHeader, 1);
    }
    rule.In(SetName("protocols", options_.generation), true).Count("unusual").Goto("refuse");
  }

  void Deny(Family family) {
    const AddressSets& deny = compiled_.deny[family];
    if (!deny.whole.empty()) {
      Destination(New(family), family).In(DenyName(family, options_.generation)).Goto("refuse");
    }
    if (!deny.ports.empty()) {
      DestinationAndPort(New(family), family).In(DenyPortsName(family, options_.generation)).Goto("refuse");
    }
  }

  void Members(Family family) {
    nft::Rule& members = Destination(New(family), family).In(MembersName(family, options_.generation));
    Pass(members.ChangeMark(0, kMemberMark));
  }

  void AllowPorts(Family family) {
    if (!compiled_.allow[family].ports.empty()) {
      Pass(DestinationAndPort(New(family), family).In(AllowPortsName(family, options_.generation)));
    }
  }

  void Allow(Family family) {
    const AddressSets& allow = compiled_.allow[family];
    if (!compiled_.names.empty()) {
      ProtocolAndPort(New(family), kDestinationPort).In(ResolverPortsName(options_.generation)).Goto("refuse");
    }
    if (!allow.whole.empty()) {
      Pass(Destination(New(family), family).In(AllowName(family, options_.generation)));
    }
    if (family == kIpv4) {
      // The rest of a packet has no ports to look at.
      New(family).Network(kIpv4Fragment, 2).And({"\x1F\xFF", 2}).IsNot({"\0\0", 2}).Count("unusual").Goto("refuse");
    }
    if (compiled_.broker && compiled_.broker->address.v6 == (family == kIpv6)) {
      Pass(Destination(New(family), family)
               .Is(BytesOf(compiled_.broker->address))
               .Meta(NFT_META_L4PROTO)
               .Is8(IPPROTO_TCP)
               .Transport(kDestinationPort, 2)
               .Is16(compiled_.broker->port));
    }
    const auto pass = [](nft::Rule& rule) { Pass(rule); };
    if (!compiled_.names.empty() || !compiled_.inbound.empty()) {
      Remember(
          family, false, [&]() -> nft::Rule& { return Flow(New(family), family, false).In(FlowsName(family)); }, pass);
    }
    for (std::size_t group = 0; group < compiled_.groups.size(); ++group) {
      const auto named = [&]() -> nft::Rule& {
        nft::Rule& rule = New(family);
        Destination(rule, family).In(GroupName(group, family, options_.generation));
        if (!compiled_.groups[group].ports.empty()) {
          ProtocolAndPort(rule, kDestinationPort).In(GroupPortsName(group, options_.generation));
        }
        return rule;
      };
      Remember(family, false, named, pass);
      if (compiled_.groups[group].ports.empty()) {
        Pass(named());  // ICMP
      }
    }
  }

  void FromContainer() {
    // Every packet is looked at, with nothing remembered of its connection: what most of them need comes first.
    Frame(ETH_P_IP).Goto(kFromChains[kIpv4]);
    Frame(ETH_P_IPV6).Goto(kFromChains[kIpv6]);
    Arp();
    New().Payload(NFT_PAYLOAD_LL_HEADER, kEthernetSource, 6).IsNot(link_.mac).Count("spoofed").Goto("refuse");
    New().Goto("refuse");

    Sender(kIpv4);
    Deny(kIpv4);
    const bool members = !compiled_.members[kIpv4].empty();
    if (members) {
      Protocol(kIpv4);
      Members(kIpv4);
    }
    AllowPorts(kIpv4);  // of TCP and UDP alone
    if (!members) {
      Protocol(kIpv4);
    }
    Allow(kIpv4);
    New(kIpv4).Goto("refuse");

    NeighbourDiscovery();
    Sender(kIpv6);
    Protocol(kIpv6);
    Deny(kIpv6);
    if (!compiled_.members[kIpv6].empty()) {
      Members(kIpv6);
    }
    AllowPorts(kIpv6);
    Allow(kIpv6);
    New(kIpv6).Goto("refuse");
  }

  // Who is let in may be answered.
  void ToContainer(Family family) {
    Remember(
        family, true,
        [&]() -> nft::Rule& {
          return ProtocolAndPort(
                     New("to_container").Meta(NFT_META_PROTOCOL).Is16(family == kIpv4 ? ETH_P_IP : ETH_P_IPV6),
                     kDestinationPort)
              .In(InboundName(options_.generation));
        },
        [](nft::Rule& rule) { rule.Accept(); });
  }

  void Refuse() {
    New("refuse").Count("refused");
    if (options_.log_group) {
      New("refuse").Limit(kLogsPerSecond, kLogBurst).Log(*options_.log_group, "nucleus", kLogBytes);
    }
    New("refuse").Drop();
  }

  const Compiled& compiled_;
  const TableOptions& options_;
  const OuterLink& link_;
  nft::Table table_;
};

}  // namespace

std::string OuterTableName(const std::string& device) {
  return "nucleus-" + device;
}

nft::Table OuterTable(const Compiled& compiled, const TableOptions& options, const OuterLink& link) {
  return Outer(compiled, options, link).Make();
}

}  // namespace nucleus::egress
