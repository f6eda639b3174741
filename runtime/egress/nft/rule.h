// One rule of nf_tables, expression by expression. Values are compared with register 1 unless said otherwise; the
// registers are counted in words of 4 bytes, as concatenations fill them. Source: nft(8), libnftnl.
#pragma once

#include <linux/netfilter/nf_tables.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct nftnl_expr;
struct nftnl_rule;

namespace nucleus::nft {

class Rule {
 public:
  explicit Rule(std::string chain) : chain_(std::move(chain)) {
  }

  // Loads into the register of `word`.
  Rule& Meta(std::uint32_t key, std::uint32_t word = 0);
  Rule& Ct(std::uint32_t key, std::uint32_t word = 0);
  Rule& Payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length, std::uint32_t word = 0);
  Rule& Network(std::uint32_t offset, std::uint32_t length, std::uint32_t word = 0) {
    return Payload(NFT_PAYLOAD_NETWORK_HEADER, offset, length, word);
  }
  Rule& Transport(std::uint32_t offset, std::uint32_t length, std::uint32_t word = 0) {
    return Payload(NFT_PAYLOAD_TRANSPORT_HEADER, offset, length, word);
  }
  Rule& Immediate(std::string_view value, std::uint32_t word = 0);
  // result: NFT_FIB_RESULT_*, flags: NFTA_FIB_F_*.
  Rule& Fib(std::uint32_t result, std::uint32_t flags, std::uint32_t word = 0);

  // register 1 = (register 1 & mask) ^ 0
  Rule& And(std::string_view mask);

  Rule& Is(std::string_view value, std::uint32_t word = 0);
  Rule& IsNot(std::string_view value, std::uint32_t word = 0);
  Rule& Is8(std::uint8_t value, std::uint32_t word = 0);
  Rule& Is16(std::uint16_t value, std::uint32_t word = 0);  // network order
  Rule& Is32(std::uint32_t value, std::uint32_t word = 0);  // host order, as meta and ct have it
  Rule& Between(std::string_view first, std::string_view last);
  Rule& In(const std::string& set, bool inverted = false);

  // Statements.
  Rule& SetCtMark(std::uint32_t mark);  // by way of register 1
  // Of the packet: the bits of `clear` go, those of `set` come. By way of register 1.
  Rule& ChangeMark(std::uint32_t clear, std::uint32_t set);
  // Adds what register 1 starts, or renews it.
  Rule& Update(const std::string& set, std::uint64_t timeout_ms);
  Rule& Count(const std::string& counter);
  Rule& Limit(std::uint64_t per_second, std::uint32_t burst);
  Rule& Log(std::uint16_t group, const std::string& prefix, std::uint32_t snap_length = 0);
  Rule& RejectTcp();
  Rule& Reject();  // ICMP, administratively prohibited; of the inet family
  Rule& Accept();
  Rule& Drop();
  Rule& Return();
  Rule& Jump(const std::string& chain);
  Rule& Goto(const std::string& chain);
  // family: NFPROTO_*; the address is in the register of `word`, the port in that of `port_word`.
  Rule& Dnat(std::uint32_t family, std::uint32_t word, std::uint32_t port_word);
  Rule& Masquerade();

  [[nodiscard]] const std::string& chain() const {
    return chain_;
  }
  // The expressions as libnftnl prints them: the same for a rule of ours and for that which the kernel tells back.
  [[nodiscard]] std::string Print() const;

  // A new rule of libnftnl's with the expressions moved into it: this one is empty then. Ownership goes to the caller.
  nftnl_rule* Release(std::uint32_t family, const std::string& table);

 private:
  struct Free {
    void operator()(nftnl_expr* expression) const;
  };
  nftnl_expr* Add(const char* name);
  Rule& Verdict(std::uint32_t verdict, const std::string& chain);

  std::string chain_;
  std::vector<std::unique_ptr<nftnl_expr, Free>> expressions_;
};

// What libnftnl has parsed, as Rule::Print has it.
std::string PrintExpressions(const nftnl_rule* rule);

}  // namespace nucleus::nft
