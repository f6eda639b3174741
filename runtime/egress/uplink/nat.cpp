#include "runtime/egress/uplink/nat.h"

// The C library's before the kernel's, which then leave out what they share.
#include <net/if.h>
#include <netinet/in.h>
// and then
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter_bridge.h>
#include <linux/netfilter_ipv4.h>
#include <linux/rtnetlink.h>

#include <algorithm>

#include "runtime/egress/nft/socket.h"
#include "runtime/egress/nft/table.h"
#include "runtime/egress/rules/outer.h"

namespace nucleus::uplink {
namespace {

constexpr std::uint32_t kMaxShifted = 1024;

// Of a packet that comes from the bridge and that a published port sends back there, between two hooks.
constexpr std::uint32_t kReturns = 0x00400000;

// Of a packet between members that the receiver's table has let through.
constexpr std::uint32_t kMemberLet = 0x01000000;

// Offsets: RFC 791, RFC 8200, RFC 9293, RFC 768.
constexpr std::uint32_t kDestinationPort = 2;
constexpr std::uint32_t kV4Source = 12;
constexpr std::uint32_t kV4Destination = 16;
constexpr std::uint32_t kV6Source = 8;
constexpr std::uint32_t kV6Destination = 24;
// Registers: addresses fill the words from 0 on.
constexpr std::uint32_t kPortWord = 4;
constexpr std::uint8_t kRedirectV4 = 5;    // ICMP redirect
constexpr std::uint8_t kRedirectV6 = 137;  // RFC 4861

std::string Name(const std::string& device) {
  std::string name = device;
  name.resize(IFNAMSIZ);
  return name;
}

std::string Port(std::uint32_t port) {
  return {static_cast<char>(port >> 8U), static_cast<char>(port & 0xffU)};
}

nft::Rule For(const char* chain, bool v6) {
  nft::Rule rule{chain};
  rule.Meta(NFT_META_NFPROTO).Is8(v6 ? NFPROTO_IPV6 : NFPROTO_IPV4);
  return rule;
}

void Source(nft::Rule& rule, const net::Prefix& address) {
  rule.Network(address.v6() ? kV6Source : kV4Source, static_cast<std::uint32_t>(address.bytes.size()))
      .Is(address.bytes);
}
void Destination(nft::Rule& rule, const std::string& address) {
  rule.Network(address.size() > 4 ? kV6Destination : kV4Destination, static_cast<std::uint32_t>(address.size()))
      .Is(address);
}

std::string MarkBytes(std::uint32_t bits) {
  return {reinterpret_cast<const char*>(&bits), sizeof bits};
}

nft::Hook HookOf(const char* type, std::uint32_t number, std::int32_t priority) {
  return {.type = type, .number = number, .priority = priority, .drop = false, .device = {}};
}

Result<> Replace(nft::Socket& socket, nft::Table& table) {
  nft::Batch batch;
  batch.AddTable(table, false);
  batch.DeleteTable(table.family, table.name);
  batch.AddAll(table, true);
  return socket.Commit(std::move(batch));
}

// ---- published ports

std::string AddressOf(const oci::PublishedPort& port) {
  const bool v6 = port.host == oci::PublishedPort::Host::kV6;
  return {reinterpret_cast<const char*>(port.address.data()), v6 ? sizeof(in6_addr) : sizeof(in_addr)};
}

bool AnyAddress(const oci::PublishedPort& port) {
  return port.host == oci::PublishedPort::Host::kAny || AddressOf(port).find_first_not_of('\0') == std::string::npos;
}

bool IsShifted(const oci::PublishedPort& port) {
  return port.count > 1 && port.host_port != port.container_port;
}

std::string V6Loopback() {
  std::string loopback(sizeof(in6_addr), '\0');
  loopback.back() = 1;
  return loopback;
}

nft::Rule PortRule(const char* chain, const oci::PublishedPort& port, const net::Prefix& to) {
  nft::Rule rule = For(chain, to.v6());
  if (AnyAddress(port)) {
    if (to.v6()) {
      rule.Network(kV6Destination, sizeof(in6_addr)).IsNot(V6Loopback());
    }
    rule.Fib(NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR).Is32(RTN_LOCAL);
  } else {
    Destination(rule, AddressOf(port));
  }
  rule.Meta(NFT_META_L4PROTO)
      .Is8(port.protocol == oci::PublishedPort::Protocol::kUdp ? IPPROTO_UDP : IPPROTO_TCP)
      .Transport(kDestinationPort, 2);
  return rule;
}

void AddPort(nft::Table& table, const char* chain, const oci::PublishedPort& port, const net::Prefix& to) {
  const std::uint32_t family = to.v6() ? NFPROTO_IPV6 : NFPROTO_IPV4;
  if (port.count > 1 && !IsShifted(port)) {
    nft::Rule rule = PortRule(chain, port, to);
    rule.Between(Port(port.host_port), Port(port.host_port + port.count - 1U))
        .Transport(kDestinationPort, 2, kPortWord)
        .Immediate(to.bytes)
        .Dnat(family, 0, kPortWord);
    table.rules.push_back(std::move(rule));
    return;
  }
  for (std::uint32_t i = 0; i < port.count; ++i) {
    nft::Rule rule = PortRule(chain, port, to);
    rule.Is(Port(port.host_port + i))
        .Immediate(Port(port.container_port + i), kPortWord)
        .Immediate(to.bytes)
        .Dnat(family, 0, kPortWord);
    table.rules.push_back(std::move(rule));
  }
}

void AddFamily(nft::Table& table, const Nat& nat, const net::Prefix& container) {
  for (const oci::PublishedPort& port : nat.publish) {
    const bool other =
        container.v6() ? port.host == oci::PublishedPort::Host::kV4 : port.host == oci::PublishedPort::Host::kV6;
    if (!other) {
      AddPort(table, "prerouting", port, container);
      AddPort(table, "output", port, container);
    }
  }
  const std::string inside = Name(nat.inside);
  nft::Rule out = For("postrouting", container.v6());
  Source(out, container);
  out.Meta(NFT_META_OIFNAME).IsNot(inside).Masquerade();
  table.rules.push_back(std::move(out));
  // A container that comes back to itself by a published port would see packets of its own address arrive.
  nft::Rule hairpin = For("postrouting", container.v6());
  Source(hairpin, container);
  Destination(hairpin, container.bytes);
  hairpin.Masquerade();
  table.rules.push_back(std::move(hairpin));
  // The host's own connections to a published port of a loopback address.
  nft::Rule local = For("postrouting", container.v6());
  if (container.v6()) {
    Source(local, {.bytes = V6Loopback(), .length = 128});
  } else {
    local.Network(kV4Source, 1).Is8(IN_LOOPBACKNET);
  }
  Destination(local, container.bytes);
  local.Masquerade();
  table.rules.push_back(std::move(local));
}

}  // namespace

Result<> LoadGate(const Gate& gate) {
  nft::Table table;
  table.family = NFPROTO_INET;
  table.name = gate.table;
  // With a digit that goes up where the rules become others: a bridge may be older than this program.
  table.owner = std::string{"nucleus 2 "} + gate.inside + (gate.close_v4 ? " 4" : "") + (gate.close_v6 ? " 6" : "");
  nft::Socket socket = TRY(nft::Socket::Open());
  // It is loaded whole or not at all, so one that is there is right.
  for (const auto& [name, found] : TRY(nft::ListTables(socket, NFPROTO_INET))) {
    if (name == table.name && found.owner == table.owner) {
      return {};
    }
  }
  table.chains = {
      {.name = "prerouting", .hook = HookOf("filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW)},
      {.name = "returns", .hook = HookOf("filter", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST + 1)},
      {.name = "forward", .hook = HookOf("filter", NF_INET_FORWARD, NF_IP_PRI_FILTER)},
      {.name = "output", .hook = HookOf("filter", NF_INET_LOCAL_OUT, NF_IP_PRI_FILTER)},
  };
  const std::string inside = Name(gate.inside);
  nft::Rule loopback = For("prerouting", false);
  loopback.Meta(NFT_META_IIFNAME).Is(inside).Network(kV4Destination, 1).Is8(IN_LOOPBACKNET).Drop();
  table.rules.push_back(std::move(loopback));

  const auto forward = [&table](auto build) {
    nft::Rule rule{"forward"};
    build(rule);
    table.rules.push_back(std::move(rule));
  };
  const std::uint32_t known = NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED);
  const std::string known_bits{reinterpret_cast<const char*>(&known), sizeof known};
  const std::uint32_t dnat = IPS_DST_NAT;
  const std::string dnat_bit{reinterpret_cast<const char*>(&dnat), sizeof dnat};
  const std::string none(sizeof known, '\0');
  nft::Rule returns{"returns"};
  returns.Meta(NFT_META_IIFNAME).Is(inside).Ct(NFT_CT_STATUS).And(dnat_bit).IsNot(none);
  returns.Fib(NFT_FIB_RESULT_OIFNAME, NFTA_FIB_F_DADDR).Is(inside).ChangeMark(0, kReturns);
  table.rules.push_back(std::move(returns));
  forward([&](nft::Rule& rule) {
    rule.Meta(NFT_META_OIFNAME).Is(inside).Ct(NFT_CT_STATE).And(known_bits).IsNot(none).Accept();
  });
  forward([&](nft::Rule& rule) {
    rule.Meta(NFT_META_OIFNAME).Is(inside).Ct(NFT_CT_STATUS).And(dnat_bit).IsNot(none).Accept();
  });
  forward([&](nft::Rule& rule) {
    rule.Meta(NFT_META_OIFNAME).Is(inside).Meta(NFT_META_MARK).And(MarkBytes(kMemberLet)).IsNot(none).Accept();
  });
  forward([&](nft::Rule& rule) {
    rule.Meta(NFT_META_OIFNAME).Is(inside).Meta(NFT_META_L4PROTO).Is8(IPPROTO_TCP).RejectTcp();
  });
  forward([&](nft::Rule& rule) { rule.Meta(NFT_META_OIFNAME).Is(inside).Reject(); });
  for (const bool v6 : {false, true}) {
    if (v6 ? gate.close_v6 : gate.close_v4) {
      nft::Rule others = For("forward", v6);
      others.Meta(NFT_META_IIFNAME).IsNot(inside).Meta(NFT_META_OIFNAME).IsNot(inside).Drop();
      table.rules.push_back(std::move(others));
    }
  }
  nft::Rule redirect_v4{"output"};
  redirect_v4.Meta(NFT_META_OIFNAME).Is(inside).Meta(NFT_META_L4PROTO).Is8(IPPROTO_ICMP);
  redirect_v4.Transport(0, 1).Is8(kRedirectV4).Drop();
  table.rules.push_back(std::move(redirect_v4));
  nft::Rule redirect_v6{"output"};
  redirect_v6.Meta(NFT_META_OIFNAME).Is(inside).Meta(NFT_META_L4PROTO).Is8(IPPROTO_ICMPV6);
  redirect_v6.Transport(0, 1).Is8(kRedirectV6).Drop();
  table.rules.push_back(std::move(redirect_v6));
  return Replace(socket, table);
}

namespace {

// What comes from a member, and by its mark is known to, may be forwarded: the gate looks for the other mark.
void AddMembers(nft::Table& table, const net::Prefix& container, const std::vector<std::string>& members) {
  if (members.empty()) {
    return;
  }
  const bool v6 = container.v6();
  nft::Set set = egress::MemberSet(v6 ? "members6" : "members4", members);
  nft::Rule rule = For("members", v6);
  Destination(rule, container.bytes);
  rule.Meta(NFT_META_MARK).And(MarkBytes(egress::kMemberMark)).IsNot(std::string(sizeof(std::uint32_t), '\0'));
  rule.Network(v6 ? kV6Source : kV4Source, static_cast<std::uint32_t>(container.bytes.size())).In(set.name);
  rule.ChangeMark(egress::kMemberMark, kMemberLet);
  table.sets.push_back(std::move(set));
  table.rules.push_back(std::move(rule));
}

}  // namespace

Result<> LoadNat(const Nat& nat) {
  nft::Table table;
  table.family = NFPROTO_INET;
  table.name = nat.table;
  table.owner = "nucleus " + nat.inside;
  table.chains = {
      {.name = "prerouting", .hook = HookOf("nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST)},
      {.name = "output", .hook = HookOf("nat", NF_INET_LOCAL_OUT, NF_IP_PRI_NAT_DST)},
      {.name = "postrouting", .hook = HookOf("nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC)},
  };
  AddFamily(table, nat, nat.v4);
  if (nat.v6) {
    AddFamily(table, nat, *nat.v6);
  }
  if (!nat.members_v4.empty()) {
    table.chains.push_back({.name = "members", .hook = HookOf("filter", NF_INET_FORWARD, NF_IP_PRI_FILTER - 1)});
    AddMembers(table, nat.v4, nat.members_v4);
    if (nat.v6) {
      AddMembers(table, *nat.v6, nat.members_v6);
    }
  }
  nft::Socket socket = TRY(nft::Socket::Open());
  return Replace(socket, table);
}

Result<> LoadPorts(const std::string& table, const std::string& port_prefix) {
  nft::Socket socket = TRY(nft::Socket::Open());
  for (const auto& [name, found] : TRY(nft::ListTables(socket, NFPROTO_BRIDGE))) {
    if (name == table) {
      return {};
    }
  }
  nft::Table ports;
  ports.family = NFPROTO_BRIDGE;
  ports.name = table;
  ports.chains = {{.name = "forward", .hook = HookOf("filter", NF_BR_FORWARD, NF_BR_PRI_FILTER_BRIDGED)}};
  const std::uint32_t bit = kReturns;
  const std::string bits{reinterpret_cast<const char*>(&bit), sizeof bit};
  nft::Rule returns{"forward"};
  returns.Meta(NFT_META_MARK).And(bits).Is(bits).ChangeMark(kReturns, 0).Accept();
  ports.rules.push_back(std::move(returns));
  nft::Rule others{"forward"};
  others.Meta(NFT_META_IIFNAME).Is(port_prefix).Meta(NFT_META_OIFNAME).Is(port_prefix).Drop();
  ports.rules.push_back(std::move(others));
  return Replace(socket, ports);
}

namespace {

Result<> Delete(std::uint32_t family, const std::string& table) {
  nft::Socket socket = TRY(nft::Socket::Open());
  nft::Batch batch;
  batch.DeleteTable(family, table);
  const Result<> deleted = socket.Commit(std::move(batch));
  return !deleted && deleted.error().code == ENOENT ? Result<>{} : deleted;
}

}  // namespace

Result<> DeleteTable(const std::string& table) {
  return Delete(NFPROTO_INET, table);
}

Result<> DeletePorts(const std::string& table) {
  const Result<> deleted = Delete(NFPROTO_BRIDGE, table);
  // A kernel that does not filter on bridges has no such table.
  return !deleted && (deleted.error().code == EAFNOSUPPORT || deleted.error().code == EOPNOTSUPP) ? Result<>{}
                                                                                                  : deleted;
}

Result<> CheckPublish(const std::vector<oci::PublishedPort>& publish) {
  std::uint32_t rules = 0;
  for (const oci::PublishedPort& port : publish) {
    if (port.host == oci::PublishedPort::Host::kV6 && AddressOf(port) == V6Loopback()) {
      return std::unexpected(Failure(
          "published ports: not on [::1], to which the kernel takes no answer from a link; use 127.0.0.1", ENOTSUP));
    }
    rules += IsShifted(port) ? port.count : 1;
  }
  if (rules > kMaxShifted) {
    return std::unexpected(Failure(
        "published ports: more than " + std::to_string(kMaxShifted) + " ports in ranges that lead to other numbers",
        E2BIG));
  }
  return {};
}

}  // namespace nucleus::uplink
