#include "runtime/egress/nft/rule.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <array>

extern "C" {
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
}

namespace nucleus::nft {
namespace {

// As the kernel names it back: by 16 bytes where it starts there.
std::uint32_t Register(std::uint32_t word) {
  return word % 4 == 0 ? NFT_REG_1 + word / 4 : NFT_REG32_00 + word;
}

std::string_view Bytes(const void* value, std::size_t size) {
  return {static_cast<const char*>(value), size};
}

std::string Print(const nftnl_expr* expression) {
  std::array<char, 1024> text{};
  const int size = nftnl_expr_snprintf(text.data(), text.size(), expression, NFTNL_OUTPUT_DEFAULT, 0);
  if (size < 0 || static_cast<std::size_t>(size) >= text.size()) {
    return "?";
  }
  return std::string{nftnl_expr_get_str(expression, NFTNL_EXPR_NAME)} + " " + text.data() + "; ";
}

}  // namespace

void Rule::Free::operator()(nftnl_expr* expression) const {
  nftnl_expr_free(expression);
}

nftnl_expr* Rule::Add(const char* name) {
  return expressions_.emplace_back(nftnl_expr_alloc(name)).get();
}

Rule& Rule::Meta(std::uint32_t key, std::uint32_t word) {
  nftnl_expr* e = Add("meta");
  nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
  nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, Register(word));
  return *this;
}

Rule& Rule::Ct(std::uint32_t key, std::uint32_t word) {
  nftnl_expr* e = Add("ct");
  nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
  nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, Register(word));
  return *this;
}

Rule& Rule::Payload(std::uint32_t base, std::uint32_t offset, std::uint32_t length, std::uint32_t word) {
  nftnl_expr* e = Add("payload");
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, length);
  nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, Register(word));
  return *this;
}

Rule& Rule::Immediate(std::string_view value, std::uint32_t word) {
  nftnl_expr* e = Add("immediate");
  nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, Register(word));
  nftnl_expr_set_data(e, NFTNL_EXPR_IMM_DATA, value.data(), static_cast<std::uint32_t>(value.size()));
  return *this;
}

Rule& Rule::Fib(std::uint32_t result, std::uint32_t flags, std::uint32_t word) {
  nftnl_expr* e = Add("fib");
  nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, result);
  nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, flags);
  nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, Register(word));
  return *this;
}

Rule& Rule::And(std::string_view mask) {
  nftnl_expr* e = Add("bitwise");
  const auto length = static_cast<std::uint32_t>(mask.size());
  const std::string none(mask.size(), '\0');
  nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
  nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_OP, NFT_BITWISE_BOOL);
  nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, length);
  nftnl_expr_set_data(e, NFTNL_EXPR_BITWISE_MASK, mask.data(), length);
  nftnl_expr_set_data(e, NFTNL_EXPR_BITWISE_XOR, none.data(), length);
  return *this;
}

Rule& Rule::Is(std::string_view value, std::uint32_t word) {
  nftnl_expr* e = Add("cmp");
  nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, Register(word));
  nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
  nftnl_expr_set_data(e, NFTNL_EXPR_CMP_DATA, value.data(), static_cast<std::uint32_t>(value.size()));
  return *this;
}

Rule& Rule::IsNot(std::string_view value, std::uint32_t word) {
  Is(value, word);
  nftnl_expr_set_u32(expressions_.back().get(), NFTNL_EXPR_CMP_OP, NFT_CMP_NEQ);
  return *this;
}

Rule& Rule::Is8(std::uint8_t value, std::uint32_t word) {
  return Is(Bytes(&value, sizeof value), word);
}

Rule& Rule::Is16(std::uint16_t value, std::uint32_t word) {
  const std::uint16_t network = htons(value);
  return Is(Bytes(&network, sizeof network), word);
}

Rule& Rule::Is32(std::uint32_t value, std::uint32_t word) {
  return Is(Bytes(&value, sizeof value), word);
}

Rule& Rule::Between(std::string_view first, std::string_view last) {
  nftnl_expr* e = Add("range");
  nftnl_expr_set_u32(e, NFTNL_EXPR_RANGE_SREG, NFT_REG_1);
  nftnl_expr_set_u32(e, NFTNL_EXPR_RANGE_OP, NFT_RANGE_EQ);
  nftnl_expr_set_data(e, NFTNL_EXPR_RANGE_FROM_DATA, first.data(), static_cast<std::uint32_t>(first.size()));
  nftnl_expr_set_data(e, NFTNL_EXPR_RANGE_TO_DATA, last.data(), static_cast<std::uint32_t>(last.size()));
  return *this;
}

Rule& Rule::In(const std::string& set, bool inverted) {
  nftnl_expr* e = Add("lookup");
  nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
  nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set.c_str());
  // Given in any case, as the kernel tells it back.
  nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, inverted ? std::uint32_t{NFT_LOOKUP_F_INV} : 0U);
  return *this;
}

