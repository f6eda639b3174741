#include "runtime/egress/helper/name_sets.h"

#include <linux/netfilter.h>

#include <ctime>

#include "runtime/egress/rules/inner.h"
#include "runtime/egress/rules/match.h"

namespace nucleus::egress {
namespace {

constexpr std::size_t kMostRemembered = 65536;

std::int64_t Now() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return (std::int64_t{now.tv_sec} * 1000) + (now.tv_nsec / 1'000'000);
}

}  // namespace

Result<> NameSets::Open() {
  tables_.clear();
  until_.clear();
  if (outside_) {
    tables_.push_back({.socket = TRY(OpenAt(outside_->place)),
                       .family = NFPROTO_NETDEV,
                       .name = OuterTableName(outside_->link.device)});
  }
  tables_.push_back({.socket = TRY(OpenAt(inside_)), .family = NFPROTO_INET, .name = kInnerTable});
  return {};
}

std::vector<int> NameSets::Descriptors() const {
  std::vector<int> descriptors;
  descriptors.reserve(tables_.size());
  for (const Table& table : tables_) {
    descriptors.push_back(table.socket.fd());
  }
  return descriptors;
}

// An element that is there keeps its time whatever is asked for, before Linux 6.12. Added, taken out and added again
// in one transaction it has the new one, and no packet finds it missing.
Result<> NameSets::AddTo(Table& table, const std::map<std::string, nft::Set>& sets) {
  nft::Batch batch;
  for (const auto& [name, set] : sets) {
    batch.AddElements(table.family, table.name, set);
    batch.DeleteElements(table.family, table.name, set);
    batch.AddElements(table.family, table.name, set);
  }
  return table.socket.Commit(std::move(batch));
}

Result<> NameSets::Add(std::span<const gate::Grant> grants) {
  const std::int64_t now = Now();
  std::map<std::string, nft::Set> sets;
  std::map<std::pair<std::string, std::string>, std::int64_t> longer;
  for (const gate::Grant& grant : grants) {
    if (grant.group >= compiled_.names.size()) {
      return std::unexpected(Failure("a grant for a name that there is not", EINVAL));
    }
    const GrantedName& name = compiled_.names[grant.group];
    const std::string set = GroupName(name.group, grant.address.v6 ? kIpv6 : kIpv4, generation_);
    const std::string key = BytesOf(grant.address);
    const std::int64_t until = now + (std::int64_t{grant.seconds} * 1000);
    const auto known = until_.find({set, key});
    if (known != until_.end() && known->second >= until) {
      continue;
    }
    std::int64_t& wanted = longer[{set, key}];
    if (wanted >= until) {
      continue;
    }
    wanted = until;
    nft::Set& elements = sets[set];
    elements.name = set;
    std::erase_if(elements.elements, [&key](const nft::Element& element) { return element.key == key; });
    elements.elements.push_back({.key = key,
                                 .key_end = {},
                                 .timeout_ms = static_cast<std::uint64_t>(grant.seconds) * 1000,
                                 .comment = RuleName(name)});
  }
  if (sets.empty()) {
    return {};
  }
  for (Table& table : tables_) {
    TRY(AddTo(table, sets));
  }
  if (until_.size() + longer.size() > kMostRemembered) {
    std::erase_if(until_, [now](const auto& entry) { return entry.second <= now; });
    if (until_.size() + longer.size() > kMostRemembered) {
      until_.clear();
    }
  }
  for (const auto& [key, until] : longer) {
    until_[key] = until;
  }
  return {};
}

}  // namespace nucleus::egress
