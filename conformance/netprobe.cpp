// What the tests of networks run inside of a container: one packet or connection, and what became of it, as one line.
//
//   tcp ADDRESS PORT           "ok TEXT" or the errno's name; then the milliseconds
//   udp ADDRESS PORT           sends "ping": "ok TEXT", the errno's name, or "silence"
//   hold ADDRESS PORT SECONDS  a connection that says "x" each 10 ms: "ok N" with the answers, or the errno's name
//   dns SERVER NAME TYPE       the answer's code and addresses: "0 192.0.2.7 192.0.2.8"; "silence"
//   dnstime SERVER FORMAT N    the median, in microseconds, of N questions; %d in the name counts
//   frame LINK HEX             through AF_PACKET: "sent" or the errno's name
//   raw FAMILY ADDRESS HEX     a packet with its header, through SOCK_RAW
//   listen PORT                answers one TCP connection with "inside", then ends; "ok"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>
#include <vector>

namespace {

constexpr int kPatienceMs = 3000;

double Milliseconds() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

const char* Name(int error) {
  const char* name = ::strerrorname_np(error);
  return name == nullptr ? "?" : name;
}

struct Target {
  sockaddr_storage address{};
  socklen_t size = 0;
};

Target Parse(const char* address, const char* port) {
  Target target;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&target.address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&target.address);
  const auto number = htons(static_cast<unsigned short>(std::atoi(port)));
  if (::inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = number;
    target.size = sizeof *v4;
  } else if (::inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = number;
    target.size = sizeof *v6;
  } else {
    std::fprintf(stderr, "netprobe: bad address %s\n", address);
    std::exit(2);
  }
  return target;
}

bool Wait(int fd, short events, int patience = kPatienceMs) {
  pollfd entry{fd, events, 0};
  return ::poll(&entry, 1, patience) == 1;
}

