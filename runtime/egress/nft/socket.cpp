#include "runtime/egress/nft/socket.h"

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>
#include <cstring>
#include <memory>

#include "runtime/net/netlink.h"
#include "runtime/sys/netlink_socket.h"

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

constexpr std::size_t kBuffer = std::size_t{64} << 10;  // a dump fills at most 32 KiB a time
constexpr int kMaxAttempts = 16;
// The kernel answers while it is asked; a longer silence is a defect, and nobody waits for ever.
constexpr timeval kPatience{.tv_sec = 30, .tv_usec = 0};

constexpr const char* kNone = "this kernel has no nf_tables, or cannot load its modules";

Error KernelError(const nlmsghdr* message) {
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(message));
  if (mnl_nlmsg_get_payload_len(message) < sizeof(nlmsgerr)) {
    return SysError("receive", "nf_tables", EPROTO);
  }
  std::string words;
  if ((message->nlmsg_flags & NLM_F_ACK_TLVS) != 0 && error->error != 0) {
    const auto* attributes = static_cast<const char*>(mnl_nlmsg_get_payload_offset(message, sizeof(nlmsgerr)));
    const std::size_t size = mnl_nlmsg_get_payload_len(message) - sizeof(nlmsgerr);
    words = net::TextAttribute({attributes, size}, NLMSGERR_ATTR_MSG);
    words += words.empty() ? "" : ": ";
  }
  return Failure("nf_tables: " + words + ErrnoText(-error->error), -error->error);
}

template <class T, void (*FreeFunction)(const T*)>
struct Freed {
  void operator()(const T* object) const {
    FreeFunction(object);
  }
};
template <class T, void (*FreeFunction)(const T*)>
using Ptr = std::unique_ptr<T, Freed<T, FreeFunction>>;

std::string Text(const char* text) {
  return text == nullptr ? "" : text;
}

Element Read(nftnl_set_elem* element) {
  Element result;
  std::uint32_t size = 0;
  if (const void* key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &size); key != nullptr) {
    result.key.assign(static_cast<const char*>(key), size);
  }
  if (nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_KEY_END)) {
    const void* key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY_END, &size);
    result.key_end.assign(static_cast<const char*>(key), size);
  }
  result.interval_end = nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_FLAGS) &&
                        (nftnl_set_elem_get_u32(element, NFTNL_SET_ELEM_FLAGS) & NFT_SET_ELEM_INTERVAL_END) != 0;
  if (nftnl_set_elem_is_set(element, NFTNL_SET_ELEM_EXPIRATION)) {
    result.timeout_ms = nftnl_set_elem_get_u64(element, NFTNL_SET_ELEM_EXPIRATION);
  }
  constexpr std::uint32_t kHead = 2;  // type and length
  if (const auto* notes = static_cast<const char*>(nftnl_set_elem_get(element, NFTNL_SET_ELEM_USERDATA, &size));
      notes != nullptr && size > kHead && notes[0] == NFTNL_UDATA_SET_ELEM_COMMENT) {
    result.comment.assign(notes + kHead, ::strnlen(notes + kHead, size - kHead));
  }
  return result;
}

}  // namespace

Result<Socket> Socket::Open() {
  Fd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)};
  if (!fd && errno == EPROTONOSUPPORT) {
    return std::unexpected(Failure(kNone, EOPNOTSUPP));
  }
  if (!fd) {
    return std::unexpected(SysError("socket", "nf_tables"));
  }
  const int on = 1;
  for (const int option : {NETLINK_EXT_ACK, NETLINK_CAP_ACK}) {
    if (::setsockopt(fd.get(), SOL_NETLINK, option, &on, sizeof on) != 0) {
      return std::unexpected(SysError("setsockopt", "nf_tables"));
    }
  }
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0) {
    return std::unexpected(SysError("setsockopt", "nf_tables"));
  }
  return Socket{std::move(fd)};
}

Result<Socket> Socket::OpenIn(int netns) {
  return sys::InNetworkNamespace(netns, Open);
}

Result<std::string_view> Socket::Receive() {
  if (!buffer_) {
    buffer_ = std::make_unique_for_overwrite<char[]>(kBuffer);
  }
  return sys::ReceiveFromKernel(fd_.get(), {buffer_.get(), kBuffer}, "nf_tables");
}

