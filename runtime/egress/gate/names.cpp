#include "runtime/egress/gate/names.h"

#include <algorithm>

namespace nucleus::gate {

Names::Names(std::span<const Name> names) {
  for (const Name& name : names) {
    (name.wildcard ? below_ : exact_)[name.domain].push_back(name.group);
  }
}

std::vector<std::uint32_t> Names::Groups(std::string_view name) const {
  std::vector<std::uint32_t> groups;
  const auto add = [&groups](const Table& table, std::string_view key) {
    if (const auto found = table.find(key); found != table.end()) {
      groups.insert(groups.end(), found->second.begin(), found->second.end());
    }
  };
  add(exact_, name);
  for (std::size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', dot + 1)) {
    add(below_, name.substr(dot + 1));
  }
  std::ranges::sort(groups);
  const auto twice = std::ranges::unique(groups);
  groups.erase(twice.begin(), twice.end());
  return groups;
}

std::size_t Names::MostGroups() const {
  std::size_t most = 0;
  for (const auto& [name, groups] : exact_) {
    most = std::max(most, Groups(name).size());
  }
  for (const auto& [name, groups] : below_) {
    most = std::max(most, Groups("x." + name).size());
  }
  return most;
}

}  // namespace nucleus::gate
