#include "runtime/net/netlink.h"

#include <linux/netlink.h>
#include <sys/socket.h>

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

Result<> SetOption(int fd, int option) {
  const int on = 1;
  if (::setsockopt(fd, SOL_NETLINK, option, &on, sizeof on) != 0) {
    return std::unexpected(SysError("setsockopt", "rtnetlink"));
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

std::optional<std::string_view> FindAttribute(std::string_view attributes, std::uint16_t type) {
  while (attributes.size() >= kAttributeHeader) {
    nlattr header{};
    std::memcpy(&header, attributes.data(), sizeof header);
    if (header.nla_len < kAttributeHeader || header.nla_len > attributes.size()) {
      return std::nullopt;
    }
    if ((header.nla_type & kTypeMask) == type) {
      return attributes.substr(kAttributeHeader, header.nla_len - kAttributeHeader);
    }
    attributes.remove_prefix(std::min(attributes.size(), Align(header.nla_len)));
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
  Fd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)};
  if (!fd) {
    return std::unexpected(SysError("socket", "rtnetlink"));
  }
  // The kernel then looks at what is asked to be left out of a dump, and says what it did not like.
  TRY(SetOption(fd.get(), NETLINK_GET_STRICT_CHK));
  TRY(SetOption(fd.get(), NETLINK_EXT_ACK));
  TRY(SetOption(fd.get(), NETLINK_CAP_ACK));
  return Socket{std::move(fd)};
}

Result<Socket> Socket::OpenIn(int netns) {
  return sys::InNetworkNamespace(netns, Open);
}

Result<std::vector<std::string>> Socket::Exchange(Request request, std::size_t most) {
  const std::string_view bytes = request.Finish(++sequence_);
  if (::send(fd_.get(), bytes.data(), bytes.size(), 0) < 0) {
    return std::unexpected(SysError("send", "rtnetlink"));
  }
  std::vector<std::string> answers;
  bool interrupted = false;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kBuffer);
  for (;;) {
    std::string_view rest = TRY(sys::ReceiveFromKernel(fd_.get(), {buffer.get(), kBuffer}, "rtnetlink"));
    while (rest.size() >= kHeader) {
      nlmsghdr header{};
      std::memcpy(&header, rest.data(), sizeof header);
      if (header.nlmsg_len < kHeader || header.nlmsg_len > rest.size()) {
        return std::unexpected(SysError("receive", "rtnetlink", EPROTO));
      }
      const std::string_view body = rest.substr(kHeader, header.nlmsg_len - kHeader);
      rest.remove_prefix(std::min(rest.size(), Align(header.nlmsg_len)));
      if (header.nlmsg_seq != sequence_) {
        continue;
      }
      interrupted = interrupted || (header.nlmsg_flags & NLM_F_DUMP_INTR) != 0;
      if (header.nlmsg_type == NLMSG_ERROR || header.nlmsg_type == NLMSG_DONE) {
        if (interrupted) {
          return std::unexpected(SysError("receive", "rtnetlink: changed meanwhile", EAGAIN));
        }
        Error error = KernelError(body, header.nlmsg_type == NLMSG_ERROR, header.nlmsg_flags);
        if (error.code == 0 && answers.size() > most) {
          return std::unexpected(SysError("receive", "rtnetlink", E2BIG));
        }
        return error.code == 0 ? Result<std::vector<std::string>>{std::move(answers)} : std::unexpected(error);
      }
      // Read to the end in any case: what is left in the socket would be taken for the next answer.
      if (answers.size() <= most) {
        answers.emplace_back(body);
      }
    }
  }
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

}  // namespace nucleus::net