Rule& Rule::SetCtMark(std::uint32_t mark) {
  Immediate(Bytes(&mark, sizeof mark));
  nftnl_expr* e = Add("ct");
  nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
  nftnl_expr_set_u32(e, NFTNL_EXPR_CT_SREG, NFT_REG_1);
  return *this;
}

Rule& Rule::ChangeMark(std::uint32_t clear, std::uint32_t set) {
  Meta(NFT_META_MARK);
  const std::uint32_t mask = ~(clear | set);
  And(Bytes(&mask, sizeof mask));
  nftnl_expr_set_data(expressions_.back().get(), NFTNL_EXPR_BITWISE_XOR, &set, sizeof set);
  nftnl_expr* e = Add("meta");
  nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
  nftnl_expr_set_u32(e, NFTNL_EXPR_META_SREG, NFT_REG_1);
  return *this;
}

Rule& Rule::Update(const std::string& set, std::uint64_t timeout_ms) {
  nftnl_expr* e = Add("dynset");
  nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, set.c_str());
  nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
  nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
  nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, timeout_ms);
  return *this;
}

Rule& Rule::Count(const std::string& counter) {
  nftnl_expr* e = Add("objref");
  nftnl_expr_set_u32(e, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
  nftnl_expr_set_str(e, NFTNL_EXPR_OBJREF_IMM_NAME, counter.c_str());
  return *this;
}

Rule& Rule::Limit(std::uint64_t per_second, std::uint32_t burst) {
  nftnl_expr* e = Add("limit");
  nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_RATE, per_second);
  nftnl_expr_set_u64(e, NFTNL_EXPR_LIMIT_UNIT, 1);
  nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_BURST, burst);
  nftnl_expr_set_u32(e, NFTNL_EXPR_LIMIT_TYPE, NFT_LIMIT_PKTS);
  return *this;
}

Rule& Rule::Log(std::uint16_t group, const std::string& prefix, std::uint32_t snap_length) {
  nftnl_expr* e = Add("log");
  nftnl_expr_set_u16(e, NFTNL_EXPR_LOG_GROUP, group);
  nftnl_expr_set_str(e, NFTNL_EXPR_LOG_PREFIX, prefix.c_str());
  if (snap_length != 0) {
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOG_SNAPLEN, snap_length);
  }
  return *this;
}

Rule& Rule::RejectTcp() {
  nftnl_expr* e = Add("reject");
  nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_TCP_RST);
  nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, 0);
  return *this;
}

Rule& Rule::Reject() {
  nftnl_expr* e = Add("reject");
  nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
  nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, NFT_REJECT_ICMPX_ADMIN_PROHIBITED);
  return *this;
}

Rule& Rule::Verdict(std::uint32_t verdict, const std::string& chain) {
  nftnl_expr* e = Add("immediate");
  nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
  nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, verdict);
  if (!chain.empty()) {
    nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain.c_str());
  }
  return *this;
}

Rule& Rule::Accept() {
  return Verdict(NF_ACCEPT, "");
}

Rule& Rule::Drop() {
  return Verdict(NF_DROP, "");
}

Rule& Rule::Return() {
  return Verdict(static_cast<std::uint32_t>(NFT_RETURN), "");
}

Rule& Rule::Jump(const std::string& chain) {
  return Verdict(static_cast<std::uint32_t>(NFT_JUMP), chain);
}

Rule& Rule::Goto(const std::string& chain) {
  return Verdict(static_cast<std::uint32_t>(NFT_GOTO), chain);
}

Rule& Rule::Dnat(std::uint32_t family, std::uint32_t word, std::uint32_t port_word) {
  nftnl_expr* e = Add("nat");
  nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
  nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, family);
  nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, Register(word));
  nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, Register(port_word));
  return *this;
}

Rule& Rule::Masquerade() {
  Add("masq");
  return *this;
}

std::string Rule::Print() const {
  std::string text;
  for (const auto& expression : expressions_) {
    text += nft::Print(expression.get());
  }
  return text;
}

nftnl_rule* Rule::Release(std::uint32_t family, const std::string& table) {
  nftnl_rule* rule = nftnl_rule_alloc();
  nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, family);
  nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, chain_.c_str());
  for (auto& expression : expressions_) {
    nftnl_rule_add_expr(rule, expression.release());
  }
  expressions_.clear();
  return rule;
}

std::string PrintExpressions(const nftnl_rule* rule) {
  std::string text;
  nftnl_expr_iter* iterator = nftnl_expr_iter_create(rule);
  for (nftnl_expr* e = nftnl_expr_iter_next(iterator); e != nullptr; e = nftnl_expr_iter_next(iterator)) {
    text += Print(e);
  }
  nftnl_expr_iter_destroy(iterator);
  return text;
}

}  // namespace nucleus::nft
