// What a table of nf_tables is made of, as values: sets, counters, chains. The rules are in rule.h.
// Source: nft(8), linux/netfilter/nf_tables.h.
#pragma once

#include <linux/netfilter/nf_tables.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace nucleus::nft {

inline constexpr std::size_t kMaxComment = 127;

// Of a set. Bytes are as they stand in the packet, each field of a concatenation padded to 4 (Pad).
struct Element {
  std::string key;
  std::string key_end;        // of a concatenation with intervals: the last key that belongs to it
  bool interval_end = false;  // of a plain interval set: the first key that does not belong any more
  std::uint64_t timeout_ms = 0;
  std::string comment;  // as nft(8) shows it; longer than kMaxComment: none
  bool operator==(const Element&) const = default;
  auto operator<=>(const Element&) const = default;
};

struct Set {
  std::string name;
  std::uint32_t flags = 0;                  // NFT_SET_*
  std::uint32_t type = 0;                   // for nft(8) to print it (TypeOf)
  std::uint32_t key_length = 0;             // bytes, with padding
  std::vector<std::uint8_t> concatenation;  // lengths of the fields, unpadded; empty: one field
  std::uint64_t timeout_ms = 0;             // of elements that have none of their own
  std::uint32_t size = 0;                   // most elements; 0: unbounded
  std::vector<Element> elements;
};

// nft(8)'s numbers of the types that we use.
inline constexpr std::uint32_t kTypeIpv4 = 7;
inline constexpr std::uint32_t kTypeIpv6 = 8;
inline constexpr std::uint32_t kTypeProtocol = 12;
inline constexpr std::uint32_t kTypeService = 13;
inline constexpr std::uint32_t kTypeBits = 6;  // of each in a concatenation's number

struct Hook {
  const char* type = "filter";  // or "nat"
  std::uint32_t number = 0;     // NF_INET_*, NF_NETDEV_*
  std::int32_t priority = 0;
  bool drop = true;    // the policy
  std::string device;  // of the netdev family
};

struct Chain {
  std::string name;
  std::optional<Hook> hook;  // none: rules jump here
};

// Fills a field up to the next 4 bytes.
inline std::string Pad(std::string field) {
  field.resize((field.size() + 3) & ~std::size_t{3});
  return field;
}

}  // namespace nucleus::nft
