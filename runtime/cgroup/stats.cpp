#include "runtime/cgroup/stats.h"

#include <algorithm>
#include <charconv>

#include "runtime/cgroup/files.h"
#include "runtime/cgroup/stats_read.h"
#include "runtime/sys/number_list.h"

namespace nucleus::cgroup {

// ---- reading files

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  for (std::size_t at = line.find_first_not_of(' '); at != std::string_view::npos;) {
    const std::size_t end = std::min(line.find(' ', at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(' ', end);
  }
  return words;
}

std::uint64_t Number(std::string_view text) {
  if (text == "max") {
    return UINT64_MAX;
  }
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::string TextOrNothing(const std::string& directory, const std::string& file) {
  return Read(directory, file).value_or("");
}

std::uint64_t NumberIn(const std::string& directory, const std::string& file) {
  return Number(TextOrNothing(directory, file));
}

std::map<std::string, std::uint64_t> Table(const std::string& directory, const std::string& file) {
  std::map<std::string, std::uint64_t> table;
  const std::string text = TextOrNothing(directory, file);
  for (const std::string_view line : Lines(text)) {
    const auto words = Words(line);
    if (words.size() == 2) {
      table[std::string{words[0]}] = Number(words[1]);
    }
  }
  return table;
}

std::vector<unsigned> ListIn(const std::string& directory, const std::string& file) {
  return sys::ParseNumberList(TextOrNothing(directory, file)).value_or(std::vector<unsigned>{});
}

std::vector<std::string> HugepageSizes(const std::string& directory, const std::string& suffix) {
  // One directory a size: "hugepages-2048kB".
  std::vector<std::string> sizes;
  for (const char* size : {"64KB", "1MB", "2MB", "16MB", "32MB", "256MB", "512MB", "1GB", "2GB", "16GB"}) {
    if (Exists(directory, std::string{"hugetlb."} + size + suffix)) {
      sizes.emplace_back(size);
    }
  }
  return sizes;
}

Result<Stats> ReadStats(const std::vector<oci::StateCgroup>& cgroups) {
  const bool unified = cgroups.size() == 1 && cgroups[0].hierarchy.empty();
  return unified ? ReadStatsV2(cgroups[0].path) : ReadStatsV1(cgroups);
}

}  // namespace nucleus::cgroup
