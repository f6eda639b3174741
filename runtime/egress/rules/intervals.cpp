#include "runtime/egress/rules/intervals.h"

#include <algorithm>
#include <map>
#include <tuple>

namespace nucleus::egress {
namespace {

std::string Before(std::string address) {
  for (std::size_t i = address.size(); i-- > 0;) {
    if (address[i] != '\0') {
      --address[i];
      return address;
    }
    address[i] = static_cast<char>(0xFF);
  }
  return address;
}

bool SamePorts(const std::vector<policies::PortRange>& a, const std::vector<policies::PortRange>& b) {
  return std::ranges::equal(a, b, [](const policies::PortRange& x, const policies::PortRange& y) {
    return std::tie(x.protocol, x.first, x.last) == std::tie(y.protocol, y.first, y.last);
  });
}

// char may be signed: compare as the bytes that they are.
bool Less(const std::string& a, const std::string& b) {
  return std::string_view{a} < std::string_view{b};  // char_traits<char> compares as unsigned char
}

}  // namespace

std::string NextAddress(std::string address) {
  for (std::size_t i = address.size(); i-- > 0;) {
    if (static_cast<unsigned char>(address[i]) != 0xFF) {
      ++address[i];
      return address;
    }
    address[i] = '\0';
  }
  return {};
}

std::string BytesOf(const policies::Address& address) {
  return {reinterpret_cast<const char*>(address.bytes.data()), address.v6 ? std::size_t{16} : std::size_t{4}};
}

AddressInterval IntervalOf(const policies::Cidr& cidr) {
  AddressInterval interval{.first = BytesOf(cidr.address), .last = BytesOf(cidr.address)};
  for (std::size_t bit = static_cast<std::size_t>(cidr.prefix); bit < interval.last.size() * 8; ++bit) {
    interval.last[bit / 8] = static_cast<char>(interval.last[bit / 8] | (0x80U >> bit % 8));
  }
  return interval;
}

std::vector<AddressInterval> Merge(std::vector<AddressInterval> intervals) {
  std::ranges::sort(intervals, Less, &AddressInterval::first);
  std::vector<AddressInterval> merged;
  for (AddressInterval& interval : intervals) {
    if (!merged.empty()) {
      const std::string next = NextAddress(merged.back().last);
      if (next.empty() || !Less(next, interval.first)) {
        merged.back().last = std::max(merged.back().last, interval.last, Less);
        continue;
      }
    }
    merged.push_back(std::move(interval));
  }
  return merged;
}

std::vector<policies::PortRange> MergePorts(std::vector<policies::PortRange> ports) {
  std::ranges::sort(ports, {}, [](const policies::PortRange& range) { return std::pair{range.protocol, range.first}; });
  std::vector<policies::PortRange> merged;
  for (const policies::PortRange& range : ports) {
    if (!merged.empty() && merged.back().protocol == range.protocol && range.first <= merged.back().last + 1) {
      merged.back().last = std::max(merged.back().last, range.last);
    } else {
      merged.push_back(range);
    }
  }
  return merged;
}

Result<std::vector<PortRule>> Split(const std::vector<PortRule>& rules) {
  // Where the set of rules that cover an address changes. "" stands behind the last address: it comes last here.
  struct Change {
    std::vector<std::size_t> begin;
    std::vector<std::size_t> end;
  };
  std::map<std::pair<bool, std::string>, Change> changes;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    const std::string behind = NextAddress(rules[i].addresses.last);
    changes[{false, rules[i].addresses.first}].begin.push_back(i);
    changes[{behind.empty(), behind}].end.push_back(i);
  }
  std::vector<PortRule> pieces;
  std::size_t ranges = 0;
  std::vector<std::size_t> active;
  for (auto change = changes.begin(); change != changes.end(); ++change) {
    for (const std::size_t rule : change->second.end) {
      std::erase(active, rule);
    }
    active.insert(active.end(), change->second.begin.begin(), change->second.begin.end());
    const auto following = std::next(change);
    if (active.empty() || following == changes.end()) {
      continue;
    }
    std::vector<policies::PortRange> ports;
    for (const std::size_t rule : active) {
      ports.insert(ports.end(), rules[rule].ports.begin(), rules[rule].ports.end());
    }
    ports = MergePorts(std::move(ports));
    const std::string& first = change->first.second;
    const std::string last =
        following->first.first ? std::string(first.size(), '\xFF') : Before(following->first.second);
    if (!pieces.empty() && NextAddress(pieces.back().addresses.last) == first &&
        SamePorts(pieces.back().ports, ports)) {
      pieces.back().addresses.last = last;
      continue;
    }
    ranges += ports.size();
    if (ranges > kMaxPieces) {
      return std::unexpected(
          Failure("more than " + std::to_string(kMaxPieces) + " ranges of addresses and ports", E2BIG));
    }
    pieces.push_back({.addresses = {.first = first, .last = last}, .ports = std::move(ports)});
  }
  return pieces;
}

}  // namespace nucleus::egress