Result<> Socket::Commit(Batch batch) {
  const std::uint32_t first = batch.first_sequence();
  const std::uint32_t last = batch.last_sequence();
  const std::string bytes = batch.Finish();
  if (last == 0) {
    return {};
  }
  // A batch is one message to the socket. Beyond the usual limit that takes CAP_NET_ADMIN over the host.
  constexpr std::size_t kUsual = std::size_t{64} << 10;
  const int size = static_cast<int>(bytes.size() + 4096);
  if (bytes.size() > kUsual && ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
    (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  }
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  ssize_t sent = 0;
  do {
    sent = ::sendto(fd_.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    return std::unexpected(SysError("send", "nf_tables"));
  }
  std::optional<Error> error;
  for (;;) {
    const std::string_view received = TRY(Receive());
    int left = static_cast<int>(received.size());
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(received.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type != NLMSG_ERROR) {
        continue;
      }
      if (Error told = KernelError(message); told.code != 0 && !error) {
        // Of the batch itself, before any of its messages: nobody serves it.
        const bool none = told.code == EOPNOTSUPP && message->nlmsg_seq == first;
        error = none ? Failure(kNone, EOPNOTSUPP) : std::move(told);
      }
      // The last message is acknowledged in any case, unless the batch as such was refused.
      if (message->nlmsg_seq == last || (message->nlmsg_seq == first && error)) {
        return error ? Result<>{std::unexpected(*error)} : Result<>{};
      }
    }
  }
}

// False: it changed meanwhile.
Result<bool> Socket::DumpOnce(const std::string& request, const std::function<void(const nlmsghdr*)>& each) {
  if (::send(fd_.get(), request.data(), request.size(), 0) < 0) {
    return std::unexpected(SysError("send", "nf_tables"));
  }
  bool whole = true;
  for (;;) {
    const std::string_view received = TRY(Receive());
    int left = static_cast<int>(received.size());
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(received.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_seq != sequence_) {
        continue;
      }
      whole = whole && (message->nlmsg_flags & NLM_F_DUMP_INTR) == 0;
      if (message->nlmsg_type == NLMSG_DONE) {
        return whole;
      }
      if (message->nlmsg_type == NLMSG_ERROR) {
        Error error = KernelError(message);
        if (error.code == EINTR) {
          return false;
        }
        return error.code == 0 ? Result<bool>{whole} : std::unexpected(error);
      }
      each(message);
    }
  }
}

Result<> Socket::Dump(std::uint16_t type, std::uint32_t family, const std::function<void(nlmsghdr*)>& fill,
                      const std::function<void()>& begin, const std::function<void(const nlmsghdr*)>& each) {
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    std::string request(MNL_NLMSG_HDRLEN + 4096, '\0');
    nlmsghdr* message =
        nftnl_nlmsg_build_hdr(request.data(), type, static_cast<std::uint16_t>(family), NLM_F_DUMP, ++sequence_);
    fill(message);
    request.resize(message->nlmsg_len);
    begin();
    if (TRY(DumpOnce(request, each))) {
      return {};
    }
  }
  return std::unexpected(SysError("list", "nf_tables: changed meanwhile", EAGAIN));
}

Result<std::vector<std::pair<std::string, FoundTable>>> ListTables(Socket& socket, std::uint32_t family) {
  std::vector<std::pair<std::string, FoundTable>> tables;
  TRY(socket.Dump(
      NFT_MSG_GETTABLE, family, [](nlmsghdr*) {}, [&] { tables.clear(); },
      [&](const nlmsghdr* message) {
        const Ptr<nftnl_table, nftnl_table_free> table{nftnl_table_alloc()};
        if (nftnl_table_nlmsg_parse(message, table.get()) < 0) {
          return;
        }
        FoundTable found{.handle = nftnl_table_get_u64(table.get(), NFTNL_TABLE_HANDLE)};
        std::uint32_t size = 0;
        if (const void* data = nftnl_table_get_data(table.get(), NFTNL_TABLE_USERDATA, &size); data != nullptr) {
          found.owner.assign(static_cast<const char*>(data), size);
        }
        tables.emplace_back(Text(nftnl_table_get_str(table.get(), NFTNL_TABLE_NAME)), std::move(found));
      }));
  return tables;
}

