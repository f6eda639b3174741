// Connections of clients by TCP: few, slow ones are closed, one question at a time each (RFC 7766, which lets a server
// do so). Inside runtime/egress/gate only.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "base/fd.h"
#include "runtime/egress/gate/message.h"

namespace nucleus::gate {

class TcpClients {
 public:
  static constexpr std::size_t kMax = 32;
  static constexpr std::int64_t kIdle = 10'000;  // milliseconds, between two steps of a client

  // `tag` marks the events of clients in the set `epoll`: the lower bits are the client.
  TcpClients(int epoll, std::uint64_t tag) : epoll_(epoll), tag_(tag) {
  }

  // All that wait to be accepted. Where there are too many, the one that was silent for longest goes.
  void Accept(int listening, std::int64_t now);
  // What came of a client: a whole question, or nothing yet. It gets no second one before it is answered.
  std::optional<Bytes> Event(std::uint64_t client, std::uint32_t events, std::int64_t now);
  void Answer(std::uint64_t client, const Bytes& message, std::int64_t now);
  // Closes who is too slow. When to do it next.
  std::optional<std::int64_t> Tidy(std::int64_t now);

 private:
  struct Client {
    Fd socket;
    Bytes in;
    Bytes out;
    std::size_t sent = 0;
    std::int64_t deadline = 0;
    bool asked = false;
  };
  using Clients = std::map<std::uint64_t, Client>;
  void Watch(Clients::iterator client, std::uint32_t events);
  void Close(Clients::iterator client);
  // False: it is closed.
  bool Flush(Clients::iterator client, std::int64_t now);

  int epoll_;
  std::uint64_t tag_;
  std::uint64_t next_ = 0;
  Clients clients_;
};

}  // namespace nucleus::gate
