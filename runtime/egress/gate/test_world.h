// For tests of the gate: a "host" and a "container" network namespace of the test's own, servers in the one, clients in
// the other, the gate between them. Everything that is started ends with the World.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/fd.h"
#include "runtime/egress/gate/address.h"
#include "runtime/egress/gate/gate.h"
#include "runtime/egress/gate/ldns.h"
#include "runtime/egress/gate/message.h"
#include "runtime/net/loopback.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::gate::test {

template <class T>
T Must(Result<T>&& result) {
  if (!result) {
    throw std::runtime_error(result.error().message);
  }
  if constexpr (!std::is_void_v<T>) {
    return *std::move(result);
  }
}

inline void Check(bool good, const char* what) {
  if (!good) {
    throw std::runtime_error(std::string{what} + ": " + std::strerror(errno));
  }
}

// As root only: namespaces, port 53, capabilities to lose.
inline bool Unable() {
  return ::geteuid() != 0;
}

class InNamespace {
 public:
  explicit InNamespace(const Fd& ns) : home_(Must(sys::Open("/proc/self/ns/net", 0))) {
    Must(sys::SetNs(ns.get(), CLONE_NEWNET, "test"));
  }
  ~InNamespace() {
    if (!sys::SetNs(home_.get(), CLONE_NEWNET, "test")) {
      std::abort();
    }
  }
  InNamespace(const InNamespace&) = delete;
  InNamespace& operator=(const InNamespace&) = delete;

 private:
  Fd home_;
};

inline Fd NewNamespace() {
  const Fd home = Must(sys::Open("/proc/self/ns/net", 0));
  Must(sys::Unshare(CLONE_NEWNET, "test"));
  const Result<> up = net::SetLoopbackUp();
  Fd made = Must(sys::Open("/proc/self/ns/net", 0));
  Must(sys::SetNs(home.get(), CLONE_NEWNET, "test"));
  Must(Result<>{up});
  return made;
}