// 0, or errno.
int Connect(int fd, const Target& target) {
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&target.address), target.size) == 0) {
    return 0;
  }
  if (errno != EINPROGRESS) {
    return errno;
  }
  if (!Wait(fd, POLLOUT)) {
    return ETIMEDOUT;
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

int Tcp(const char* address, const char* port) {
  const Target target = Parse(address, port);
  const int fd = ::socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const double begin = Milliseconds();
  const int error = Connect(fd, target);
  const double took = Milliseconds() - begin;
  if (error != 0) {
    std::printf("%s %.1f\n", Name(error), took);
    return 0;
  }
  char text[256];
  const ssize_t size = Wait(fd, POLLIN) ? ::read(fd, text, sizeof text) : 0;
  std::string said(text, size > 0 ? static_cast<std::size_t>(size) : 0);
  while (!said.empty() && said.back() == '\n') {
    said.pop_back();
  }
  std::printf("ok %s %.1f\n", said.c_str(), took);
  return 0;
}

int Udp(const char* address, const char* port) {
  const Target target = Parse(address, port);
  const int fd = ::socket(target.address.ss_family, SOCK_DGRAM, 0);
  const int error = Connect(fd, target);
  if (error != 0 || ::send(fd, "ping", 4, 0) < 0) {
    std::printf("%s\n", Name(error != 0 ? error : errno));
    return 0;
  }
  char text[256];
  constexpr int kSilenceMs = 1000;
  if (!Wait(fd, POLLIN, kSilenceMs)) {
    std::printf("silence\n");
    return 0;
  }
  const ssize_t size = ::recv(fd, text, sizeof text, 0);
  if (size < 0) {
    std::printf("%s\n", Name(errno));
  } else {
    std::printf("ok %.*s\n", static_cast<int>(size), text);
  }
  return 0;
}

int Hold(const char* address, const char* port, const char* seconds) {
  const Target target = Parse(address, port);
  const int fd = ::socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (const int error = Connect(fd, target); error != 0) {
    std::printf("%s\n", Name(error));
    return 0;
  }
  const double end = Milliseconds() + std::atof(seconds) * 1e3;
  int answers = 0;
  char text[256];
  (void)(Wait(fd, POLLIN) ? ::read(fd, text, sizeof text) : 0);
  while (Milliseconds() < end) {
    if (::send(fd, "x", 1, MSG_NOSIGNAL) < 0) {
      std::printf("%s %d\n", Name(errno), answers);
      return 0;
    }
    constexpr int kLossMs = 15000;  // a lost packet is sent again after a while
    if (!Wait(fd, POLLIN, kLossMs)) {
      std::printf("silence %d\n", answers);
      return 0;
    }
    const ssize_t size = ::read(fd, text, sizeof text);
    if (size <= 0) {
      std::printf("%s %d\n", size == 0 ? "closed" : Name(errno), answers);
      return 0;
    }
    ++answers;
    ::usleep(10000);
  }
  std::printf("ok %d\n", answers);
  return 0;
}

std::string Query(const std::string& name, int type) {
  std::string query{"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12};
  for (std::string rest = name; !rest.empty();) {
    const std::size_t dot = rest.find('.');
    const std::string label = rest.substr(0, dot);
    query += static_cast<char>(label.size());
    query += label;
    rest = dot == std::string::npos ? "" : rest.substr(dot + 1);
  }
  query += '\0';
  query += '\0';
  query += static_cast<char>(type);
  return query + std::string{"\0\x01", 2};
}

int DnsTime(const char* server, const char* format, int count) {
  const Target target = Parse(server, "53");
  const int fd = ::socket(target.address.ss_family, SOCK_DGRAM, 0);
  std::vector<double> times;
  if (Connect(fd, target) != 0) {
    return 1;
  }
  for (int i = 0; i < count; ++i) {
    std::string name{format};
    const std::size_t at = name.find("%d");
    const std::string query = Query(at == std::string::npos ? name : name.replace(at, 2, std::to_string(i)), 1);
    const double begin = Milliseconds();
    char answer[4096];
    if (::send(fd, query.data(), query.size(), 0) < 0 || !Wait(fd, POLLIN) ||
        ::recv(fd, answer, sizeof answer, 0) < 12) {
      std::printf("no answer\n");
      return 1;
    }
    times.push_back((Milliseconds() - begin) * 1e3);
  }
  std::sort(times.begin(), times.end());
  std::printf("%.0f\n", times[times.size() / 2]);
  return 0;
}

int Dns(const char* server, const char* name, const char* type) {
  const Target target = Parse(server, "53");
  const int fd = ::socket(target.address.ss_family, SOCK_DGRAM, 0);
  const std::string query = Query(name, std::atoi(type));
  const int error = Connect(fd, target);
  if (error != 0 || ::send(fd, query.data(), query.size(), 0) < 0) {
    std::printf("%s\n", Name(error != 0 ? error : errno));
    return 0;
  }
  if (!Wait(fd, POLLIN)) {
    std::printf("silence\n");
    return 0;
  }
  unsigned char answer[4096];
  const ssize_t size = ::recv(fd, answer, sizeof answer, 0);
  if (size < 12) {
    std::printf("%s\n", size < 0 ? Name(errno) : "short");
    return 0;
  }
  std::printf("%d", answer[3] & 15);
  const int answers = answer[6] << 8 | answer[7];
  ssize_t at = static_cast<ssize_t>(query.size());
  for (int i = 0; i < answers && at + 12 <= size; ++i) {
    while (at < size && answer[at] != 0 && answer[at] < 0xC0) {
      at += answer[at] + 1;
    }
    at += at < size && answer[at] >= 0xC0 ? 2 : 1;
    if (at + 10 > size) {
      break;
    }
    const int kind = answer[at] << 8 | answer[at + 1];
    const int length = answer[at + 8] << 8 | answer[at + 9];
    at += 10;
    char text[INET6_ADDRSTRLEN];
    if ((kind == 1 || kind == 28) && at + length <= size) {
      std::printf(" %s", ::inet_ntop(kind == 1 ? AF_INET : AF_INET6, answer + at, text, sizeof text));
    }
    at += length;
  }
  std::printf("\n");
  return 0;
}

std::string Unhex(const std::string& hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

int Frame(const char* link, const char* hex) {
  const std::string bytes = Unhex(hex);
  const int fd = ::socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
  if (fd < 0) {
    std::printf("%s\n", Name(errno));
    return 0;
  }
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = static_cast<int>(::if_nametoindex(link));
  address.sll_halen = 6;
  std::memcpy(address.sll_addr, bytes.data(), 6);
  const ssize_t sent =
      ::sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
  std::printf("%s\n", sent < 0 ? Name(errno) : "sent");
  return 0;
}

int Raw(const char* family, const char* destination, const char* hex) {
  const std::string bytes = Unhex(hex);
  const Target target = Parse(destination, "0");
  const int fd = ::socket(std::strcmp(family, "6") == 0 ? AF_INET6 : AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (fd < 0) {
    std::printf("%s\n", Name(errno));
    return 0;
  }
  const ssize_t sent =
      ::sendto(fd, bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&target.address), target.size);
  std::printf("%s\n", sent < 0 ? Name(errno) : "sent");
  return 0;
}

int Listen(const char* port) {
  const Target target = Parse("::", port);
  const int fd = ::socket(AF_INET6, SOCK_STREAM, 0);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&target.address), target.size) != 0 || ::listen(fd, 8) != 0) {
    std::printf("%s\n", Name(errno));
    return 1;
  }
  const int peer = ::accept(fd, nullptr, nullptr);
  (void)!::write(peer, "inside\n", 7);
  ::close(peer);
  std::printf("ok\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  if (args.size() == 3 && args[0] == "tcp") {
    return Tcp(argv[2], argv[3]);
  }
  if (args.size() == 3 && args[0] == "udp") {
    return Udp(argv[2], argv[3]);
  }
  if (args.size() == 4 && args[0] == "hold") {
    return Hold(argv[2], argv[3], argv[4]);
  }
  if (args.size() == 4 && args[0] == "dns") {
    return Dns(argv[2], argv[3], argv[4]);
  }
  if (args.size() == 4 && args[0] == "dnstime") {
    return DnsTime(argv[2], argv[3], std::atoi(argv[4]));
  }
  if (args.size() == 3 && args[0] == "frame") {
    return Frame(argv[2], argv[3]);
  }
  if (args.size() == 4 && args[0] == "raw") {
    return Raw(argv[2], argv[3], argv[4]);
  }
  if (args.size() == 2 && args[0] == "listen") {
    return Listen(argv[2]);
  }
  std::fprintf(stderr, "netprobe: see the top of netprobe.cpp\n");
  return 2;
}
