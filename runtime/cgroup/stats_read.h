// Reading the counters' files. Inside runtime/cgroup only.
#pragma once

#include <string_view>

#include "runtime/cgroup/stats.h"

namespace nucleus::cgroup {

std::vector<std::string_view> Lines(std::string_view text);
std::vector<std::string_view> Words(std::string_view line);
// 0 for what is no number, UINT64_MAX for "max".
std::uint64_t Number(std::string_view text);
// Counters that a kernel lacks read as nothing.
std::string TextOrNothing(const std::string& directory, const std::string& file);
std::uint64_t NumberIn(const std::string& directory, const std::string& file);
// Lines of "name number".
std::map<std::string, std::uint64_t> Table(const std::string& directory, const std::string& file);
std::vector<unsigned> ListIn(const std::string& directory, const std::string& file);
// The page sizes for which "hugetlb.SIZE" + suffix is there.
std::vector<std::string> HugepageSizes(const std::string& directory, const std::string& suffix);

Result<Stats> ReadStatsV1(const std::vector<oci::StateCgroup>& cgroups);
Result<Stats> ReadStatsV2(const std::string& directory);

}  // namespace nucleus::cgroup