// Killed and waited for at its end.
class Process {
 public:
  Process() = default;
  // `body` in a fork, in that network namespace.
  Process(const Fd& ns, const std::function<int()>& body) {
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    Check(pid_ >= 0, "fork");
    if (pid_ == 0) {
      (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent || !sys::SetNs(ns.get(), CLONE_NEWNET, "test")) {
        ::_exit(99);
      }
      int code = 98;
      try {
        code = body();
      } catch (...) {  // NOLINT: a test's child
      }
      ::_exit(code);
    }
    pidfd_ = Must(sys::PidfdOpen(pid_));
  }
  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {
  }
  Process& operator=(Process&& other) noexcept {
    End();
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
    return *this;
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    End();
  }
  [[nodiscard]] pid_t pid() const {
    return pid_;
  }
  [[nodiscard]] const Fd& pidfd() const {
    return pidfd_;
  }
  void End() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      (void)Wait();
    }
  }
  // Its status; -1: it does not end by itself.
  int Wait() {
    int status = -1;
    if (pid_ > 0 && Must(sys::PidfdWait(pidfd_.get(), 20'000))) {
      ::waitpid(pid_, &status, 0);
      pid_ = -1;
    }
    return status;
  }

 private:
  pid_t pid_ = -1;
  Fd pidfd_;
};

// What all processes of a test see.
struct Shared {
  static constexpr std::size_t kMost = 65'536;
  std::atomic<bool> hold{false};    // Add waits
  std::atomic<int> error{0};        // Add's answer
  std::atomic<unsigned> adding{0};  // calls of Add that have begun
  std::atomic<unsigned> opened{0};  // setters
  std::atomic<std::size_t> count{0};
  std::array<Grant, kMost> grants;
  // What a fake server saw.
  struct Seen {
    std::array<char, 256> name;
    std::uint16_t id;
    std::uint16_t port;
    std::uint16_t type;
    std::uint16_t edns;
    bool tcp;
  };
  std::atomic<std::size_t> seen_count{0};
  std::array<Seen, kMost> seen;
  std::array<char, 512> text;  // of the gate's error
};

class TestSets : public Sets {
 public:
  explicit TestSets(Shared& shared) : shared_(shared) {
  }
  Result<> Open() override {
    ++shared_.opened;
    return {};
  }
  [[nodiscard]] std::vector<int> Descriptors() const override {
    return {};
  }
  Result<> Add(std::span<const Grant> grants) override {
    ++shared_.adding;
    while (shared_.hold) {
      ::poll(nullptr, 0, 1);
    }
    if (shared_.error != 0) {
      return std::unexpected(Failure("test", shared_.error));
    }
    for (const Grant& grant : grants) {
      shared_.grants.at(shared_.count % Shared::kMost) = grant;
      ++shared_.count;
    }
    return {};
  }

 private:
  Shared& shared_;
};

inline policies::Address Address(const std::string& text) {
  policies::Address address;
  address.v6 = text.find(':') != std::string::npos;
  Check(::inet_pton(address.v6 ? AF_INET6 : AF_INET, text.c_str(), address.bytes.data()) == 1, "inet_pton");
  return address;
}

inline policies::Cidr Cidr(const std::string& text) {
  const std::size_t slash = text.find('/');
  return {.address = Address(text.substr(0, slash)), .prefix = std::stoi(text.substr(slash + 1))};
}

struct LdnsFree {
  void operator()(ldns_pkt* packet) const {
    ::ldns_pkt_free(packet);
  }
};
using Packet = std::unique_ptr<ldns_pkt, LdnsFree>;

inline Packet Parse(const Bytes& bytes) {
  ldns_pkt* packet = nullptr;
  return ::ldns_wire2pkt(&packet, bytes.data(), bytes.size()) == LDNS_STATUS_OK ? Packet{packet} : nullptr;
}

inline Bytes Wire(const ldns_pkt* packet) {
  std::uint8_t* data = nullptr;
  std::size_t size = 0;
  if (::ldns_pkt2wire(&data, packet, &size) != LDNS_STATUS_OK) {
    return {};
  }
  Bytes bytes{data, data + size};
  std::free(data);  // NOLINT: ldns took it by malloc
  return bytes;
}

inline ldns_rr* Rr(const std::string& text) {
  ldns_rr* rr = nullptr;
  if (::ldns_rr_new_frm_str(&rr, text.c_str(), 0, nullptr, nullptr) != LDNS_STATUS_OK) {
    throw std::runtime_error("no record: " + text);
  }
  return rr;
}

inline ldns_rr_type TypeOf(const std::string& type) {
  return ::ldns_get_rr_type_by_name(type.c_str());
}

struct AskOptions {
  std::uint16_t id = 4711;
  std::uint16_t edns = 0;
  bool tcp = false;
};

inline Bytes Query(const std::string& name, const std::string& type, const AskOptions& options = {}) {
  ldns_pkt* made = nullptr;
  if (::ldns_pkt_query_new_frm_str(&made, name.c_str(), TypeOf(type), LDNS_RR_CLASS_IN, LDNS_RD) != LDNS_STATUS_OK) {
    throw std::runtime_error("no query: " + name);
  }
  const Packet packet{made};
  ::ldns_pkt_set_id(packet.get(), options.id);
  if (options.edns != 0) {
    ::ldns_pkt_set_edns_udp_size(packet.get(), options.edns);
  }
  return Wire(packet.get());
}

// An answer for people: "NOERROR api.example.com. A 8.8.8.1, ..."; sections in order, "TC" behind the code, TTLs apart.
struct Said {
  std::string text;
  std::vector<std::uint32_t> ttls;
  std::size_t size = 0;
  std::uint16_t id = 0;
  bool ra = false;
  std::string question;
};

inline Said Read(const Bytes& bytes) {
  Said said;
  const Packet packet = Parse(bytes);
  if (!packet) {
    said.text = "malformed";
    return said;
  }
  said.size = bytes.size();
  said.id = ::ldns_pkt_id(packet.get());
  said.ra = ::ldns_pkt_ra(packet.get());
  const unsigned rcode = ::ldns_pkt_get_rcode(packet.get()) | ::ldns_pkt_edns_extended_rcode(packet.get()) << 4U;
  static const std::map<unsigned, std::string> kCodes = {{0, "NOERROR"},  {1, "FORMERR"}, {2, "SERVFAIL"},
                                                         {3, "NXDOMAIN"}, {5, "REFUSED"}, {16, "BADVERS"}};
  said.text = kCodes.contains(rcode) ? kCodes.at(rcode) : std::to_string(rcode);
  if (::ldns_pkt_tc(packet.get())) {
    said.text += " TC";
  }
  bool first = true;
  for (const ldns_rr_list* list :
       {::ldns_pkt_answer(packet.get()), ::ldns_pkt_authority(packet.get()), ::ldns_pkt_additional(packet.get())}) {
    for (std::size_t i = 0; i < ::ldns_rr_list_rr_count(list); ++i) {
      ldns_rr* rr = ::ldns_rr_list_rr(list, i);
      said.ttls.push_back(::ldns_rr_ttl(rr));
      char* text = ::ldns_rr2str(rr);
      std::string line = text;
      std::free(text);  // NOLINT: likewise
      std::vector<std::string> words;
      std::string word;
      for (const char c : line) {
        if (c == '\t' || c == ' ' || c == '\n') {
          if (!word.empty()) {
            words.push_back(word);
          }
          word.clear();
        } else {
          word += c;
        }
      }
      said.text += first ? " " : ", ";
      first = false;
      // owner TTL class type data...
      for (std::size_t w = 0; w < words.size(); ++w) {
        if (w != 1 && w != 2) {
          said.text += (w == 0 ? "" : " ") + words[w];
        }
      }
    }
  }
  if (::ldns_rr_list_rr_count(::ldns_pkt_question(packet.get())) == 1) {
    char* text = ::ldns_rdf2str(::ldns_rr_owner(::ldns_rr_list_rr(::ldns_pkt_question(packet.get()), 0)));
    said.question = text;
    std::free(text);  // NOLINT: likewise
  }
  return said;
}

inline sockaddr_in Port53(const std::string& address) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(53);
  Check(::inet_pton(AF_INET, address.c_str(), &result.sin_addr) == 1, "inet_pton");
  return result;
}

