#include "runtime/net/netlink.h"

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>
#include <memory>

#include "runtime/sys/netlink_socket.h"

namespace nucleus::net {
namespace {

constexpr std::size_t kHeader = NLMSG_HDRLEN;
constexpr std::size_t kAttributeHeader = NLA_HDRLEN;
constexpr std::uint16_t kTypeMask = 0x3fff;  // NLA_TYPE_MASK
// A dump fills at most 32 KiB a time, and no single answer is longer.
constexpr std::size_t kBuffer = std::size_t{64} << 10;

// What the kernel counts of a message besides its bytes, and an owner's name that is put in.
constexpr std::size_t kSlack = 4096;

constexpr const char* kNoFilter = "this kernel has no nf_tables, or cannot load its modules";

constexpr std::size_t Align(std::size_t size) {
  return (size + 3) & ~std::size_t{3};
}

// NLMSG_ERROR and NLMSG_DONE begin with an errno, negative; the kernel's own words may stand behind it.
Error KernelError(std::string_view body, bool has_request, std::uint16_t flags) {
  std::int32_t code = -EPROTO;
  if (body.size() >= sizeof code) {
    std::memcpy(&code, body.data(), sizeof code);
    body.remove_prefix(sizeof code);
  }
  std::string words;
  if ((flags & NLM_F_ACK_TLVS) != 0) {
    if (has_request) {  // the header of the request it answers: NETLINK_CAP_ACK leaves out the rest
      body.remove_prefix(std::min(body.size(), kHeader));
    }
    words = TextAttribute(body, NLMSGERR_ATTR_MSG);
  }
  return Failure(words.empty() ? ErrnoText(-code) : words + ": " + ErrnoText(-code), -code);
}

Result<> SetOption(int fd, int option, const char* what) {
  const int on = 1;
  if (::setsockopt(fd, SOL_NETLINK, option, &on, sizeof on) != 0) {
    return std::unexpected(SysError("setsockopt", what));
  }
  return {};
}

// Calls `each` with the header of every message and what stands behind it. EPROTO where one is cut short.
template <class Each>
Result<> ForEachMessage(std::string_view messages, const char* what, Each each) {
  while (messages.size() >= kHeader) {
    nlmsghdr header{};
    std::memcpy(&header, messages.data(), sizeof header);
    if (header.nlmsg_len < kHeader || header.nlmsg_len > messages.size()) {
      return std::unexpected(SysError("receive", what, EPROTO));
    }
    each(header, messages.substr(kHeader, header.nlmsg_len - kHeader));
    messages.remove_prefix(std::min(messages.size(), Align(header.nlmsg_len)));
  }
  return {};
}

}  // namespace

Attributes& Attributes::Raw(std::string_view bytes) {
  bytes_ += bytes;
  bytes_.resize(Align(bytes_.size()));
  return *this;
}

Attributes& Attributes::Add(std::uint16_t type, std::string_view value) {
  nlattr header{};
  header.nla_len = static_cast<std::uint16_t>(kAttributeHeader + value.size());
  header.nla_type = type;
  Raw({reinterpret_cast<const char*>(&header), sizeof header});
  return Raw(value);
}

Attributes& Attributes::Number(std::uint16_t type, std::uint32_t value) {
  return Add(type, {reinterpret_cast<const char*>(&value), sizeof value});
}

Attributes& Attributes::Byte(std::uint16_t type, std::uint8_t value) {
  return Add(type, {reinterpret_cast<const char*>(&value), sizeof value});
}

Attributes& Attributes::Text(std::uint16_t type, const std::string& value) {
  return Add(type, {value.c_str(), value.size() + 1});
}

Attributes& Attributes::Nested(std::uint16_t type, const Attributes& inner) {
  return Add(type | NLA_F_NESTED, inner.bytes());
}

void Request::Begin(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  Append({reinterpret_cast<const char*>(&header), sizeof header});
}

void Request::Append(std::string_view bytes) {
  bytes_ += bytes;
  bytes_.resize(Align(bytes_.size()));
}

Request& Request::Attribute(std::uint16_t type, std::string_view value) {
  nlattr header{};
  header.nla_len = static_cast<std::uint16_t>(kAttributeHeader + value.size());
  header.nla_type = type;
  Append({reinterpret_cast<const char*>(&header), sizeof header});
  Append(value);
  return *this;
}

Request& Request::Number(std::uint16_t type, std::uint32_t value) {
  return Attribute(type, {reinterpret_cast<const char*>(&value), sizeof value});
}

Request& Request::Text(std::uint16_t type, const std::string& value) {
  return Attribute(type, {value.c_str(), value.size() + 1});
}

Request& Request::Nested(std::uint16_t type, const Attributes& inner) {
  return Attribute(type | NLA_F_NESTED, inner.bytes());
}

std::string_view Request::Finish(std::uint32_t sequence) {
  nlmsghdr header{};
  std::memcpy(&header, bytes_.data(), sizeof header);
  header.nlmsg_len = static_cast<std::uint32_t>(bytes_.size());
  header.nlmsg_seq = sequence;
  std::memcpy(bytes_.data(), &header, sizeof header);
  return bytes_;
}

std::optional<OneAttribute> TakeAttribute(std::string_view& attributes) {
  nlattr header{};
  if (attributes.size() < kAttributeHeader) {
    return std::nullopt;
  }
  std::memcpy(&header, attributes.data(), sizeof header);
  if (header.nla_len < kAttributeHeader || header.nla_len > attributes.size()) {
    return std::nullopt;
  }
  const std::string_view bytes = attributes.substr(0, header.nla_len);
  attributes.remove_prefix(std::min(attributes.size(), Align(header.nla_len)));
  return OneAttribute{.type = static_cast<std::uint16_t>(header.nla_type & kTypeMask),
                      .value = bytes.substr(kAttributeHeader),
                      .bytes = bytes};
}

std::optional<std::string_view> FindAttribute(std::string_view attributes, std::uint16_t type) {
  while (const std::optional<OneAttribute> attribute = TakeAttribute(attributes)) {
    if (attribute->type == type) {
      return attribute->value;
    }
  }
  return std::nullopt;
}

std::string TextAttribute(std::string_view attributes, std::uint16_t type) {
  const std::string_view value = FindAttribute(attributes, type).value_or("");
  return std::string{value.substr(0, value.find('\0'))};
}

std::uint32_t NumberAttribute(std::string_view attributes, std::uint16_t type) {
  std::uint32_t number = 0;
  const std::string_view value = FindAttribute(attributes, type).value_or("");
  if (value.size() == sizeof number) {
    std::memcpy(&number, value.data(), sizeof number);
  }
  return number;
}

Result<Socket> Socket::Open() {
  constexpr const char* kWhat = "rtnetlink";
  Fd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
  if (!fd) {
    return std::unexpected(SysError("socket", kWhat));
  }
  // The kernel then looks at what is asked to be left out of a dump, and says what it did not like.
  TRY(SetOption(fd.get(), NETLINK_GET_STRICT_CHK, kWhat));
  TRY(SetOption(fd.get(), NETLINK_EXT_ACK, kWhat));
  TRY(SetOption(fd.get(), NETLINK_CAP_ACK, kWhat));
  return Socket{std::move(fd), kWhat};
}

Result<Socket> Socket::OpenIn(int netns) {
  return sys::InNetworkNamespace(netns, Open);
}

Result<Socket> Socket::OpenFilter() {
  Fd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)};
  if (!fd && errno == EPROTONOSUPPORT) {
    return std::unexpected(Failure(kNoFilter, EOPNOTSUPP));
  }
  Socket socket{std::move(fd), "nf_tables"};
  if (!socket.fd_) {
    return std::unexpected(SysError("socket", socket.what_));
  }
  TRY(SetOption(socket.fd_.get(), NETLINK_EXT_ACK, socket.what_));
  TRY(SetOption(socket.fd_.get(), NETLINK_CAP_ACK, socket.what_));
  // The kernel answers while it is asked; a longer silence is a defect, and nobody waits for ever.
  constexpr timeval kPatience{.tv_sec = 30, .tv_usec = 0};
  if (::setsockopt(socket.fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience) != 0) {
    return std::unexpected(SysError("setsockopt", socket.what_));
  }
  return socket;
}

