#include "policies/egress_policy.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <set>

#include "policies/toml.h"

namespace nucleus::policies {
namespace {

constexpr std::size_t kMaxRules = 16384;

std::optional<Address> ParseAddress(std::string_view text) {
  Address address;
  const std::string copy{text};
  if (::inet_pton(AF_INET, copy.c_str(), address.bytes.data()) == 1) {
    return address;
  }
  address.v6 = true;
  if (::inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) {
    return address;
  }
  return {};
}

template <class T>
std::optional<T> ParseNumber(std::string_view text, T most) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool leading_zero = text.size() > 1 && text.front() == '0';
  if (text.empty() || leading_zero || error != std::errc{} || end != text.data() + text.size() || value > most) {
    return {};
  }
  return value;
}

bool HasBitsBeyond(const Address& address, int prefix) {
  const int bits = address.v6 ? 128 : 32;
  for (int bit = prefix; bit < bits; ++bit) {
    if ((address.bytes[static_cast<std::size_t>(bit / 8)] >> (7 - bit % 8) & 1) != 0) {
      return true;
    }
  }
  return false;
}

std::optional<Cidr> ReadCidr(TomlReader& in, const TomlText& text) {
  const std::string_view value = text.value;
  const std::size_t slash = value.find('/');
  const std::optional<Address> address = ParseAddress(value.substr(0, slash));
  const int most = address && address->v6 ? 128 : 32;
  const std::optional<int> prefix =
      slash == std::string_view::npos ? std::optional<int>{most} : ParseNumber<int>(value.substr(slash + 1), most);
  if (!address || !prefix) {
    in.Fail(text, "must be an IPv4 or IPv6 network, \"10.0.0.0/8\" or \"2001:db8::/32\"");
    return {};
  }
  if (HasBitsBeyond(*address, *prefix)) {
    in.Fail(text, "has address bits beyond the prefix");
    return {};
  }
  return Cidr{.address = *address, .prefix = *prefix};
}

// "tcp/443", "udp/8000-8010"
std::optional<PortRange> ParsePorts(std::string_view text) {
  PortRange range;
  if (text.starts_with("udp/")) {
    range.protocol = Protocol::kUdp;
  } else if (!text.starts_with("tcp/")) {
    return {};
  }
  text.remove_prefix(4);
  const std::size_t dash = text.find('-');
  const std::optional<std::uint32_t> first = ParseNumber<std::uint32_t>(text.substr(0, dash), UINT16_MAX);
  const std::optional<std::uint32_t> last =
      dash == std::string_view::npos ? first : ParseNumber<std::uint32_t>(text.substr(dash + 1), UINT16_MAX);
  if (!first || !last || *first == 0 || *first > *last) {
    return {};
  }
  range.first = static_cast<std::uint16_t>(*first);
  range.last = static_cast<std::uint16_t>(*last);
  return range;
}

// `nothing` is what it means to leave the key out.
std::vector<PortRange> ReadPorts(TomlReader& in, const toml::table& table, std::string_view where, const char* key,
                                 const char* nothing) {
  std::vector<PortRange> result;
  const std::optional<std::vector<TomlText>> ports = in.Texts(table, where, key);
  if (ports && ports->empty()) {
    in.Fail(table, KeyPath(where, key), std::string{"must not be empty; left out, it means "} + nothing);
  }
  for (const TomlText& text : ports.value_or(std::vector<TomlText>{})) {
    const std::optional<PortRange> range = ParsePorts(text.value);
    if (!range) {
      in.Fail(text, "must be \"tcp/PORT\", \"udp/PORT\" or a range, \"tcp/8000-8010\"");
      break;
    }
    result.push_back(*range);
  }
  return result;
}

std::string Lower(std::string_view text) {
  std::string result{text};
  std::ranges::transform(result, result.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; });
  return result;
}

EgressRule ReadRule(TomlReader& in, const TomlReader::Element& element, bool may_be_domain) {
  EgressRule rule;
  in.OnlyKeys(*element.table, element.where, {"cidr", "domain", "ports"});
  const std::optional<TomlText> cidr = in.Text(*element.table, element.where, "cidr");
  const std::optional<TomlText> domain = in.Text(*element.table, element.where, "domain");
  if (cidr.has_value() == domain.has_value()) {
    in.Fail(*element.table, element.where, "must have one of cidr and domain");
  }
  if (cidr) {
    rule.cidr = ReadCidr(in, *cidr);
  }
  if (domain) {
    std::string name = Lower(domain->value);
    rule.wildcard = name.starts_with("*.");
    if (rule.wildcard) {
      name.erase(0, 2);
    }
    if (!may_be_domain) {
      in.Fail(*domain, "only for allow: what a name leads to is not known beforehand");
    } else if (!IsDomainName(name) || ParseAddress(name)) {
      in.Fail(*domain, "must be a domain name, \"api.example.com\" or \"*.example.com\"");
    }
    rule.domain = std::move(name);
  }
  rule.ports = ReadPorts(in, *element.table, element.where, "ports", "all");
  return rule;
}