Result<std::vector<Counter>> ListCounters(Socket& socket, std::uint32_t family, const std::string& table) {
  const Ptr<nftnl_obj, nftnl_obj_free> wanted{nftnl_obj_alloc()};
  nftnl_obj_set_str(wanted.get(), NFTNL_OBJ_TABLE, table.c_str());
  nftnl_obj_set_u32(wanted.get(), NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
  std::vector<Counter> counters;
  TRY(socket.Dump(
      NFT_MSG_GETOBJ, family, [&](nlmsghdr* message) { nftnl_obj_nlmsg_build_payload(message, wanted.get()); },
      [&] { counters.clear(); },
      [&](const nlmsghdr* message) {
        const Ptr<nftnl_obj, nftnl_obj_free> object{nftnl_obj_alloc()};
        if (nftnl_obj_nlmsg_parse(message, object.get()) < 0) {
          return;
        }
        counters.push_back({.name = Text(nftnl_obj_get_str(object.get(), NFTNL_OBJ_NAME)),
                            .packets = nftnl_obj_get_u64(object.get(), NFTNL_OBJ_CTR_PKTS),
                            .bytes = nftnl_obj_get_u64(object.get(), NFTNL_OBJ_CTR_BYTES)});
      }));
  return counters;
}

Result<std::vector<Element>> ListElements(Socket& socket, std::uint32_t family, const std::string& table,
                                          const std::string& set) {
  const Ptr<nftnl_set, nftnl_set_free> wanted{nftnl_set_alloc()};
  nftnl_set_set_str(wanted.get(), NFTNL_SET_TABLE, table.c_str());
  nftnl_set_set_str(wanted.get(), NFTNL_SET_NAME, set.c_str());
  std::vector<Element> elements;
  TRY(socket.Dump(
      NFT_MSG_GETSETELEM, family,
      [&](nlmsghdr* message) { nftnl_set_elems_nlmsg_build_payload(message, wanted.get()); }, [&] { elements.clear(); },
      [&](const nlmsghdr* message) {
        const Ptr<nftnl_set, nftnl_set_free> part{nftnl_set_alloc()};
        if (nftnl_set_elems_nlmsg_parse(message, part.get()) < 0) {
          return;
        }
        nftnl_set_elem_foreach(
            part.get(),
            [](nftnl_set_elem* element, void* out) {
              static_cast<std::vector<Element>*>(out)->push_back(Read(element));
              return 0;
            },
            &elements);
      }));
  return elements;
}

Result<std::vector<std::string>> ListSets(Socket& socket, std::uint32_t family, const std::string& table) {
  const Ptr<nftnl_set, nftnl_set_free> wanted{nftnl_set_alloc()};
  nftnl_set_set_str(wanted.get(), NFTNL_SET_TABLE, table.c_str());
  std::vector<std::string> names;
  TRY(socket.Dump(
      NFT_MSG_GETSET, family, [&](nlmsghdr* message) { nftnl_set_nlmsg_build_payload(message, wanted.get()); },
      [&] { names.clear(); },
      [&](const nlmsghdr* message) {
        const Ptr<nftnl_set, nftnl_set_free> set{nftnl_set_alloc()};
        if (nftnl_set_nlmsg_parse(message, set.get()) >= 0) {
          names.push_back(Text(nftnl_set_get_str(set.get(), NFTNL_SET_NAME)));
        }
      }));
  return names;
}

Result<std::map<std::string, std::vector<std::string>>> ListRules(Socket& socket, std::uint32_t family,
                                                                  const std::string& table) {
  const Ptr<nftnl_rule, nftnl_rule_free> wanted{nftnl_rule_alloc()};
  nftnl_rule_set_str(wanted.get(), NFTNL_RULE_TABLE, table.c_str());
  std::map<std::string, std::vector<std::string>> rules;
  TRY(socket.Dump(
      NFT_MSG_GETRULE, family, [&](nlmsghdr* message) { nftnl_rule_nlmsg_build_payload(message, wanted.get()); },
      [&] { rules.clear(); },
      [&](const nlmsghdr* message) {
        const Ptr<nftnl_rule, nftnl_rule_free> rule{nftnl_rule_alloc()};
        const bool readable = nftnl_rule_nlmsg_parse(message, rule.get()) >= 0;
        if (readable && Text(nftnl_rule_get_str(rule.get(), NFTNL_RULE_TABLE)) != table) {
          return;
        }
        rules[readable ? Text(nftnl_rule_get_str(rule.get(), NFTNL_RULE_CHAIN)) : ""].push_back(
            readable ? PrintExpressions(rule.get()) : "unreadable");
      }));
  return rules;
}

}  // namespace nucleus::nft
