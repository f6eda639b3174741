#include "runtime/egress/nft/verify.h"

#include <libmnl/libmnl.h>

#include <algorithm>
#include <memory>

extern "C" {
#include <libnftnl/chain.h>
}

namespace nucleus::nft {
namespace {

std::unexpected<Error> Differs(const std::string& what) {
  return std::unexpected(Failure("nf_tables: the kernel does not have what was loaded: " + what, EPROTO));
}

std::string Describe(const Chain& chain) {
  std::string text = chain.name;
  if (chain.hook) {
    text += " " + std::string{chain.hook->type} + " hook " + std::to_string(chain.hook->number) + " priority " +
            std::to_string(chain.hook->priority) + (chain.hook->drop ? " drop" : " accept");
    text += chain.hook->device.empty() ? "" : " device " + chain.hook->device;
  }
  return text;
}

std::string Device(const nftnl_chain* chain) {
  if (const char* device = nftnl_chain_get_str(chain, NFTNL_CHAIN_DEV); device != nullptr) {
    return device;
  }
  if (nftnl_chain_is_set(chain, NFTNL_CHAIN_DEVICES)) {
    const auto* const* devices = nftnl_chain_get_array(chain, NFTNL_CHAIN_DEVICES);
    return devices != nullptr && devices[0] != nullptr ? devices[0] : "";
  }
  return "";
}

Result<std::vector<std::string>> ListChains(Socket& socket, std::uint32_t family, const std::string& table) {
  std::vector<std::string> chains;
  TRY(socket.Dump(
      NFT_MSG_GETCHAIN, family, [](nlmsghdr*) {}, [&] { chains.clear(); },
      [&](const nlmsghdr* message) {
        const std::unique_ptr<nftnl_chain, void (*)(const nftnl_chain*)> found{nftnl_chain_alloc(), nftnl_chain_free};
        if (nftnl_chain_nlmsg_parse(message, found.get()) < 0) {
          chains.emplace_back("unreadable");
          return;
        }
        const char* of = nftnl_chain_get_str(found.get(), NFTNL_CHAIN_TABLE);
        if (of == nullptr || table != of) {
          return;
        }
        Chain chain{.name = nftnl_chain_get_str(found.get(), NFTNL_CHAIN_NAME)};
        if (nftnl_chain_is_set(found.get(), NFTNL_CHAIN_HOOKNUM)) {
          chain.hook = Hook{.type = nftnl_chain_get_str(found.get(), NFTNL_CHAIN_TYPE),
                            .number = nftnl_chain_get_u32(found.get(), NFTNL_CHAIN_HOOKNUM),
                            .priority = nftnl_chain_get_s32(found.get(), NFTNL_CHAIN_PRIO),
                            .drop = nftnl_chain_get_u32(found.get(), NFTNL_CHAIN_POLICY) == 0,
                            .device = Device(found.get())};
        }
        chains.push_back(Describe(chain));
      }));
  return chains;
}

}  // namespace

Expected Expect(const Table& table) {
  Expected expected{.family = table.family,
                    .table = table.name,
                    .owner = table.owner,
                    .sets = table.sets,
                    .chains = table.chains,
                    .rules = {}};
  for (const Rule& rule : table.rules) {
    expected.rules.emplace_back(rule.chain(), rule.Print());
  }
  return expected;
}

Result<Loaded> Verify(Socket& socket, const Expected& expected) {
  Loaded loaded;
  const auto tables = TRY(ListTables(socket, expected.family));
  const auto table = std::ranges::find(tables, expected.table, [](const auto& entry) { return entry.first; });
  if (table == tables.end()) {
    return Differs("no table " + expected.table);
  }
  if (table->second.owner != expected.owner) {
    return Differs("table " + expected.table + " is another's");
  }
  loaded.handle = table->second.handle;

  std::vector<std::string> chains = TRY(ListChains(socket, expected.family, expected.table));
  std::vector<std::string> wanted;
  wanted.reserve(expected.chains.size());
  for (const Chain& chain : expected.chains) {
    wanted.push_back(Describe(chain));
  }
  std::ranges::sort(chains);
  std::ranges::sort(wanted);
  if (chains != wanted) {
    return Differs("the chains of table " + expected.table);
  }
  std::map<std::string, std::vector<std::string>> rules_of = TRY(ListRules(socket, expected.family, expected.table));
  for (const Chain& chain : expected.chains) {
    const std::vector<std::string> rules = std::move(rules_of[chain.name]);
    rules_of.erase(chain.name);
    std::size_t at = 0;
    for (const auto& [of, text] : expected.rules) {
      if (of != chain.name) {
        continue;
      }
      if (at >= rules.size() || rules[at] != text) {
        return Differs("rule " + std::to_string(at + 1) + " of chain " + chain.name + ": " +
                       (at < rules.size() ? rules[at] : "none") + ", wanted: " + text);
      }
      ++at;
    }
    if (at != rules.size()) {
      return Differs("chain " + chain.name + " has " + std::to_string(rules.size()) + " rules");
    }
    loaded.rules += at;
  }
  if (!rules_of.empty()) {
    return Differs("rules of chain " + rules_of.begin()->first);
  }
  for (const Set& set : expected.sets) {
    if ((set.flags & NFT_SET_TIMEOUT) != 0) {
      continue;
    }
    std::vector<Element> elements = TRY(ListElements(socket, expected.family, expected.table, set.name));
    std::vector<Element> asked = set.elements;
    std::ranges::sort(elements);
    std::ranges::sort(asked);
    if (elements != asked) {
      return Differs("set " + set.name + " has " + std::to_string(elements.size()) + " elements for " +
                     std::to_string(asked.size()));
    }
    loaded.elements += elements.size();
  }
  return loaded;
}

}  // namespace nucleus::nft
