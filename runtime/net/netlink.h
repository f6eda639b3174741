// As much of the netlink protocol as handing links over and loading ready-made rules takes. The kernel's answers are
// bounded and their lengths are checked. Source: netlink(7), rtnetlink(7),
// Documentation/userspace-api/netlink/intro.rst.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::net {

// Attributes that become the value of another one.
class Attributes {
 public:
  Attributes& Add(std::uint16_t type, std::string_view value);
  Attributes& Number(std::uint16_t type, std::uint32_t value);
  Attributes& Byte(std::uint16_t type, std::uint8_t value);
  Attributes& Text(std::uint16_t type, const std::string& value);
  Attributes& Nested(std::uint16_t type, const Attributes& inner);
  // A fixed header in front of what follows, as the peer of a veth has it.
  template <class Header>
  Attributes& Fixed(const Header& header) {
    return Raw({reinterpret_cast<const char*>(&header), sizeof header});
  }
  [[nodiscard]] const std::string& bytes() const {
    return bytes_;
  }

 private:
  Attributes& Raw(std::string_view bytes);
  std::string bytes_;
};

// A request: nlmsghdr, the fixed header of its type, attributes.
class Request {
 public:
  // `flags` are NLM_F_*; NLM_F_REQUEST is added.
  template <class Header>
  Request(std::uint16_t type, std::uint16_t flags, const Header& header) {
    Begin(type, flags);
    Append({reinterpret_cast<const char*>(&header), sizeof header});
  }
  Request& Attribute(std::uint16_t type, std::string_view value);
  Request& Number(std::uint16_t type, std::uint32_t value);
  // With the zero at the end that the kernel's strings have.
  Request& Text(std::uint16_t type, const std::string& value);
  Request& Nested(std::uint16_t type, const Attributes& inner);

  // The whole message with its length and `sequence` filled in.
  std::string_view Finish(std::uint32_t sequence);

 private:
  void Begin(std::uint16_t type, std::uint16_t flags);
  void Append(std::string_view bytes);
  std::string bytes_;
};

struct OneAttribute {
  std::uint16_t type = 0;  // without flags
  std::string_view value;
  std::string_view bytes;  // with its header and flags, without padding
};
// The first of a run of attributes, which is taken from it. Nothing at the end, or where it is cut short.
std::optional<OneAttribute> TakeAttribute(std::string_view& attributes);
// The value of the first attribute of that type, in a run of attributes. What is cut short ends the search.
std::optional<std::string_view> FindAttribute(std::string_view attributes, std::uint16_t type);
// The same as a text, without the zero at its end; "" where there is none.
std::string TextAttribute(std::string_view attributes, std::uint16_t type);
// As a number of 32 bits; 0 where there is none.
std::uint32_t NumberAttribute(std::string_view attributes, std::uint16_t type);

// What stands behind the fixed header of an answer; nothing where the answer is shorter than that.
template <class Header>
std::optional<std::string_view> TakeHeader(std::string_view answer, Header& header) {
  constexpr std::size_t kAligned = (sizeof(Header) + 3) & ~std::size_t{3};
  if (answer.size() < kAligned) {
    return std::nullopt;
  }
  answer.copy(reinterpret_cast<char*>(&header), sizeof header);
  return answer.substr(kAligned);
}

// A socket in one network namespace, whichever the process is in later.
class Socket {
 public:
  // In the network namespace of this process.
  static Result<Socket> Open();
  // In that of `netns`: the process, which must be its only thread, is there for the moment of the call.
  static Result<Socket> OpenIn(int netns);
  // Of nf_tables instead of links, in the network namespace of this process. EOPNOTSUPP where the kernel has none.
  static Result<Socket> OpenFilter();
  // In that of `netns`, as OpenIn; a pidfd will do.
  static Result<Socket> OpenFilterIn(int netns);
  // One of nf_tables that was made elsewhere, and has no question open.
  static Socket AdoptFilter(Fd fd) {
    return {std::move(fd), "nf_tables"};
  }

  // The kernel's answers to the request, without their nlmsghdr: none for a change that was done. The error is the
  // kernel's errno and words; E2BIG where it has more to say than `most`; EAGAIN where what is listed kept changing.
  Result<std::vector<std::string>> Exchange(Request request, std::size_t most = kMaxAnswers);

  // The same of a dump, asked for again where something changed meanwhile, some times.
  Result<std::vector<std::string>> List(const Request& request, std::size_t most = kMaxAnswers);

  // Messages that are one to the kernel, with their sequence numbers: all of them are carried out or none. One of them
  // asks to be acknowledged (NLM_F_ACK), and it is the last that the kernel looks at. The error is its first.
  Result<> Commit(std::string_view messages);

  static constexpr std::size_t kMaxAnswers = 1024;

 private:
  Socket(Fd fd, const char* what) : fd_(std::move(fd)), what_(what) {
  }
  std::span<char> Buffer();

  Fd fd_;
  const char* what_;                // for errors
  std::unique_ptr<char[]> buffer_;  // made for the first answer
  std::uint32_t sequence_ = 0;
};

// May so many bytes be sent to the kernel as one (Commit) by a process without rights over the host?
bool FitsIntoSocket(std::size_t size);

}  // namespace nucleus::net
