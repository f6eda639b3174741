#include "runtime/egress/helper/show.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/fd.h"
#include "base/json_writer.h"
#include "runtime/egress/rules/inner.h"
#include "runtime/egress/rules/match.h"
#include "runtime/net/refusal.h"
#include "runtime/net/request.h"

namespace nucleus::egress {
namespace {

using net::Refusal;

constexpr std::size_t kMostShown = 20;  // of one set, as text

struct SetView {
  std::string name;
  std::vector<nft::Element> elements;
};

struct TableView {
  const char* where;
  std::string name;
  std::vector<nft::Counter> counters;
  std::vector<SetView> sets;
  std::size_t rules = 0;
  bool gone = false;
};

std::string AddressText(std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(bytes.size() == 4 ? AF_INET : AF_INET6, bytes.data(), text.data(), text.size());
  return text.data();
}

unsigned Number(std::string_view bytes, std::size_t at) {
  return static_cast<unsigned>(static_cast<unsigned char>(bytes[at]) << 8 | static_cast<unsigned char>(bytes[at + 1]));
}

std::string ProtocolText(unsigned char protocol) {
  return protocol == 6 ? "tcp" : protocol == 17 ? "udp" : std::to_string(protocol);
}

// The fields of a key: of flows (outer.h) by the set's name, otherwise by its length: an address, with a protocol and a
// port behind it or not, the latter alone, or a protocol.
std::string KeyText(std::string_view set, std::string_view key) {
  constexpr std::size_t kFlow = 12;
  constexpr std::size_t kPorts = 8;
  if (set.starts_with("flows") && key.size() > kFlow) {
    const std::size_t at = key.size() - kFlow;
    return AddressText(key.substr(0, at)) + " " + ProtocolText(static_cast<unsigned char>(key[at])) + "/" +
           std::to_string(Number(key, at + 8)) + " from port " + std::to_string(Number(key, at + 4));
  }
  if (key.size() == 1) {
    return ProtocolText(static_cast<unsigned char>(key[0]));
  }
  if (key.size() == 4 || key.size() == 16) {
    return AddressText(key);
  }
  if (key.size() < kPorts) {
    return "?";
  }
  const std::size_t at = key.size() - kPorts;
  return (at == 0 ? "" : AddressText(key.substr(0, at)) + " ") + ProtocolText(static_cast<unsigned char>(key[at])) +
         "/" + std::to_string(Number(key, at + 4));
}

std::string ElementText(std::string_view set, const nft::Element& element) {
  std::string text = KeyText(set, element.key);
  if (!element.key_end.empty() && element.key_end != element.key) {
    text += " - " + KeyText(set, element.key_end);
  }
  return element.interval_end ? "below " + text : text;
}

Result<TableView> Look(nft::Socket& socket, std::uint32_t family, const std::string& name, const char* where,
                       const std::vector<std::string>& chains) {
  TableView view{.where = where, .name = name, .counters = {}, .sets = {}};
  view.counters = TRY(nft::ListCounters(socket, family, name));
  const std::vector<std::string> sets = TRY(nft::ListSets(socket, family, name));
  for (const std::string& set : sets) {
    std::vector<nft::Element> elements = TRY(nft::ListElements(socket, family, name, set));
    view.sets.push_back({.name = set, .elements = std::move(elements)});
  }
  const auto rules = TRY(nft::ListRules(socket, family, name));
  for (const std::string& chain : chains) {
    if (const auto found = rules.find(chain); found != rules.end()) {
      view.rules += found->second.size();
    }
  }
  return view;
}

// The last ones. A line that cannot be read is left out.
std::vector<Refusal> ReadRefusals(const std::string& directory) {
  constexpr std::size_t kMost = 100;
  constexpr std::size_t kMaxBytes = std::size_t{4} << 20;
  std::vector<Refusal> refusals;
  for (const char* file : {net::kRefusedOldFile, net::kRefusedFile}) {
    const Result<std::string> text = ReadFile(directory + "/" + file, kMaxBytes);
    for (std::string_view rest = text ? std::string_view{*text} : ""; !rest.empty();) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      if (std::optional<Refusal> refusal = net::ParseRefusal(line)) {
        refusals.push_back(std::move(*refusal));
      }
    }
  }
  if (refusals.size() > kMost) {
    refusals.erase(refusals.begin(), refusals.end() - kMost);
  }
  return refusals;
}

// The name that had led to a refused address (another port of it, say), where it is known still.
void AddNames(const std::vector<TableView>& views, std::vector<Refusal>& refusals) {
  std::map<std::string, std::string> names;
  for (const TableView& view : views) {
    for (const SetView& set : view.sets) {
      for (const nft::Element& element : set.elements) {
        if (!element.comment.empty()) {
          names[KeyText(set.name, element.key)] = element.comment;
        }
      }
    }
  }
  for (Refusal& refusal : refusals) {
    if (const auto known = names.find(refusal.destination); refusal.name.empty() && known != names.end()) {
      refusal.name = known->second;
    }
  }
}

void WriteJson(JsonWriter& out, const Refusal& refusal) {
  out.BeginObject();
  for (const auto& [key, value] :
       std::initializer_list<std::pair<const char*, const std::string*>>{{"time", &refusal.time},
                                                                         {"protocol", &refusal.protocol},
                                                                         {"destination", &refusal.destination},
                                                                         {"name", &refusal.name},
                                                                         {"type", &refusal.type},
                                                                         {"reason", &refusal.reason}}) {
    if (!value->empty()) {
      out.Key(key).String(*value);
    }
  }
  if (refusal.port != 0) {
    out.Key("port").Uint(refusal.port);
  }
  if (refusal.outside) {
    out.Key("outside").Bool(true);
  }
  out.EndObject();
}

void WriteJson(JsonWriter& out, const TableView& view) {
  out.BeginObject();
  out.Key("where").String(view.where);
  out.Key("table").String(view.name);
  if (view.gone) {
    out.Key("gone").Bool(true);
  }
  out.Key("rules").Uint(view.rules);
  out.Key("counters").BeginObject();
  for (const nft::Counter& counter : view.counters) {
    out.Key(counter.name).BeginObject();
    out.Key("packets").Uint(counter.packets);
    out.Key("bytes").Uint(counter.bytes);
    out.EndObject();
  }
  out.EndObject();
  out.Key("sets").BeginObject();
  for (const SetView& set : view.sets) {
    out.Key(set.name).BeginArray();
    for (const nft::Element& element : set.elements) {
      out.BeginObject();
      out.Key("element").String(ElementText(set.name, element));
      if (element.timeout_ms != 0) {
        out.Key("expiresMs").Uint(element.timeout_ms);
      }
      if (!element.comment.empty()) {
        out.Key("name").String(element.comment);
      }
      out.EndObject();
    }
    out.EndArray();
  }
  out.EndObject();
  out.EndObject();
}

std::string TextOf(const TableView& view) {
  if (view.gone) {
    return std::string{view.where} + ": table " + view.name + " is gone\n";
  }
  std::string text = std::string{view.where} + " (table " + view.name + ", " + std::to_string(view.rules) + " rules)\n";
  for (const nft::Counter& counter : view.counters) {
    text += "  " + counter.name + ": " + std::to_string(counter.packets) + " packets, " +
            std::to_string(counter.bytes) + " bytes\n";
  }
  for (const SetView& set : view.sets) {
    text += "  " + set.name + ": " + std::to_string(set.elements.size()) + "\n";
    for (std::size_t i = 0; i < set.elements.size() && i < kMostShown; ++i) {
      const nft::Element& element = set.elements[i];
      text += "    " + ElementText(set.name, element);
      text += element.comment.empty() ? "" : " (" + element.comment + ")";
      text += element.timeout_ms == 0 ? "" : ", " + std::to_string(element.timeout_ms / 1000) + " s left";
      text += "\n";
    }
    if (set.elements.size() > kMostShown) {
      text += "    ...\n";
    }
  }
  return text;
}

}  // namespace