// What makes two rules the same.
std::string RuleKey(const EgressRule& rule) {
  std::string key = rule.wildcard ? "*." : "";
  key += rule.domain;
  if (rule.cidr) {
    key.append(reinterpret_cast<const char*>(rule.cidr->address.bytes.data()), rule.cidr->address.bytes.size());
    key += std::to_string(rule.cidr->prefix) + (rule.cidr->address.v6 ? "v6" : "v4");
  }
  std::vector<std::string> ports;
  ports.reserve(rule.ports.size());
  for (const PortRange& range : rule.ports) {
    ports.push_back((range.protocol == Protocol::kTcp ? " t" : " u") + std::to_string(range.first) + "-" +
                    std::to_string(range.last));
  }
  std::ranges::sort(ports);
  for (const std::string& range : ports) {
    key += range;
  }
  return key;
}

std::vector<EgressRule> ReadRules(TomlReader& in, std::string_view key, bool may_be_domain) {
  std::vector<EgressRule> rules;
  std::set<std::string> seen;
  for (const TomlReader::Element& element : in.Tables(in.root(), "", key)) {
    if (rules.size() >= kMaxRules) {
      in.Fail(*element.table, element.where, "more than " + std::to_string(kMaxRules) + " rules");
      break;
    }
    EgressRule rule = ReadRule(in, element, may_be_domain);
    if (!seen.insert(RuleKey(rule)).second) {
      in.Fail(*element.table, element.where, "the same rule twice");
    }
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::optional<EgressPolicy::Broker> ReadBroker(TomlReader& in) {
  const toml::table* table = in.Table(in.root(), "", "broker");
  if (table == nullptr) {
    return {};
  }
  in.OnlyKeys(*table, "broker", {"endpoint", "environment"});
  const std::optional<TomlText> endpoint = in.Text(*table, "broker", "endpoint");
  if (!endpoint) {
    in.Fail(*table, "broker.endpoint", "required");
    return {};
  }
  // "10.0.42.1:8080", "[2001:db8::1]:8080"
  const std::string_view value = endpoint->value;
  const std::size_t colon = value.rfind(':');
  std::string_view host = value.substr(0, colon == std::string_view::npos ? 0 : colon);
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  if (brackets) {
    host = host.substr(1, host.size() - 2);
  }
  const std::optional<Address> address = ParseAddress(host);
  const std::optional<std::uint32_t> port =
      colon == std::string_view::npos ? std::nullopt : ParseNumber<std::uint32_t>(value.substr(colon + 1), UINT16_MAX);
  if (!address || address->v6 != brackets || !port || *port == 0) {
    in.Fail(*endpoint, "must be ADDRESS:PORT, \"10.0.42.1:8080\" or \"[2001:db8::1]:8080\"");
    return {};
  }
  for (const std::string_view other : {"allow", "deny", "dns"}) {
    if (in.root().contains(other)) {
      in.Fail(*table, "broker", "excludes " + std::string{other});
    }
  }
  return EgressPolicy::Broker{.address = *address,
                              .port = static_cast<std::uint16_t>(*port),
                              .environment = in.Boolean(*table, "broker", "environment").value_or(true)};
}

}  // namespace

bool IsDomainName(std::string_view name) {
  constexpr std::size_t kMaxName = 253;
  constexpr std::size_t kMaxLabel = 63;
  if (name.empty() || name.size() > kMaxName) {
    return false;
  }
  while (!name.empty()) {
    const std::size_t dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    const bool plain = std::ranges::all_of(label, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    if (label.empty() || label.size() > kMaxLabel || !plain || label.front() == '-' || label.back() == '-') {
      return false;
    }
    if (dot == std::string_view::npos) {
      return true;
    }
    name.remove_prefix(dot + 1);
  }
  return false;  // ends in a dot
}

Result<EgressPolicy> ParseEgressPolicy(std::string_view toml, const std::string& name) {
  TomlReader in{toml, name};
  EgressPolicy policy;
  in.OnlyKeys(in.root(), "", {"log", "inbound", "allow", "deny", "dns", "broker"});
  policy.log = in.Boolean(in.root(), "", "log").value_or(false);
  policy.inbound = ReadPorts(in, in.root(), "", "inbound", "none");
  policy.allow = ReadRules(in, "allow", true);
  policy.deny = ReadRules(in, "deny", false);
  if (const toml::table* dns = in.Table(in.root(), "", "dns")) {
    in.OnlyKeys(*dns, "dns", {"servers"});
    for (const TomlText& text : in.Texts(*dns, "dns", "servers").value_or(std::vector<TomlText>{})) {
      const std::optional<Address> server = ParseAddress(text.value);
      if (!server) {
        in.Fail(text, "must be an IPv4 or IPv6 address");
        break;
      }
      policy.dns_servers.push_back(*server);
    }
  }
  policy.broker = ReadBroker(in);
  const bool names = std::ranges::any_of(policy.allow, [](const EgressRule& rule) { return !rule.domain.empty(); });
  if (names && policy.dns_servers.empty()) {
    in.Fail(in.root(), "dns.servers", "needed where a domain is allowed");
  }
  TRY(in.Finish());
  return policy;
}

}  // namespace nucleus::policies
