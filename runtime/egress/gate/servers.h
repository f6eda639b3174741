// The servers as the parser knows them: who answers, who keeps the case of letters, and a few fresh sockets for each.
// Inside runtime/egress/gate only. Times are milliseconds.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/fd.h"

namespace nucleus::gate {

class Servers {
 public:
  // What is left of a stock after that is closed: nobody gets the time to look for its ports.
  static constexpr std::int64_t kFresh = 10'000;

  explicit Servers(std::size_t count) : servers_(count) {
  }
  [[nodiscard]] std::size_t size() const {
    return servers_.size();
  }

  // Whom to ask: of those that were asked least in this matter the first that is well, or else the first.
  [[nodiscard]] std::size_t Choose(const std::vector<unsigned>& tries, std::int64_t now) const;

  void Answered(std::size_t server);
  // It did not answer: for some seconds the others come first, the longer the more often that was so.
  void Silent(std::size_t server, std::int64_t now);

  // A server that gives names back in another case is asked by TCP for some minutes.
  void ChangedCase(std::size_t server, std::int64_t now);
  [[nodiscard]] bool ChangesCase(std::size_t server, std::int64_t now) const;

  // A socket that nothing was ever sent from; empty: there is none.
  Fd Take(std::size_t server, std::int64_t now);
  void Put(std::size_t server, std::vector<Fd> sockets, std::int64_t now);
  // How many to ask the setter for now; they are taken as asked for.
  std::uint32_t Want(std::size_t server);

  // Closes what is stale. When to do it next; nothing while there is no stock.
  std::optional<std::int64_t> Tidy(std::int64_t now);

 private:
  struct Spare {
    Fd socket;
    std::int64_t since = 0;
  };
  struct Server {
    std::deque<Spare> stock;
    bool asked_for = false;
    unsigned silent = 0;
    std::int64_t avoid_until = 0;
    std::int64_t no_case_until = 0;
  };
  std::vector<Server> servers_;
};

}  // namespace nucleus::gate