// A whole message with its length in front, or nothing.
inline std::optional<Bytes> ReceiveTcp(int socket) {
  Bytes in;
  for (;;) {
    std::size_t whole = 2;
    if (in.size() >= 2) {
      whole += static_cast<std::size_t>(in[0] << 8 | in[1]);
      if (in.size() == whole) {
        return Bytes{in.begin() + 2, in.end()};
      }
    }
    pollfd polled{.fd = socket, .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, 20'000) != 1) {
      return std::nullopt;
    }
    std::array<std::uint8_t, 65'537> buffer{};
    const ssize_t size = ::recv(socket, buffer.data(), whole - in.size(), 0);
    if (size <= 0) {
      return std::nullopt;
    }
    in.insert(in.end(), buffer.begin(), buffer.begin() + size);
  }
}

inline bool SendTcp(int socket, const Bytes& message) {
  Bytes out = {static_cast<std::uint8_t>(message.size() >> 8), static_cast<std::uint8_t>(message.size() & 0xff)};
  out.insert(out.end(), message.begin(), message.end());
  return ::send(socket, out.data(), out.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(out.size());
}

// What a fake server does with a question: the messages it sends back (by UDP from its own address).
using Handler = std::function<std::vector<Bytes>(const ldns_pkt& query, bool tcp)>;

class World {
 public:
  explicit World(Config config, OnDeath on_death = OnDeath::kRestart)
      : shared(*new(::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared),
        host(NewNamespace()),
        container(NewNamespace()),
        config_(std::move(config)),
        on_death_(on_death) {
    init = Process{container, [] {
                     for (;;) {
                       ::pause();
                     }
                     return 0;
                   }};
  }
  ~World() {
    shared.hold = false;
    init.End();
    (void)gate.Wait();
    gate.End();
    servers_.clear();
    ::munmap(&shared, sizeof shared);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Returns when names are answered; false: it ended, with shared.text.
  bool Start() {
    std::array<int, 2> report{};
    std::array<int, 2> ready{};
    Check(::pipe2(report.data(), O_CLOEXEC) == 0 && ::pipe2(ready.data(), O_CLOEXEC) == 0, "pipe");
    report_in_ = Fd{report[0]};
    Fd report_out{report[1]};
    Fd ready_in{ready[0]};
    Fd ready_out{ready[1]};
    Sockets sockets = Must(ListenIn(container.get()));
    gate = Process{host, [&]() -> int {
                     TestSets sets{shared};
                     Options options;
                     options.init_pidfd = init.pidfd().get();
                     options.on_death = on_death_;
                     options.report = std::move(report_out);
                     options.ready = std::move(ready_out);
                     options.stop = stop;
                     ready_in.Reset();
                     const Result<> served = Serve(config_, std::move(sockets), sets, std::move(options));
                     if (!served) {
                       std::strncpy(shared.text.data(), served.error().message.c_str(), shared.text.size() - 1);
                     }
                     return served ? 0 : 1;
                   }};
    report_out.Reset();
    ready_out.Reset();
    pollfd polled{.fd = ready_in.get(), .events = POLLIN, .revents = 0};
    Check(::poll(&polled, 1, 20'000) == 1, "poll");
    char byte = 0;
    return ::read(ready_in.get(), &byte, 1) == 1;
  }

  void Add(const std::string& address, const Handler& handler) {
    std::array<int, 2> ready{};
    Check(::pipe2(ready.data(), O_CLOEXEC) == 0, "pipe");
    Fd in{ready[0]};
    Fd out{ready[1]};
    servers_.emplace_back(host, [&]() -> int { return Fake(address, handler, out.get()); });
    out.Reset();
    char byte = 0;
    Check(::read(in.get(), &byte, 1) == 1, "a fake server");
  }
  // A program in the host's namespace; waited for until its port 53 answers `probe`.
  void Run(const std::vector<std::string>& command, const std::string& address, const std::string& probe) {
    servers_.emplace_back(host, [&]() -> int {
      std::vector<char*> argv;
      argv.reserve(command.size() + 1);
      for (const std::string& word : command) {
        argv.push_back(const_cast<char*>(word.c_str()));
      }
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      return 97;
    });
    for (int i = 0; i < 200; ++i) {
      if (AskServer(address, probe)) {
        return;
      }
    }
    throw std::runtime_error(command[0] + " does not answer");
  }
  void EndServer(std::size_t index) {
    servers_.at(index).End();
  }

  [[nodiscard]] Fd Client() const {
    const InNamespace there{container};
    return Connected(SOCK_DGRAM, "127.0.0.53");
  }
  [[nodiscard]] Fd TcpClient() const {
    const InNamespace there{container};
    return Connected(SOCK_STREAM, "127.0.0.53");
  }

  static std::optional<Bytes> Receive(int socket, int timeout = 20'000) {
    pollfd polled{.fd = socket, .events = POLLIN, .revents = 0};
    if (::poll(&polled, 1, timeout) != 1) {
      return std::nullopt;
    }
    std::array<std::uint8_t, 65'536> buffer{};
    const ssize_t size = ::recv(socket, buffer.data(), buffer.size(), 0);
    return size < 0 ? std::nullopt : std::optional<Bytes>{Bytes{buffer.begin(), buffer.begin() + size}};
  }

  [[nodiscard]] Said Ask(const std::string& name, const std::string& type, const AskOptions& options = {}) const {
    const Fd socket = options.tcp ? TcpClient() : Client();
    const Bytes query = Query(name, type, options);
    std::optional<Bytes> answer;
    if (options.tcp) {
      Check(SendTcp(socket.get(), query), "send");
      answer = ReceiveTcp(socket.get());
    } else {
      Check(::send(socket.get(), query.data(), query.size(), 0) >= 0, "send");
      answer = Receive(socket.get());
    }
    Said said = answer ? Read(*answer) : Said{.text = "nothing"};
    if (answer && said.id != options.id) {
      said.text += " with a wrong ID";
    }
    return said;
  }

  // What Add got: "8.8.8.1 group 0 for 120", each.
  [[nodiscard]] std::vector<std::string> Granted() const {
    std::vector<std::string> result;
    for (std::size_t i = 0; i < shared.count; ++i) {
      const Grant& grant = shared.grants.at(i);
      result.push_back(AddressText(grant.address) + " group " + std::to_string(grant.group) + " for " +
                       std::to_string(grant.seconds));
    }
    return result;
  }

  // The lines of the report so far.
  std::string Reported() {
    Check(::fcntl(report_in_.get(), F_SETFL, O_NONBLOCK) == 0, "fcntl");
    std::string text;
    std::array<char, 65'536> buffer{};
    for (ssize_t size = 0; (size = ::read(report_in_.get(), buffer.data(), buffer.size())) > 0;) {
      text.append(buffer.data(), static_cast<std::size_t>(size));
    }
    return text;
  }

  Shared& shared;
  Fd host;
  Fd container;
  Process init;
  Process gate;
  int stop = -1;

 private:
  static Fd Connected(int type, const std::string& to) {
    Fd socket{::socket(AF_INET, type | SOCK_CLOEXEC, 0)};
    const sockaddr_in address = Port53(to);
    Check(socket.valid() && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
          "connect");
    return socket;
  }

  [[nodiscard]] bool AskServer(const std::string& address, const std::string& name) const {
    const InNamespace there{host};
    const Fd socket = Connected(SOCK_DGRAM, address);
    const Bytes query = Query(name, "A");
    if (::send(socket.get(), query.data(), query.size(), 0) < 0) {
      ::poll(nullptr, 0, 50);
      return false;
    }
    const std::optional<Bytes> answer = Receive(socket.get(), 100);
    if (!answer) {
      ::poll(nullptr, 0, 50);
    }
    return answer.has_value();
  }

  void Note(const ldns_pkt* query, const sockaddr_in& from, bool tcp) {
    Shared::Seen seen{};
    const ldns_rr* question = ::ldns_rr_list_rr(::ldns_pkt_question(query), 0);
    char* text = ::ldns_rdf2str(::ldns_rr_owner(question));
    std::strncpy(seen.name.data(), text, seen.name.size() - 1);
    std::free(text);  // NOLINT: ldns took it by malloc
    seen.id = ::ldns_pkt_id(query);
    seen.port = ntohs(from.sin_port);
    seen.type = static_cast<std::uint16_t>(::ldns_rr_get_type(question));
    seen.edns = ::ldns_pkt_edns(query) ? ::ldns_pkt_edns_udp_size(query) : std::uint16_t{0};
    seen.tcp = tcp;
    shared.seen.at(shared.seen_count % Shared::kMost) = seen;
    ++shared.seen_count;
  }

  int Fake(const std::string& address, const Handler& handler, int ready) {
    const sockaddr_in own = Port53(address);
    const Fd udp{::socket(AF_INET, SOCK_DGRAM, 0)};
    const Fd tcp{::socket(AF_INET, SOCK_STREAM, 0)};
    Check(::bind(udp.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0 &&
              ::bind(tcp.get(), reinterpret_cast<const sockaddr*>(&own), sizeof own) == 0 &&
              ::listen(tcp.get(), 64) == 0 && ::write(ready, "1", 1) == 1,
          "bind");
    for (;;) {
      std::array<pollfd, 2> polled = {pollfd{.fd = udp.get(), .events = POLLIN, .revents = 0},
                                      pollfd{.fd = tcp.get(), .events = POLLIN, .revents = 0}};
      Check(::poll(polled.data(), polled.size(), -1) > 0, "poll");
      sockaddr_in from{};
      socklen_t size = sizeof from;
      if (polled[0].revents != 0) {
        std::array<std::uint8_t, 4096> buffer{};
        const ssize_t got =
            ::recvfrom(udp.get(), buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
        const Packet query = Parse({buffer.begin(), buffer.begin() + std::max<ssize_t>(got, 0)});
        if (query) {
          Note(query.get(), from, false);
          for (const Bytes& reply : handler(*query, false)) {
            (void)::sendto(udp.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
          }
        }
      }
      if (polled[1].revents != 0) {
        const Fd one{::accept4(tcp.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC)};
        const std::optional<Bytes> bytes = one ? ReceiveTcp(one.get()) : std::nullopt;
        const Packet query = bytes ? Parse(*bytes) : nullptr;
        if (query) {
          Note(query.get(), from, true);
          for (const Bytes& reply : handler(*query, true)) {
            SendTcp(one.get(), reply);
          }
        }
      }
    }
  }

  Config config_;
  OnDeath on_death_;
  Fd report_in_;
  std::vector<Process> servers_;
};

// An answer to `query` with these records ("NAME TTL IN TYPE DATA"; a record that begins with "!" is of the authority
// section, with "+" an additional one), for a handler to send or to spoil.
inline Packet ReplyTo(const ldns_pkt& query, const std::vector<std::string>& records, unsigned rcode = 0) {
  Packet packet{::ldns_pkt_new()};
  ::ldns_pkt_set_id(packet.get(), ::ldns_pkt_id(&query));
  ::ldns_pkt_set_qr(packet.get(), true);
  ::ldns_pkt_set_rd(packet.get(), true);
  ::ldns_pkt_set_ra(packet.get(), true);
  ::ldns_pkt_set_rcode(packet.get(), static_cast<std::uint8_t>(rcode));
  ::ldns_pkt_push_rr(packet.get(), LDNS_SECTION_QUESTION,
                     ::ldns_rr_clone(::ldns_rr_list_rr(::ldns_pkt_question(&query), 0)));
  for (const std::string& record : records) {
    if (record.starts_with("!")) {
      ::ldns_pkt_push_rr(packet.get(), LDNS_SECTION_AUTHORITY, Rr(record.substr(1)));
    } else if (record.starts_with("+")) {
      ::ldns_pkt_push_rr(packet.get(), LDNS_SECTION_ADDITIONAL, Rr(record.substr(1)));
    } else {
      ::ldns_pkt_push_rr(packet.get(), LDNS_SECTION_ANSWER, Rr(record));
    }
  }
  return packet;
}

// The question of `query`: "api.example.com. A", in lower case.
inline std::string QuestionOf(const ldns_pkt& query) {
  const ldns_rr* question = ::ldns_rr_list_rr(::ldns_pkt_question(&query), 0);
  char* text = ::ldns_rdf2str(::ldns_rr_owner(question));
  std::string name = text;
  std::free(text);  // NOLINT: ldns took it by malloc
  std::ranges::transform(name, name.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
  char* type = ::ldns_rr_type2str(::ldns_rr_get_type(question));
  name += " ";
  name += type;
  std::free(type);  // NOLINT: likewise
  return name;
}

// A server that has these records for these questions; NXDOMAIN else.
inline Handler Zone(std::map<std::string, std::vector<std::string>> answers) {
  return [answers = std::move(answers)](const ldns_pkt& query, bool) -> std::vector<Bytes> {
    const auto found = answers.find(QuestionOf(query));
    return {Wire(found == answers.end() ? ReplyTo(query, {}, 3).get() : ReplyTo(query, found->second).get())};
  };
}

}  // namespace nucleus::gate::test
