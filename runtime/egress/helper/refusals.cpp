#include "runtime/egress/helper/refusals.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <ctime>

#include "base/json_writer.h"
#include "runtime/net/request.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::egress {
namespace {

constexpr std::uint64_t kMaxFile = std::uint64_t{1} << 20;
constexpr std::uint32_t kCopied = 128;
constexpr std::size_t kBuffer = std::size_t{64} << 10;
constexpr std::size_t kMaxLine = 4096;

std::uint16_t Read16(std::string_view bytes, std::size_t at) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 |
                                    static_cast<unsigned char>(bytes[at + 1]));
}

std::string AddressText(int family, std::string_view bytes) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(family, bytes.data(), text.data(), text.size());
  return text.data();
}

std::string ProtocolName(std::uint8_t protocol) {
  constexpr std::uint8_t kIcmp6 = 58;
  switch (protocol) {
    case 1:
      return "icmp";
    case 6:
      return "tcp";
    case 17:
      return "udp";
    case kIcmp6:
      return "icmpv6";
    default:
      return std::to_string(protocol);
  }
}

void ReadPort(std::string_view transport, RefusedPacket& packet) {
  if ((packet.protocol == "tcp" || packet.protocol == "udp") && transport.size() >= 4) {
    packet.port = Read16(transport, 2);
  }
}

std::string TimeNow() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  std::array<char, 64> text{};
  const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(text.data() + length, text.size() - length, ".%03ldZ", now.tv_nsec / 1'000'000);
  return text.data();
}

}  // namespace

std::optional<RefusedPacket> ReadPacket(std::uint16_t protocol, std::string_view bytes) {
  RefusedPacket packet;
  constexpr std::size_t kIpv4Header = 20;
  constexpr std::size_t kIpv6Header = 40;
  constexpr std::size_t kArp = 28;
  if (protocol == ETH_P_IP && bytes.size() >= kIpv4Header) {
    packet.protocol = ProtocolName(static_cast<std::uint8_t>(bytes[9]));
    packet.source = AddressText(AF_INET, bytes.substr(12, 4));
    packet.destination = AddressText(AF_INET, bytes.substr(16, 4));
    const std::size_t length = (static_cast<unsigned char>(bytes[0]) & 0x0FU) * std::size_t{4};
    const bool first = (Read16(bytes, 6) & 0x1FFF) == 0;
    if (first && length >= kIpv4Header && length <= bytes.size()) {
      ReadPort(bytes.substr(length), packet);
    }
    return packet;
  }
  if (protocol == ETH_P_IPV6 && bytes.size() >= kIpv6Header) {
    packet.protocol = ProtocolName(static_cast<std::uint8_t>(bytes[6]));
    packet.source = AddressText(AF_INET6, bytes.substr(8, 16));
    packet.destination = AddressText(AF_INET6, bytes.substr(24, 16));
    ReadPort(bytes.substr(kIpv6Header), packet);
    return packet;
  }
  if (protocol == ETH_P_ARP && bytes.size() >= kArp) {
    packet.protocol = "arp";
    packet.source = AddressText(AF_INET, bytes.substr(14, 4));
    packet.destination = AddressText(AF_INET, bytes.substr(24, 4));
    return packet;
  }
  return std::nullopt;
}

Result<RefusalLog> RefusalLog::Open(const std::string& directory, const std::string& id, const std::string& events,
                                    const std::string& root) {
  RefusalLog log{TRY(sys::Open(directory, O_PATH | O_DIRECTORY)), id};
  if (!events.empty()) {
    log.events_.emplace(TRY(evidence::EventLog::Open(events, root, 0)));
    log.events_->Hold(id);
  }
  return log;
}

