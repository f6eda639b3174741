#include "runtime/egress/helper/filters.h"

#include <linux/netfilter.h>

#include <algorithm>

#include "runtime/egress/rules/inner.h"
#include "runtime/egress/rules/match.h"
#include "runtime/sys/fault.h"

namespace nucleus::egress {
namespace {

constexpr std::uint16_t kOuterGroups = 0x4000;

Result<std::vector<Fd>> OpenHere() {
  nft::Socket socket = TRY(nft::Socket::Open());
  std::vector<Fd> fds;
  fds.push_back(socket.Release());
  return fds;
}

// The addresses that a name of the old policy has led to, where the new one has the same name.
Result<> CarryOver(nft::Socket& socket, const nft::Table& table, const Compiled& before, const Compiled& next,
                   std::uint32_t generation, std::vector<nft::Set>& sets) {
  for (const Family family : {kIpv4, kIpv6}) {
    for (std::size_t group = 0; group < before.groups.size(); ++group) {
      const std::string from = GroupName(group, family, generation);
      const std::vector<nft::Element> elements = TRY(nft::ListElements(socket, table.family, table.name, from));
      for (const nft::Element& element : elements) {
        for (const GrantedName& name : next.names) {
          if (RuleName(name) != element.comment) {
            continue;
          }
          const std::string to = GroupName(name.group, family, generation + 1);
          const auto set = std::ranges::find(sets, to, &nft::Set::name);
          if (set != sets.end() && element.timeout_ms > 0) {
            set->elements.push_back(element);
          }
        }
      }
    }
  }
  // The same address by two names of one group: the kernel takes one.
  for (nft::Set& set : sets) {
    if ((set.flags & NFT_SET_TIMEOUT) != 0) {
      std::ranges::sort(set.elements);
      const auto [first, last] = std::ranges::unique(set.elements, {}, &nft::Element::key);
      set.elements.erase(first, last);
    }
  }
  return {};
}

}  // namespace

std::uint16_t OuterLogGroup(std::uint32_t interface_index) {
  return static_cast<std::uint16_t>(kOuterGroups | (interface_index & (kOuterGroups - 1U)));
}

Result<nft::Socket> OpenAt(const Place& place) {
  if (place.netns < 0) {
    return nft::Socket::Open();
  }
  if (place.userns < 0 && CanComeBack()) {
    return nft::Socket::OpenIn(place.netns);
  }
  std::vector<Fd> made = TRY(MakeIn(place, OpenHere));
  return nft::Socket::Adopt(std::move(made.at(0)));
}

Result<Filters> Filters::Open(std::string id, const Place& inside, std::optional<Outside> outside) {
  Filters filters{std::move(id), TRY(OpenAt(inside))};
  if (outside) {
    filters.outer_ = TRY(OpenAt(outside->place));
    filters.outside_ = std::move(outside);
  }
  return filters;
}

Result<nft::Loaded> Filters::Load(nft::Socket& socket, nft::Table table) {
  const nft::Expected expected = nft::Expect(table);
  nft::Batch batch;
  batch.AddAll(table, true);
  if (Result<> loaded = socket.Commit(std::move(batch)); !loaded) {
    if (loaded.error().code == EEXIST) {
      return std::unexpected(
          Failure("egress: the network namespace has the rules of another container already: file exists", EEXIST));
    }
    return std::unexpected(Context("egress", std::move(loaded).error()));
  }
  return TRY_IN("egress", nft::Verify(socket, expected));
}

Result<nft::Loaded> Filters::LoadInner(const Compiled& compiled, std::uint32_t generation) {
  FAULT_POINT("net.rules");
  return Load(inner_, InnerTable(compiled, {.owner = id_,
                                            .generation = generation,
                                            .log_group = compiled.log ? std::optional{kInnerLogGroup} : std::nullopt}));
}

Result<nft::Loaded> Filters::LoadOuter(const Compiled& compiled, std::uint32_t generation) {
  FAULT_POINT("net.outer-rules");
  return Load(*outer_, OuterTable(compiled,
                                  {.owner = id_,
                                   .generation = generation,
                                   .log_group = compiled.log ? std::optional{outside_->log_group} : std::nullopt},
                                  outside_->link));
}

Result<nft::Loaded> Filters::Exchange(nft::Socket& socket, nft::Table next, const Compiled& before,
                                      const Compiled& compiled, std::uint32_t generation) {
  TRY(CarryOver(socket, next, before, compiled, generation, next.sets));
  const std::vector<std::string> old = TRY(nft::ListSets(socket, next.family, next.name));
  const nft::Expected expected = nft::Expect(next);
  TRY_IN("egress", socket.Commit(NewSets(next)));
  if (Result<> replaced = socket.Commit(Replacement(next, old)); !replaced) {
    nft::Batch undo;
    for (const nft::Set& set : next.sets) {
      undo.DeleteSet(next.family, next.name, set.name);
    }
    (void)socket.Commit(std::move(undo));
    return std::unexpected(Context("egress", std::move(replaced).error()));
  }
  return TRY_IN("egress", nft::Verify(socket, expected));
}

Result<Facts> Filters::Replace(const Compiled& before, const Compiled& next, std::uint32_t generation) {
  Facts facts;
  // Between the two the stricter of both holds: a packet passes both tables.
  if (outer_) {
    facts.outer = TRY(Exchange(*outer_,
                               OuterTable(next,
                                          {.owner = id_,
                                           .generation = generation + 1,
                                           .log_group = next.log ? std::optional{outside_->log_group} : std::nullopt},
                                          outside_->link),
                               before, next, generation));
  }
  facts.inner = TRY(Exchange(inner_,
                             InnerTable(next, {.owner = id_,
                                               .generation = generation + 1,
                                               .log_group = next.log ? std::optional{kInnerLogGroup} : std::nullopt}),
                             before, next, generation));
  return facts;
}

Result<> RemoveTables(nft::Socket& socket, std::uint32_t family, const std::string& id) {
  const auto tables = TRY(nft::ListTables(socket, family));
  for (const auto& [name, found] : tables) {
    if ((name != kInnerTable && !name.starts_with("nucleus-nuc")) || found.owner != id) {
      continue;
    }
    nft::Batch batch;
    batch.DeleteTable(family, name);
    if (const Result<> removed = socket.Commit(std::move(batch)); !removed && removed.error().code != ENOENT) {
      return removed;
    }
  }
  return {};
}

Result<> Filters::Remove() {
  TRY(RemoveTables(inner_, NFPROTO_INET, id_));
  return outer_ ? RemoveTables(*outer_, NFPROTO_NETDEV, id_) : Result<>{};
}

}  // namespace nucleus::egress
