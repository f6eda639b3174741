#include "runtime/net/present_rules.h"

#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/sha256.h"

namespace nucleus::net {
namespace {

// Elements come some hundred a message, everything else one a message.
constexpr std::size_t kMostMessages = std::size_t{1} << 16;

// A list of byte strings as one: each with its length in front, so that no two lists are the same bytes.
class Digest {
 public:
  void Add(std::string_view bytes) {
    const std::uint64_t size = bytes.size();
    hash_.Update(&size, sizeof size);
    hash_.Update(bytes.data(), bytes.size());
  }
  std::string Finish() {
    return Hex(hash_.Finish());
  }

 private:
  Sha256 hash_;
};

// One message of a dump. The number of the rules' generation, in the header, is the namespace's and left out.
struct Told {
  std::uint8_t family = 0;
  std::string_view attributes;
};

Result<Told> Open(std::string_view answer) {
  nfgenmsg header{};
  const std::optional<std::string_view> attributes = TakeHeader(answer, header);
  if (!attributes) {
    return std::unexpected(SysError("receive", "nf_tables", EPROTO));
  }
  return Told{.family = header.nfgen_family, .attributes = *attributes};
}

Request Dump(int message, std::uint8_t family = NFPROTO_UNSPEC) {
  nfgenmsg header{};
  header.nfgen_family = family;
  header.version = NFNETLINK_V0;
  return {static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message), NLM_F_DUMP, header};
}

// Calls `each` with all attributes; what is left behind the last one is an error.
template <class Each>
Result<> ForEachAttribute(std::string_view attributes, Each each) {
  while (const std::optional<OneAttribute> attribute = TakeAttribute(attributes)) {
    each(*attribute);
  }
  return attributes.empty() ? Result<>{} : std::unexpected(SysError("receive", "nf_tables", EPROTO));
}

Result<> AddMessage(Digest& digest, const Told& told) {
  digest.Add({reinterpret_cast<const char*>(&told.family), 1});
  return ForEachAttribute(told.attributes, [&](const OneAttribute& attribute) { digest.Add(attribute.bytes); });
}

Result<> AddTable(Socket& socket, Digest& digest, PresentRules& present) {
  const std::vector<std::string> tables = TRY(socket.List(Dump(NFT_MSG_GETTABLE)));
  if (tables.size() != 1) {
    return RulesDiffer(std::to_string(tables.size()) + " tables");
  }
  const Told told = TRY(Open(tables[0]));
  digest.Add({reinterpret_cast<const char*>(&told.family), 1});
  return ForEachAttribute(told.attributes, [&](const OneAttribute& attribute) {
    if (attribute.type == NFTA_TABLE_HANDLE && attribute.value.size() == sizeof present.handle) {
      std::uint64_t handle = 0;
      std::memcpy(&handle, attribute.value.data(), sizeof handle);
      present.handle = be64toh(handle);
    } else if (attribute.type == NFTA_TABLE_USERDATA) {
      present.owner = attribute.value;
    } else {
      digest.Add(attribute.bytes);
    }
  });
}

// Of one set, in an order of our own: the kernel's is that of a hash with a seed.
Result<> AddElements(Socket& socket, Digest& digest, const Told& set) {
  Request request = Dump(NFT_MSG_GETSETELEM, set.family);
  request.Attribute(NFTA_SET_ELEM_LIST_TABLE, FindAttribute(set.attributes, NFTA_SET_TABLE).value_or(""));
  request.Attribute(NFTA_SET_ELEM_LIST_SET, FindAttribute(set.attributes, NFTA_SET_NAME).value_or(""));
  const std::vector<std::string> messages = TRY(socket.List(request, kMostMessages));
  std::vector<std::string_view> elements;
  for (const std::string& message : messages) {
    const Told told = TRY(Open(message));
    const std::string_view list = FindAttribute(told.attributes, NFTA_SET_ELEM_LIST_ELEMENTS).value_or("");
    TRY(ForEachAttribute(list, [&](const OneAttribute& element) { elements.push_back(element.value); }));
  }
  std::ranges::sort(elements);
  digest.Add(std::to_string(elements.size()));
  for (const std::string_view element : elements) {
    digest.Add(element);
  }
  return {};
}

}  // namespace

std::unexpected<Error> RulesDiffer(const std::string& what) {
  return std::unexpected(Failure("nf_tables: the kernel does not have what was loaded: " + what, EPROTO));
}

Result<PresentRules> ReadRules(Socket& socket) {
  PresentRules present;
  Digest digest;
  TRY(AddTable(socket, digest, present));
  for (const int message : {NFT_MSG_GETCHAIN, NFT_MSG_GETRULE, NFT_MSG_GETSET}) {
    const std::vector<std::string> answers = TRY(socket.List(Dump(message), kMostMessages));
    digest.Add(std::to_string(message) + " " + std::to_string(answers.size()));
    for (const std::string& answer : answers) {
      const Told told = TRY(Open(answer));
      TRY(AddMessage(digest, told));
      if (message == NFT_MSG_GETSET) {
        TRY(AddElements(socket, digest, told));
      }
    }
  }
  present.digest = digest.Finish();
  return present;
}

}  // namespace nucleus::net