Result<Socket> Socket::OpenFilterIn(int netns) {
  return sys::InNetworkNamespace(netns, OpenFilter);
}

std::span<char> Socket::Buffer() {
  if (!buffer_) {
    buffer_ = std::make_unique_for_overwrite<char[]>(kBuffer);
  }
  return {buffer_.get(), kBuffer};
}

Result<std::vector<std::string>> Socket::Exchange(Request request, std::size_t most) {
  const std::string_view bytes = request.Finish(++sequence_);
  if (::send(fd_.get(), bytes.data(), bytes.size(), 0) < 0) {
    return std::unexpected(SysError("send", what_));
  }
  std::vector<std::string> answers;
  bool interrupted = false;
  std::optional<Error> end;
  while (!end) {
    const std::string_view received = TRY(sys::ReceiveFromKernel(fd_.get(), Buffer(), what_));
    TRY(ForEachMessage(received, what_, [&](const nlmsghdr& header, std::string_view body) {
      if (header.nlmsg_seq != sequence_ || end) {
        return;
      }
      interrupted = interrupted || (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
        end = KernelError(body, header.nlmsg_type == NLMSG_ERROR, header.nlmsg_flags);
      } else if (answers.size() <= most) {
        // Read to the end in any case: what is left in the socket would be taken for the next answer.
        answers.emplace_back(body);
      }
    }));
  }
  // nf_tables says of a dump that it has to begin anew as an error of its own.
  if (interrupted || end->code == EINTR) {
    return std::unexpected(SysError("receive", std::string{what_} + ": changed meanwhile", EAGAIN));
  }
  if (end->code != 0) {
    return std::unexpected(std::move(*end));
  }
  if (answers.size() > most) {
    return std::unexpected(SysError("receive", what_, E2BIG));
  }
  return answers;
}

