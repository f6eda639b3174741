#include "runtime/net/rule_image.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <charconv>
#include <cstring>

#include "base/sha256.h"
#include "runtime/net/present_rules.h"
#include "runtime/sys/fault.h"

namespace nucleus::net {
namespace {

constexpr std::uint16_t kNewTable = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE;

// A decimal number up to `end`, which is taken too.
std::optional<std::size_t> TakeNumber(std::string_view& text, char end) {
  std::size_t number = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || at == text.data() + text.size() || *at != end) {
    return std::nullopt;
  }
  text.remove_prefix(static_cast<std::size_t>(at - text.data()) + 1);
  return number;
}

}  // namespace

std::string Format(const RuleImage& image) {
  return std::to_string(image.rules) + " " + std::to_string(image.elements) + " " + image.digest + "\n" + image.batch;
}

std::optional<RuleImage> ParseRuleImage(std::string_view bytes) {
  const std::optional<std::size_t> rules = TakeNumber(bytes, ' ');
  const std::optional<std::size_t> elements = rules ? TakeNumber(bytes, ' ') : std::nullopt;
  if (!elements || bytes.size() <= kSha256HexDigits || bytes[kSha256HexDigits] != '\n' ||
      !IsSha256Hex(bytes.substr(0, kSha256HexDigits))) {
    return std::nullopt;
  }
  return RuleImage{.batch = std::string{bytes.substr(kSha256HexDigits + 1)},
                   .digest = std::string{bytes.substr(0, kSha256HexDigits)},
                   .rules = *rules,
                   .elements = *elements};
}

Result<std::string> WithOwner(std::string_view batch, const std::string& owner) {
  nlmsghdr begin{};
  nlmsghdr table{};
  if (batch.size() >= sizeof begin) {
    std::memcpy(&begin, batch.data(), sizeof begin);
  }
  const std::size_t at = NLMSG_ALIGN(begin.nlmsg_len);
  if (at < sizeof begin || at + sizeof table > batch.size()) {
    return std::unexpected(Failure("nf_tables: no rules in the image", EPROTO));
  }
  std::memcpy(&table, batch.data() + at, sizeof table);
  const std::size_t end = at + NLMSG_ALIGN(table.nlmsg_len);
  if (table.nlmsg_type != kNewTable || end < at + sizeof table || end > batch.size()) {
    return std::unexpected(Failure("nf_tables: no table in the image", EPROTO));
  }
  Attributes attributes;
  attributes.Add(NFTA_TABLE_USERDATA, owner);
  table.nlmsg_len = static_cast<std::uint32_t>(end - at + attributes.bytes().size());
  std::string result;
  result.reserve(batch.size() + attributes.bytes().size());
  result.append(batch.substr(0, end)).append(attributes.bytes()).append(batch.substr(end));
  std::memcpy(result.data() + at, &table, sizeof table);
  return result;
}

Result<LoadedTable> LoadRules(Socket socket, const RuleImage& image, const std::string& owner) {
  FAULT_POINT("net.image");
  const std::string messages = TRY(WithOwner(image.batch, owner));
  FAULT_POINT("net.rules");
  TRY(socket.Commit(messages));
  FAULT_POINT("net.read-back");
  return CompareRules(socket, image, owner);
}

Result<LoadedTable> CompareRules(Socket& socket, const RuleImage& image, const std::string& owner) {
  const PresentRules present = TRY(ReadRules(socket));
  if (present.owner != owner) {
    return RulesDiffer("the table is another's");
  }
  if (present.digest != image.digest) {
    return RulesDiffer("what it tells back is " + present.digest + ", wanted: " + image.digest);
  }
  return LoadedTable{.handle = present.handle, .rules = image.rules, .elements = image.elements};
}

}  // namespace nucleus::net
