#include "runtime/egress/nft/batch.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>

#include <array>
#include <cstring>
#include <memory>

extern "C" {
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>
}

namespace nucleus::nft {
namespace {

// A message of elements: an attribute holds at most 64 KiB, and one element takes up to some hundred bytes.
constexpr std::size_t kElementsPerMessage = 256;
constexpr std::size_t kMessageBytes = std::size_t{96} << 10;

template <class T, void (*FreeFunction)(const T*)>
struct Freed {
  void operator()(const T* object) const {
    FreeFunction(object);
  }
};
using TablePtr = std::unique_ptr<nftnl_table, Freed<nftnl_table, nftnl_table_free>>;
using SetPtr = std::unique_ptr<nftnl_set, Freed<nftnl_set, nftnl_set_free>>;
using ChainPtr = std::unique_ptr<nftnl_chain, Freed<nftnl_chain, nftnl_chain_free>>;
using RulePtr = std::unique_ptr<nftnl_rule, Freed<nftnl_rule, nftnl_rule_free>>;
using ObjectPtr = std::unique_ptr<nftnl_obj, Freed<nftnl_obj, nftnl_obj_free>>;

TablePtr NamedTable(std::uint32_t family, const std::string& name) {
  TablePtr table{nftnl_table_alloc()};
  nftnl_table_set_u32(table.get(), NFTNL_TABLE_FAMILY, family);
  nftnl_table_set_str(table.get(), NFTNL_TABLE_NAME, name.c_str());
  return table;
}

SetPtr NamedSet(std::uint32_t family, const std::string& table, const Set& set) {
  SetPtr result{nftnl_set_alloc()};
  nftnl_set_set_u32(result.get(), NFTNL_SET_FAMILY, family);
  nftnl_set_set_str(result.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(result.get(), NFTNL_SET_NAME, set.name.c_str());
  return result;
}

// As nft(8) keeps it: type, length, text with its zero.
std::string Comment(const std::string& text) {
  std::string notes;
  notes += static_cast<char>(NFTNL_UDATA_SET_ELEM_COMMENT);
  notes += static_cast<char>(text.size() + 1);
  notes += text;
  notes += '\0';
  return notes;
}

}  // namespace

Batch::Batch() {
  std::array<char, MNL_NLMSG_HDRLEN + sizeof(nfgenmsg)> begin{};
  const nlmsghdr* message = nftnl_batch_begin(begin.data(), next_++);
  bytes_.append(begin.data(), message->nlmsg_len);
}

template <class Build>
void Batch::Message(std::uint16_t type, std::uint32_t family, std::uint16_t flags, Build build) {
  // Not in place: room for the largest of messages would be filled with zeros for each.
  if (!scratch_) {
    scratch_ = std::make_unique_for_overwrite<char[]>(kMessageBytes);
  }
  const std::size_t at = bytes_.size();
  nlmsghdr* message = nftnl_nlmsg_build_hdr(scratch_.get(), type, static_cast<std::uint16_t>(family), flags, next_);
  build(message);
  bytes_.append(scratch_.get(), message->nlmsg_len);
  last_ = next_++;
  last_at_ = at;
}

void Batch::AddTable(const Table& table, bool exclusive) {
  const TablePtr object = NamedTable(table.family, table.name);
  if (!table.owner.empty()) {
    nftnl_table_set_data(object.get(), NFTNL_TABLE_USERDATA, table.owner.data(),
                         static_cast<std::uint32_t>(table.owner.size()));
  }
  const auto flags = static_cast<std::uint16_t>(NLM_F_CREATE | (exclusive ? NLM_F_EXCL : 0));
  Message(NFT_MSG_NEWTABLE, table.family, flags,
          [&](nlmsghdr* message) { nftnl_table_nlmsg_build_payload(message, object.get()); });
}

void Batch::DeleteTable(std::uint32_t family, const std::string& name) {
  const TablePtr object = NamedTable(family, name);
  Message(NFT_MSG_DELTABLE, family, 0,
          [&](nlmsghdr* message) { nftnl_table_nlmsg_build_payload(message, object.get()); });
}

void Batch::AddCounter(const Table& table, const std::string& name) {
  const ObjectPtr object{nftnl_obj_alloc()};
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_TABLE, table.name.c_str());
  nftnl_obj_set_str(object.get(), NFTNL_OBJ_NAME, name.c_str());
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_FAMILY, table.family);
  nftnl_obj_set_u32(object.get(), NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  nftnl_obj_set_u64(object.get(), NFTNL_OBJ_CTR_PKTS, 0);
  nftnl_obj_set_u64(object.get(), NFTNL_OBJ_CTR_BYTES, 0);
  Message(NFT_MSG_NEWOBJ, table.family, NLM_F_CREATE,
          [&](nlmsghdr* message) { nftnl_obj_nlmsg_build_payload(message, object.get()); });
}

void Batch::AddSet(const Table& table, const Set& set) {
  const SetPtr object = NamedSet(table.family, table.name, set);
  nftnl_set_set_u32(object.get(), NFTNL_SET_FLAGS, set.flags);
  nftnl_set_set_u32(object.get(), NFTNL_SET_KEY_TYPE, set.type);
  nftnl_set_set_u32(object.get(), NFTNL_SET_KEY_LEN, set.key_length);
  nftnl_set_set_u32(object.get(), NFTNL_SET_ID, ++set_ids_);
  if (!set.concatenation.empty()) {
    nftnl_set_set_data(object.get(), NFTNL_SET_DESC_CONCAT, set.concatenation.data(),
                       static_cast<std::uint32_t>(set.concatenation.size()));
  }
  if (set.size != 0) {
    nftnl_set_set_u32(object.get(), NFTNL_SET_DESC_SIZE, set.size);
  }
  if (set.timeout_ms != 0) {
    nftnl_set_set_u64(object.get(), NFTNL_SET_TIMEOUT, set.timeout_ms);
  }
  // nft(8) prints keys in the order of the network.
  const std::unique_ptr<nftnl_udata_buf, void (*)(const nftnl_udata_buf*)> notes{
      nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN), nftnl_udata_buf_free};
  nftnl_udata_put_u32(notes.get(), NFTNL_UDATA_SET_KEYBYTEORDER, 2);
  nftnl_set_set_data(object.get(), NFTNL_SET_USERDATA, nftnl_udata_buf_data(notes.get()),
                     nftnl_udata_buf_len(notes.get()));
  Message(NFT_MSG_NEWSET, table.family, NLM_F_CREATE | NLM_F_EXCL,
          [&](nlmsghdr* message) { nftnl_set_nlmsg_build_payload(message, object.get()); });
  AddElements(table.family, table.name, set);
}

