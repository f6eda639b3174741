#include "runtime/egress/gate/tcp_clients.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>

namespace nucleus::gate {

void TcpClients::Accept(int listening, std::int64_t now) {
  constexpr int kAtOnce = 16;
  for (int i = 0; i < kAtOnce; ++i) {
    Fd socket{::accept4(listening, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (!socket) {
      return;
    }
    if (clients_.size() >= kMax) {
      Close(std::ranges::min_element(clients_, {}, [](const auto& one) { return one.second.deadline; }));
    }
    const auto client = clients_.emplace(next_++, Client{}).first;
    client->second.socket = std::move(socket);
    client->second.deadline = now + kIdle;
    epoll_event event{.events = EPOLLIN, .data = {.u64 = tag_ | client->first}};
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, client->second.socket.get(), &event) != 0) {
      clients_.erase(client);
    }
  }
}

void TcpClients::Watch(Clients::iterator client, std::uint32_t events) {
  epoll_event event{.events = events, .data = {.u64 = tag_ | client->first}};
  (void)::epoll_ctl(epoll_, EPOLL_CTL_MOD, client->second.socket.get(), &event);
}

void TcpClients::Close(Clients::iterator client) {
  (void)::epoll_ctl(epoll_, EPOLL_CTL_DEL, client->second.socket.get(), nullptr);
  clients_.erase(client);
}

std::optional<Bytes> TcpClients::Event(std::uint64_t id, std::uint32_t events, std::int64_t now) {
  const auto client = clients_.find(id);
  if (client == clients_.end()) {
    return std::nullopt;
  }
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    Close(client);
    return std::nullopt;
  }
  Client& one = client->second;
  if ((events & EPOLLOUT) != 0 && !Flush(client, now)) {
    return std::nullopt;
  }
  if ((events & EPOLLIN) == 0 || one.asked) {
    return std::nullopt;
  }
  for (;;) {
    std::size_t whole = 2;
    if (one.in.size() >= 2) {
      whole += static_cast<std::size_t>(one.in[0] << 8 | one.in[1]);
      if (whole > 2 + kMaxRequest) {
        Close(client);
        return std::nullopt;
      }
      if (one.in.size() == whole) {
        break;
      }
    }
    std::array<std::uint8_t, 2 + kMaxRequest> buffer{};
    const ssize_t size =
        ::recvfrom(one.socket.get(), buffer.data(), whole - one.in.size(), MSG_DONTWAIT, nullptr, nullptr);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
      return std::nullopt;
    }
    if (size <= 0) {
      Close(client);
      return std::nullopt;
    }
    one.in.insert(one.in.end(), buffer.begin(), buffer.begin() + size);
  }
  Bytes message{one.in.begin() + 2, one.in.end()};
  one.in.clear();
  one.asked = true;
  Watch(client, 0);
  return message;
}

void TcpClients::Answer(std::uint64_t id, const Bytes& message, std::int64_t now) {
  const auto client = clients_.find(id);
  if (client == clients_.end()) {
    return;
  }
  if (message.empty()) {
    Close(client);
    return;
  }
  Client& one = client->second;
  one.sent = 0;
  one.out = {static_cast<std::uint8_t>(message.size() >> 8), static_cast<std::uint8_t>(message.size() & 0xff)};
  one.out.insert(one.out.end(), message.begin(), message.end());
  one.deadline = now + kIdle;
  Flush(client, now);
}

bool TcpClients::Flush(Clients::iterator client, std::int64_t now) {
  Client& one = client->second;
  while (one.sent < one.out.size()) {
    const ssize_t size = ::sendto(one.socket.get(), one.out.data() + one.sent, one.out.size() - one.sent,
                                  MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
      Watch(client, EPOLLOUT);
      return true;
    }
    if (size <= 0) {
      Close(client);
      return false;
    }
    one.sent += static_cast<std::size_t>(size);
  }
  one.out.clear();
  one.sent = 0;
  one.asked = false;
  one.deadline = now + kIdle;
  Watch(client, EPOLLIN);
  return true;
}

std::optional<std::int64_t> TcpClients::Tidy(std::int64_t now) {
  std::optional<std::int64_t> next;
  for (auto client = clients_.begin(); client != clients_.end();) {
    const auto following = std::next(client);
    if (client->second.deadline <= now) {
      Close(client);
    } else {
      next = std::min(next.value_or(client->second.deadline), client->second.deadline);
    }
    client = following;
  }
  return next;
}

}  // namespace nucleus::gate
