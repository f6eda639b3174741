#include "runtime/egress/gate/setter.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "runtime/egress/gate/address.h"
#include "runtime/egress/gate/protocol.h"

namespace nucleus::gate {
namespace {

constexpr std::uint16_t kPort = 53;

// A fresh socket that is connected to the server: what comes from elsewhere does not reach it. The kernel chooses the
// port at random. TCP: on its way.
Result<Fd> Connect(const policies::Address& server, int type) {
  Fd socket{::socket(server.v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!socket) {
    return std::unexpected(SysError("socket", ""));
  }
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(kPort);
  std::memcpy(&v4.sin_addr, server.bytes.data(), sizeof v4.sin_addr);
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(kPort);
  std::memcpy(&v6.sin6_addr, server.bytes.data(), sizeof v6.sin6_addr);
  const auto* address = server.v6 ? reinterpret_cast<const sockaddr*>(&v6) : reinterpret_cast<const sockaddr*>(&v4);
  if (::connect(socket.get(), address, server.v6 ? sizeof v6 : sizeof v4) != 0 && errno != EINPROGRESS) {
    return std::unexpected(SysError("connect", ""));
  }
  return socket;
}

class Setter {
 public:
  Setter(const Config& config, Sets& sets, int channel, int life)
      : config_(config), sets_(sets), policy_(config.allowed, config.denied), channel_(channel), life_(life) {
    for (const Name& name : config.names) {
      groups_.push_back(name.group);
    }
    std::ranges::sort(groups_);
    buffer_.resize(sizeof(Header) + kMaxRecords * sizeof(GrantRecord));
  }

  void Run() {
    for (;;) {
      std::array<pollfd, 2> polled = {pollfd{.fd = channel_, .events = POLLIN, .revents = 0},
                                      pollfd{.fd = life_, .events = POLLIN, .revents = 0}};
      if (::poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) {
        return;
      }
      if (polled[1].revents != 0) {
        return;
      }
      if (polled[0].revents != 0 && !Drain()) {
        return;
      }
    }
  }

 private:
  struct Asked {
    std::uint64_t id = 0;
    std::size_t first = 0;  // of grants_
    std::size_t count = 0;
  };

  // All that waits: what is to be granted goes in one batch.
  bool Drain() {
    grants_.clear();
    asked_.clear();
    bool open = true;
    while (grants_.size() + kMaxRecords <= kMaxGrants) {
      const ssize_t size = ::recvfrom(channel_, buffer_.data(), buffer_.size(), MSG_DONTWAIT, nullptr, nullptr);
      if (size < 0 && errno == EINTR) {
        continue;
      }
      if (size < 0 && errno == EAGAIN) {
        break;
      }
      Header header;
      if (size < static_cast<ssize_t>(sizeof header)) {
        open = false;
        break;
      }
      std::memcpy(&header, buffer_.data(), sizeof header);
      if (!Handle(header, static_cast<std::size_t>(size) - sizeof header)) {
        open = false;
        break;
      }
    }
    Grant();
    return open;
  }

  // False: the parser is not what it was.
  bool Handle(const Header& header, std::size_t payload) {
    switch (header.word) {
      case Word::kGrant:
        return payload == header.count * sizeof(GrantRecord) && header.count <= kMaxRecords && Note(header);
      case Word::kWantUdp:
        return payload == 0 && header.count <= kMaxSockets && header.server < config_.servers.size() &&
               SendSockets(header, Word::kUdp, SOCK_DGRAM);
      case Word::kWantTcp:
        return payload == 0 && header.count == 1 && header.server < config_.servers.size() &&
               SendSockets(header, Word::kTcp, SOCK_STREAM);
      default:
        return false;
    }
  }

  bool Note(const Header& header) {
    Asked asked{.id = header.id, .first = grants_.size(), .count = header.count};
    for (std::size_t i = 0; i < header.count; ++i) {
      GrantRecord record;
      std::memcpy(&record, buffer_.data() + sizeof header + i * sizeof record, sizeof record);
      nucleus::gate::Grant grant{.address = {.v6 = record.v6 != 0, .bytes = record.address},
                                 .group = record.group,
                                 .seconds = std::clamp(record.seconds, kMinTtl + kGrace, kMaxTtl + kGrace)};
      if (!grant.address.v6) {
        std::fill(grant.address.bytes.begin() + 4, grant.address.bytes.end(), 0);
      }
      if (!std::ranges::binary_search(groups_, grant.group) || !policy_.MayGrant(grant.address)) {
        // The parser itself would have left it out.
        grants_.resize(asked.first);
        Tell({.word = Word::kGranted, .id = header.id, .error = EPERM});
        return true;
      }
      grants_.push_back(grant);
    }
    asked_.push_back(asked);
    return true;
  }

  void Grant() {
    if (asked_.empty()) {
      return;
    }
    const std::span<const nucleus::gate::Grant> all{grants_};
    const int together = Add(all);
    for (const Asked& asked : asked_) {
      // One that is refused is not to take the others with it.
      const bool again = together != 0 && asked_.size() > 1;
      const int error = again ? Add(all.subspan(asked.first, asked.count)) : together;
      Tell({.word = Word::kGranted, .id = asked.id, .error = error});
    }
  }

  int Add(std::span<const nucleus::gate::Grant> grants) {
    const Result<> added = sets_.Add(grants);
    if (added) {
      return 0;
    }
    return added.error().code != 0 ? added.error().code : EIO;
  }

  bool SendSockets(const Header& header, Word word, int type) {
    std::vector<Fd> sockets;
    int error = 0;
    for (std::uint32_t i = 0; i < header.count; ++i) {
      Result<Fd> socket = Connect(config_.servers[header.server], type);
      if (!socket) {
        error = socket.error().code;
        break;
      }
      sockets.push_back(std::move(*socket));
    }
    const auto count = static_cast<std::uint32_t>(sockets.size());
    return Tell({.word = word, .server = header.server, .id = header.id, .count = count, .error = error}, sockets);
  }

  bool Tell(const Header& header, std::span<const Fd> sockets = {}) {
    iovec data{.iov_base = const_cast<Header*>(&header), .iov_len = sizeof header};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxSockets)> control{};
    msghdr message{};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (!sockets.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(sizeof(int) * sockets.size());
      cmsghdr* rights = CMSG_FIRSTHDR(&message);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(sizeof(int) * sockets.size());
      for (std::size_t i = 0; i < sockets.size(); ++i) {
        const int fd = sockets[i].get();
        std::memcpy(CMSG_DATA(rights) + i * sizeof fd, &fd, sizeof fd);
      }
    }
    ssize_t sent = 0;
    do {
      sent = ::sendmsg(channel_, &message, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    return sent >= 0;
  }

  const Config& config_;
  Sets& sets_;
  AddressPolicy policy_;
  int channel_;
  int life_;
  std::vector<std::uint32_t> groups_;
  std::vector<std::uint8_t> buffer_;
  std::vector<nucleus::gate::Grant> grants_;
  std::vector<Asked> asked_;
};

}  // namespace

void RunSetter(const Config& config, Sets& sets, int channel, int life) {
  Setter{config, sets, channel, life}.Run();
}

}  // namespace nucleus::gate
