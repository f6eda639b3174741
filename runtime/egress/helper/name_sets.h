// Where the gate's setter puts the addresses that names lead to: the timed sets of both tables.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "runtime/egress/gate/gate.h"
#include "runtime/egress/helper/filters.h"

namespace nucleus::egress {

// The gate's Grant::group is the number of a name in Compiled::names.
class NameSets : public gate::Sets {
 public:
  NameSets(const Compiled& compiled, std::uint32_t generation, const Place& inside,
           const std::optional<Outside>& outside)
      : compiled_(compiled), generation_(generation), inside_(inside), outside_(outside) {
  }
  Result<> Open() override;
  [[nodiscard]] std::vector<int> Descriptors() const override;
  Result<> Add(std::span<const gate::Grant> grants) override;

 private:
  struct Table {
    nft::Socket socket;
    std::uint32_t family;
    std::string name;
  };
  Result<> AddTo(Table& table, const std::map<std::string, nft::Set>& sets);

  const Compiled& compiled_;
  std::uint32_t generation_;
  Place inside_;
  std::optional<Outside> outside_;
  std::vector<Table> tables_;  // the outer one first: what it refuses is not answered with a reset
  // When what was granted ends, in milliseconds of CLOCK_MONOTONIC: the kernel would not prolong it.
  std::map<std::pair<std::string, std::string>, std::int64_t> until_;  // by set and address
};

}  // namespace nucleus::egress