void Batch::DeleteSet(std::uint32_t family, const std::string& table, const std::string& set) {
  const SetPtr object = NamedSet(family, table, {.name = set});
  Message(NFT_MSG_DELSET, family, 0, [&](nlmsghdr* message) { nftnl_set_nlmsg_build_payload(message, object.get()); });
}

void Batch::Elements(std::uint16_t type, std::uint16_t flags, std::uint32_t family, const std::string& table,
                     const Set& set) {
  for (std::size_t at = 0; at < set.elements.size(); at += kElementsPerMessage) {
    const SetPtr object = NamedSet(family, table, set);
    for (std::size_t i = at; i < std::min(set.elements.size(), at + kElementsPerMessage); ++i) {
      const Element& element = set.elements[i];
      nftnl_set_elem* e = nftnl_set_elem_alloc();
      nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, element.key.data(), static_cast<std::uint32_t>(element.key.size()));
      if (!element.key_end.empty()) {
        nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY_END, element.key_end.data(),
                           static_cast<std::uint32_t>(element.key_end.size()));
      }
      if (element.interval_end) {
        nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
      }
      if (element.timeout_ms != 0) {
        nftnl_set_elem_set_u64(e, NFTNL_SET_ELEM_TIMEOUT, element.timeout_ms);
      }
      if (!element.comment.empty() && element.comment.size() <= kMaxComment) {
        const std::string notes = Comment(element.comment);
        nftnl_set_elem_set(e, NFTNL_SET_ELEM_USERDATA, notes.data(), static_cast<std::uint32_t>(notes.size()));
      }
      nftnl_set_elem_add(object.get(), e);
    }
    Message(type, family, flags,
            [&](nlmsghdr* message) { nftnl_set_elems_nlmsg_build_payload(message, object.get()); });
  }
}

