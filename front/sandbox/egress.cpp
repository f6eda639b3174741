#include "front/sandbox/egress.h"

#include <arpa/inet.h>

#include <algorithm>
#include <vector>

#include "base/fd.h"
#include "policies/egress_policy.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;

// Of what the policy's reader takes; it looks at it more closely.
bool IsPlain(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
}

bool IsAddress(const std::string& text) {
  in6_addr address{};
  return ::inet_pton(AF_INET, text.c_str(), &address) == 1 || ::inet_pton(AF_INET6, text.c_str(), &address) == 1;
}

struct Rule {
  std::string where;
  std::string ports;
};

// WHERE[:PORTS]; an IPv6 network with ports stands in brackets.
Rule Split(const std::string& text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end != std::string::npos && (end + 1 == text.size() || text[end + 1] == ':')) {
      return {.where = text.substr(1, end - 1), .ports = end + 1 == text.size() ? "" : text.substr(end + 2)};
    }
    return {.where = text, .ports = {}};
  }
  const std::size_t colon = text.find(':');
  if (colon == std::string::npos || text.find(':', colon + 1) != std::string::npos) {
    return {.where = text, .ports = {}};
  }
  return {.where = text.substr(0, colon), .ports = text.substr(colon + 1)};
}

// "443,udp/53" → ["tcp/443", "udp/53"]
std::string PortList(std::string_view ports) {
  std::string list;
  while (!ports.empty()) {
    const std::string_view one = ports.substr(0, ports.find(','));
    ports.remove_prefix(std::min(ports.size(), one.size() + 1));
    list += (list.empty() ? "" : ", ") + std::string{one.find('/') == std::string_view::npos ? "\"tcp/" : "\""} +
            std::string{one} + "\"";
  }
  return "[" + list + "]";
}

Result<std::string> RuleText(const char* kind, const std::string& text, bool& domain) {
  const auto bad = [&text](const std::string& why) {
    return std::unexpected(Failure("\"" + text + "\": " + why, EINVAL));
  };
  if (!IsPlain(text)) {
    return bad("must be a domain, an address or a network, and ports: example.org:443, 10.0.0.0/8:5432,udp/53");
  }
  const Rule rule = Split(text);
  std::string where = rule.where;
  const std::size_t slash = where.find('/');
  const bool address = IsAddress(where.substr(0, slash));
  if (address && slash == std::string::npos) {
    where += where.find(':') != std::string::npos ? "/128" : "/32";
  }
  std::string result = "[[" + std::string{kind} + "]]\n" + (address ? "cidr" : "domain") + " = \"" + where + "\"\n";
  if (rule.where.size() != text.size() && !(text.starts_with('[') && text.ends_with(']'))) {
    if (rule.ports.empty()) {
      return bad("no ports behind the colon");
    }
    result += "ports = " + PortList(rule.ports) + "\n";
  }
  // Read alone, for a message that names this option.
  if (const auto parsed =
          policies::ParseEgressPolicy(result + (address ? "" : "[dns]\nservers = [\"192.0.2.1\"]\n"), "");
      !parsed) {
    // ":3: allow[0].ports[0]: what is wrong"
    const std::string& message = parsed.error().message;
    const std::size_t key = message.find(": ");
    const std::size_t words = key == std::string::npos ? key : message.find(": ", key + 2);
    return bad(words == std::string::npos ? message : message.substr(words + 2));
  }
  domain = domain || !address;
  return result;
}

// The nameservers of resolv.conf(5).
std::vector<std::string> HostsServers() {
  std::vector<std::string> servers;
  const std::string text = ReadFile("/etc/resolv.conf", kMaxFile).value_or("");
  std::string_view rest{text};
  constexpr std::string_view kWord = "nameserver";
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    if (!line.starts_with(kWord)) {
      continue;
    }
    line.remove_prefix(kWord.size());
    line.remove_prefix(std::min(line.size(), line.find_first_not_of(" \t")));
    const std::string server{line.substr(0, line.find_first_of(" \t\r#;"))};
    if (IsAddress(server) && std::ranges::find(servers, server) == servers.end()) {
      servers.push_back(server);
    }
  }
  return servers;
}

}  // namespace

Result<> CheckAllow(const std::string& text) {
  bool domain = false;
  TRY(RuleText("allow", text, domain));
  return {};
}

Result<> CheckDeny(const std::string& text) {
  bool domain = false;
  TRY(RuleText("deny", text, domain));
  return {};
}

Result<std::string> EgressDocument(const SandboxOptions& options) {
  if (!options.broker.empty()) {
    if (!options.allow.empty() || !options.dns.empty()) {
      return std::unexpected(Failure("--broker excludes --allow and --dns", EINVAL));
    }
    if (!IsPlain(options.broker)) {
      return std::unexpected(Failure("--broker: must be ADDRESS:PORT", EINVAL));
    }
    std::string document = "log = true\n[broker]\nendpoint = \"" + options.broker + "\"\n";
    TRY_IN("--broker", policies::ParseEgressPolicy(document, "egress.toml"));
    return document;
  }
  if (options.allow.empty() && options.deny.empty()) {
    if (!options.dns.empty()) {
      return std::unexpected(Failure("--dns: no name is allowed: --allow DOMAIN", EINVAL));
    }
    return std::string{};
  }
  std::string document = "log = true\n";
  bool domain = false;
  for (const std::string& text : options.allow) {
    document += TRY_IN("--allow", RuleText("allow", text, domain));
  }
  for (const std::string& text : options.deny) {
    document += TRY_IN("deny", RuleText("deny", text, domain));
  }
  if (domain || !options.dns.empty()) {
    const std::vector<std::string> servers = options.dns.empty() ? HostsServers() : options.dns;
    if (servers.empty()) {
      return std::unexpected(Failure("--allow: no DNS server in /etc/resolv.conf: --dns ADDRESS", EINVAL));
    }
    std::string list;
    for (const std::string& server : servers) {
      if (!IsAddress(server)) {
        return std::unexpected(Failure("--dns: \"" + server + "\" must be an address", EINVAL));
      }
      list += (list.empty() ? "\"" : ", \"") + server + "\"";
    }
    document += "[dns]\nservers = [" + list + "]\n";
  }
  TRY_IN("--allow", policies::ParseEgressPolicy(document, "egress.toml"));
  return document;
}

}  // namespace nucleus::front