void RefusalLog::Write(const std::string& line) {
  if (!file_ || size_ + line.size() > kMaxFile) {
    if (file_) {
      (void)::renameat(directory_.get(), net::kRefusedFile, directory_.get(), net::kRefusedOldFile);
    }
    file_.Reset(
        ::openat(directory_.get(), net::kRefusedFile, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    struct stat status{};
    size_ = file_ && ::fstat(file_.get(), &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
  }
  if (file_ && WriteAll(file_.get(), line, net::kRefusedFile)) {
    size_ += line.size();
  }
}

void RefusalLog::Packet(const RefusedPacket& packet, bool outside) {
  JsonWriter out;
  out.BeginObject();
  out.Key("time").String(TimeNow());
  out.Key("protocol").String(packet.protocol);
  out.Key("source").String(packet.source);
  out.Key("destination").String(packet.destination);
  if (packet.port != 0) {
    out.Key("port").Uint(packet.port);
  }
  if (outside) {
    out.Key("outside").Bool(true);
  }
  out.EndObject();
  Write(out.Take() + "\n");
  Tell(packet);
}

void RefusalLog::Tell(const RefusedPacket& packet) {
  if (events_) {
    (void)events_->Append({.kind = "refused-egress",
                           .id = id_,
                           .words = {{"protocol", packet.protocol}, {"destination", packet.destination}},
                           .numbers = {{"port", packet.port}},
                           .evidence = nullptr});
  }
}

void RefusalLog::GateLine(std::string_view line) {
  if (line.empty() || line.size() > kMaxLine) {
    return;
  }
  Write(std::string{line} + "\n");
  if (events_) {
    (void)events_->Append({.kind = "refused-egress",
                           .id = id_,
                           .words = {{"protocol", "dns"}, {"gate", std::string{line}}},
                           .numbers = {},
                           .evidence = nullptr});
  }
}

Result<Fd> OpenLog() {
  Fd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER)};
  if (!fd) {
    return std::unexpected(SysError("socket", "NFLOG"));
  }
  return fd;
}

Result<> BindLog(int socket, std::uint16_t group) {
  // One message each: the group, and how much of a packet is copied.
  for (const bool bind : {true, false}) {
    std::array<char, 512> buffer{};
    nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
    message->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
    message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
    header->nfgen_family = AF_UNSPEC;
    header->version = NFNETLINK_V0;
    header->res_id = htons(group);
    if (bind) {
      const nfulnl_msg_config_cmd command{.command = NFULNL_CFG_CMD_BIND};
      mnl_attr_put(message, NFULA_CFG_CMD, sizeof command, &command);
    } else {
      nfulnl_msg_config_mode mode{};
      mode.copy_range = htonl(kCopied);
      mode.copy_mode = NFULNL_COPY_PACKET;
      mnl_attr_put(message, NFULA_CFG_MODE, sizeof mode, &mode);
      // Each packet at once: the kernel would gather a hundred, or wait for a second.
      mnl_attr_put_u32(message, NFULA_CFG_QTHRESH, htonl(1));
    }
    if (::send(socket, message, message->nlmsg_len, 0) < 0) {
      return std::unexpected(SysError("send", "NFLOG"));
    }
    std::array<char, 4096> answer{};
    ssize_t size = 0;
    do {
      // The kernel answers before send returns.
      size = ::recv(socket, answer.data(), answer.size(), 0);
    } while (size < 0 && errno == EINTR);
    const auto* told = reinterpret_cast<const nlmsghdr*>(answer.data());
    if (size < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(nlmsgerr)) || told->nlmsg_type != NLMSG_ERROR) {
      return std::unexpected(SysError("receive", "NFLOG", EPROTO));
    }
    const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(told));
    if (error->error != 0) {
      return std::unexpected(SysError("bind", "NFLOG group " + std::to_string(group), -error->error));
    }
  }
  return {};
}

void ReadLog(int socket, bool outside, RefusalLog& log) {
  std::array<char, kBuffer> buffer{};
  for (;;) {
    const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EINTR || errno == ENOBUFS)) {
      continue;  // more was refused than could be told: the counters have it
    }
    if (size <= 0) {
      return;
    }
    int left = static_cast<int>(size);
    for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
         message = mnl_nlmsg_next(message, &left)) {
      if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)) {
        continue;
      }
      std::uint16_t protocol = 0;
      std::string_view payload;
      // libmnl's own macro has a conversion that is none in C++.
      const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(message));
      for (const auto* attribute = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(message, sizeof(nfgenmsg)));
           mnl_attr_ok(attribute, static_cast<int>(end - reinterpret_cast<const char*>(attribute)));
           attribute = mnl_attr_next(attribute)) {
        const std::size_t length = mnl_attr_get_payload_len(attribute);
        const auto* value = static_cast<const char*>(mnl_attr_get_payload(attribute));
        if (mnl_attr_get_type(attribute) == NFULA_PACKET_HDR && length >= sizeof(nfulnl_msg_packet_hdr)) {
          nfulnl_msg_packet_hdr header{};
          std::memcpy(&header, value, sizeof header);
          protocol = ntohs(header.hw_protocol);
        } else if (mnl_attr_get_type(attribute) == NFULA_PAYLOAD) {
          payload = {value, length};
        }
      }
      // The output hook knows no EtherType.
      if (protocol == 0 && !payload.empty()) {
        protocol = (static_cast<unsigned char>(payload[0]) >> 4) == 6 ? ETH_P_IPV6 : ETH_P_IP;
      }
      if (const std::optional<RefusedPacket> packet = ReadPacket(protocol, payload)) {
        log.Packet(*packet, outside);
      }
    }
  }
}

}  // namespace nucleus::egress