void Batch::AddElements(std::uint32_t family, const std::string& table, const Set& set) {
  Elements(NFT_MSG_NEWSETELEM, NLM_F_CREATE, family, table, set);
}

void Batch::DeleteElements(std::uint32_t family, const std::string& table, const Set& set) {
  Elements(NFT_MSG_DELSETELEM, 0, family, table, set);
}

void Batch::AddChain(const Table& table, const Chain& chain, bool fresh) {
  const ChainPtr object{nftnl_chain_alloc()};
  nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_FAMILY, table.family);
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TABLE, table.name.c_str());
  nftnl_chain_set_str(object.get(), NFTNL_CHAIN_NAME, chain.name.c_str());
  if (chain.hook) {
    nftnl_chain_set_str(object.get(), NFTNL_CHAIN_TYPE, chain.hook->type);
    nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_HOOKNUM, chain.hook->number);
    nftnl_chain_set_s32(object.get(), NFTNL_CHAIN_PRIO, chain.hook->priority);
    nftnl_chain_set_u32(object.get(), NFTNL_CHAIN_POLICY, chain.hook->drop ? 0 : 1);  // NF_DROP, NF_ACCEPT
    if (!chain.hook->device.empty()) {
      nftnl_chain_set_str(object.get(), NFTNL_CHAIN_DEV, chain.hook->device.c_str());
    }
  }
  const auto flags = static_cast<std::uint16_t>(NLM_F_CREATE | (fresh ? NLM_F_EXCL : 0));
  Message(NFT_MSG_NEWCHAIN, table.family, flags,
          [&](nlmsghdr* message) { nftnl_chain_nlmsg_build_payload(message, object.get()); });
}

void Batch::AddRule(const Table& table, Rule& rule) {
  const RulePtr object{rule.Release(table.family, table.name)};
  Message(NFT_MSG_NEWRULE, table.family, NLM_F_CREATE | NLM_F_APPEND,
          [&](nlmsghdr* message) { nftnl_rule_nlmsg_build_payload(message, object.get()); });
}

void Batch::FlushChain(std::uint32_t family, const std::string& table, const std::string& chain) {
  const RulePtr object{nftnl_rule_alloc()};
  nftnl_rule_set_u32(object.get(), NFTNL_RULE_FAMILY, family);
  nftnl_rule_set_str(object.get(), NFTNL_RULE_TABLE, table.c_str());
  nftnl_rule_set_str(object.get(), NFTNL_RULE_CHAIN, chain.c_str());
  Message(NFT_MSG_DELRULE, family, 0,
          [&](nlmsghdr* message) { nftnl_rule_nlmsg_build_payload(message, object.get()); });
}

void Batch::AddAll(Table& table, bool exclusive) {
  AddTable(table, exclusive);
  for (const std::string& counter : table.counters) {
    AddCounter(table, counter);
  }
  for (const Set& set : table.sets) {
    AddSet(table, set);
  }
  for (const Chain& chain : table.chains) {
    AddChain(table, chain);
  }
  for (Rule& rule : table.rules) {
    AddRule(table, rule);
  }
}

std::string Batch::Finish() {
  if (last_ != 0) {
    nlmsghdr header{};
    std::memcpy(&header, bytes_.data() + last_at_, sizeof header);
    header.nlmsg_flags |= NLM_F_ACK;
    std::memcpy(bytes_.data() + last_at_, &header, sizeof header);
  }
  std::array<char, MNL_NLMSG_HDRLEN + sizeof(nfgenmsg)> end{};
  const nlmsghdr* message = nftnl_batch_end(end.data(), next_++);
  bytes_.append(end.data(), message->nlmsg_len);
  return std::move(bytes_);
}

}  // namespace nucleus::nft
