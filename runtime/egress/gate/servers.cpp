#include "runtime/egress/gate/servers.h"

#include <algorithm>
#include <tuple>

#include "runtime/egress/gate/protocol.h"

namespace nucleus::gate {
namespace {

constexpr std::int64_t kFirstAvoid = 2'000;
constexpr unsigned kMostDoublings = 5;  // about a minute
constexpr std::int64_t kNoCase = 600'000;

}  // namespace

std::size_t Servers::Choose(const std::vector<unsigned>& tries, std::int64_t now) const {
  std::size_t best = 0;
  for (std::size_t i = 1; i < servers_.size(); ++i) {
    if (std::tuple{tries[i], servers_[i].avoid_until > now} <
        std::tuple{tries[best], servers_[best].avoid_until > now}) {
      best = i;
    }
  }
  return best;
}

void Servers::Answered(std::size_t server) {
  servers_[server].silent = 0;
  servers_[server].avoid_until = 0;
}

void Servers::Silent(std::size_t server, std::int64_t now) {
  Server& one = servers_[server];
  // All that was under way when it fell silent counts once.
  if (one.avoid_until > now) {
    return;
  }
  one.avoid_until = now + (kFirstAvoid << std::min(one.silent, kMostDoublings));
  ++one.silent;
}

void Servers::ChangedCase(std::size_t server, std::int64_t now) {
  servers_[server].no_case_until = now + kNoCase;
}

bool Servers::ChangesCase(std::size_t server, std::int64_t now) const {
  return servers_[server].no_case_until > now;
}

Fd Servers::Take(std::size_t server, std::int64_t now) {
  std::deque<Spare>& stock = servers_[server].stock;
  while (!stock.empty() && stock.front().since + kFresh <= now) {
    stock.pop_front();
  }
  if (stock.empty()) {
    return {};
  }
  Fd socket = std::move(stock.front().socket);
  stock.pop_front();
  return socket;
}

void Servers::Put(std::size_t server, std::vector<Fd> sockets, std::int64_t now) {
  Server& one = servers_[server];
  one.asked_for = false;
  for (Fd& socket : sockets) {
    if (one.stock.size() < std::size_t{2} * kMaxSockets) {
      one.stock.push_back({.socket = std::move(socket), .since = now});
    }
  }
}

std::uint32_t Servers::Want(std::size_t server) {
  Server& one = servers_[server];
  if (one.asked_for || one.stock.size() >= kMaxSockets / 2) {
    return 0;
  }
  one.asked_for = true;
  return kMaxSockets;
}

std::optional<std::int64_t> Servers::Tidy(std::int64_t now) {
  std::optional<std::int64_t> next;
  for (Server& server : servers_) {
    while (!server.stock.empty() && server.stock.front().since + kFresh <= now) {
      server.stock.pop_front();
    }
    if (!server.stock.empty()) {
      const std::int64_t due = server.stock.front().since + kFresh;
      next = std::min(next.value_or(due), due);
    }
  }
  return next;
}

}  // namespace nucleus::gate
