// What was refused: packets, as the rules log them (NFLOG), and names, as the gate reports them. Kept in a bounded file
// of the container's state directory, and told to the event stream. Source: linux/netfilter/nfnetlink_log.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/evidence/event_log.h"

namespace nucleus::egress {

// A packet as it was refused: what can be read of its headers.
struct RefusedPacket {
  std::string protocol;  // "tcp", "udp", "icmp", "arp", or a number
  std::string source;
  std::string destination;
  std::uint16_t port = 0;  // the destination's; 0: none
};
// `protocol` is the EtherType. Nothing where it is no packet of IP or ARP. The bytes are hostile.
std::optional<RefusedPacket> ReadPacket(std::uint16_t protocol, std::string_view bytes);

class RefusalLog {
 public:
  // `directory`: of the state; it is not there any more at the end. `events`: as HelperRequest has it; empty: none.
  static Result<RefusalLog> Open(const std::string& directory, const std::string& id, const std::string& events,
                                 const std::string& root);

  void Packet(const RefusedPacket& packet, bool outside);
  // A line of the gate's.
  void GateLine(std::string_view line);

 private:
  RefusalLog(Fd directory, std::string id) : directory_(std::move(directory)), id_(std::move(id)) {
  }
  void Write(const std::string& line);
  void Tell(const RefusedPacket& packet);

  Fd directory_;
  std::string id_;
  std::optional<evidence::EventLog> events_;
  Fd file_;
  std::uint64_t size_ = 0;
};

// Listens to one group in the namespace that `socket` was made in.
Result<> BindLog(int socket, std::uint16_t group);
// A socket for that, of this process's namespace.
Result<Fd> OpenLog();
// All that has come.
void ReadLog(int socket, bool outside, RefusalLog& log);

}  // namespace nucleus::egress