Result<std::vector<std::string>> Socket::List(const Request& request, std::size_t most) {
  constexpr int kAttempts = 50;
  for (int attempt = 1;; ++attempt) {
    Result<std::vector<std::string>> answers = Exchange(request, most);
    if (answers || answers.error().code != EAGAIN || attempt == kAttempts) {
      return answers;
    }
  }
}

Result<> Socket::Commit(std::string_view messages) {
  std::uint32_t first = 0;
  std::uint32_t acknowledged = 0;
  bool any = false;
  TRY(ForEachMessage(messages, what_, [&](const nlmsghdr& header, std::string_view) {
    first = any ? first : header.nlmsg_seq;
    any = true;
    if ((header.nlmsg_flags & NLM_F_ACK) != 0) {
      acknowledged = header.nlmsg_seq;
    }
  }));
  if (acknowledged == 0) {  // nobody would answer
    return std::unexpected(SysError("send", what_, EPROTO));
  }
  // Beyond the usual limit it takes CAP_NET_ADMIN over the host.
  constexpr std::size_t kUsual = std::size_t{64} << 10;
  const int size = static_cast<int>(messages.size() + kSlack);
  if (messages.size() > kUsual && ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) != 0) {
    (void)::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
  }
  ssize_t sent = 0;
  do {
    sent = ::send(fd_.get(), messages.data(), messages.size(), 0);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    return std::unexpected(SysError("send", what_));
  }
  std::optional<Error> error;
  bool done = false;
  while (!done) {
    const std::string_view received = TRY(sys::ReceiveFromKernel(fd_.get(), Buffer(), what_));
    TRY(ForEachMessage(received, what_, [&](const nlmsghdr& header, std::string_view body) {
      if (header.nlmsg_type != NLMSG_ERROR) {
        return;
      }
      Error told = KernelError(body, true, header.nlmsg_flags);
      if (told.code != 0 && !error) {
        // Of the batch itself, before any of its messages: nobody serves it.
        const bool none = told.code == EOPNOTSUPP && header.nlmsg_seq == first;
        error = none ? Failure(kNoFilter, EOPNOTSUPP) : Context(what_, std::move(told));
      }
      // The acknowledgement comes in any case, unless the whole was refused at its first message.
      done = done || header.nlmsg_seq == acknowledged || (header.nlmsg_seq == first && error);
    }));
  }
  return error ? Result<>{std::unexpected(std::move(*error))} : Result<>{};
}

bool FitsIntoSocket(std::size_t size) {
  const Fd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
  int room = static_cast<int>(size + kSlack);
  socklen_t length = sizeof room;
  return fd && ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0 &&
         ::getsockopt(fd.get(), SOL_SOCKET, SO_SNDBUF, &room, &length) == 0 &&
         static_cast<std::size_t>(room) >= size + kSlack;
}

}  // namespace nucleus::net
