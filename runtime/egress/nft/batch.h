// A transaction of nf_tables: all of it or nothing. Source: Documentation/networking/netlink_spec/nftables.rst,
// libnftnl.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "runtime/egress/nft/table.h"

struct nlmsghdr;

namespace nucleus::nft {

class Batch {
 public:
  Batch();

  // The table itself. With `exclusive` one that is there already is an error (EEXIST).
  void AddTable(const Table& table, bool exclusive);
  void DeleteTable(std::uint32_t family, const std::string& name);
  void AddCounter(const Table& table, const std::string& name);
  // With its elements.
  void AddSet(const Table& table, const Set& set);
  void DeleteSet(std::uint32_t family, const std::string& table, const std::string& set);
  void AddElements(std::uint32_t family, const std::string& table, const Set& set);
  void DeleteElements(std::uint32_t family, const std::string& table, const Set& set);
  // `fresh`: one that is there is an error.
  void AddChain(const Table& table, const Chain& chain, bool fresh = true);
  // Takes the expressions out of the rule.
  void AddRule(const Table& table, Rule& rule);
  // All rules of the chain go.
  void FlushChain(std::uint32_t family, const std::string& table, const std::string& chain);

  // Table, counters, sets, chains, rules. The rules are empty afterwards: print them before (Expected in verify.h).
  void AddAll(Table& table, bool exclusive);

  // The messages, closed by the end of the batch.
  [[nodiscard]] std::string Finish();
  [[nodiscard]] std::uint32_t first_sequence() const {
    return 1;
  }
  [[nodiscard]] std::uint32_t last_sequence() const {
    return last_;
  }

 private:
  template <class Build>
  void Message(std::uint16_t type, std::uint32_t family, std::uint16_t flags, Build build);
  void Elements(std::uint16_t type, std::uint16_t flags, std::uint32_t family, const std::string& table,
                const Set& set);
  std::string bytes_;
  std::unique_ptr<char[]> scratch_;  // for one message
  std::uint32_t next_ = 1;           // sequence number
  std::uint32_t last_ = 0;           // of the last message of ours, which is acknowledged
  std::size_t last_at_ = 0;          // where that starts
  std::uint32_t set_ids_ = 0;
};

}  // namespace nucleus::nft