Result<std::string> Show(Filters& filters, const ShowOptions& options) {
  std::vector<TableView> views;
  Result<TableView> inner = Look(filters.inner(), NFPROTO_INET, kInnerTable, "inside of the container",
                                 {"refuse", "known", "output", "input", "forward"});
  if (inner) {
    views.push_back(std::move(*inner));
  } else if (inner.error().code == ENOENT) {
    // A container with CAP_NET_ADMIN has taken its own away. The one outside holds.
    views.push_back(
        {.where = "inside of the container", .name = kInnerTable, .counters = {}, .sets = {}, .gone = true});
  } else {
    return std::unexpected(Context("egress", std::move(inner).error()));
  }
  if (filters.outer() != nullptr) {
    views.push_back(
        TRY_IN("egress", Look(*filters.outer(), NFPROTO_NETDEV, OuterTableName(filters.outside()->link.device),
                              "outside of the container", {"refuse", "from_container"})));
  }
  std::vector<Refusal> refusals = ReadRefusals(options.state_directory);
  AddNames(views, refusals);
  if (options.json) {
    JsonWriter out{2};
    out.BeginObject();
    out.Key("id").String(filters.id());
    out.Key("mode").String(options.mode);
    out.Key("policy").String(options.policy_digest.empty() ? "" : "sha256:" + options.policy_digest);
    out.Key("generation").Uint(options.generation);
    out.Key("tables").BeginArray();
    for (const TableView& view : views) {
      WriteJson(out, view);
    }
    out.EndArray();
    out.Key("refused").BeginArray();
    for (const Refusal& refusal : refusals) {
      WriteJson(out, refusal);
    }
    out.EndArray();
    out.EndObject();
    return out.Take() + "\n";
  }
  std::string text =
      "network " + options.mode + ", policy " +
      (options.policy_digest.empty() ? "none: everything is denied" : "sha256:" + options.policy_digest) +
      ", generation " + std::to_string(options.generation) + "\n";
  for (const TableView& view : views) {
    text += TextOf(view);
  }
  text += refusals.empty() ? "" : "refused:\n";
  for (const Refusal& refusal : refusals) {
    text += "  " + net::RefusalText(refusal) + "\n";
  }
  return text;
}

}  // namespace nucleus::egress
