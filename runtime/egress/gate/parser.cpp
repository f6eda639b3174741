#include "runtime/egress/gate/parser.h"

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "runtime/egress/gate/address.h"
#include "runtime/egress/gate/cache.h"
#include "runtime/egress/gate/clock.h"
#include "runtime/egress/gate/confine.h"
#include "runtime/egress/gate/names.h"
#include "runtime/egress/gate/protocol.h"
#include "runtime/egress/gate/report.h"
#include "runtime/egress/gate/servers.h"
#include "runtime/egress/gate/tcp_clients.h"

namespace nucleus::gate {
namespace {

// What is waited for at one time. More is SERVFAIL.
constexpr std::size_t kMaxTransactions = 256;
constexpr std::size_t kMaxWaiters = 64;  // for the same answer
// Milliseconds. A client of the C library asks again after 5 s.
constexpr std::int64_t kWhole = 4'800;
constexpr std::int64_t kFirstTry = 800;
constexpr std::int64_t kLonger = 400;  // each further one
constexpr std::int64_t kTcpTry = 2'000;
constexpr std::int64_t kGranting = 10'000;
// Replies with a wrong ID or question on one socket: somebody is guessing.
constexpr unsigned kMaxForeign = 3;
// Tries of a server that is not to be asked again in a matter.
constexpr unsigned kNoMore = 1000;
// Messages that the setter does not take: it hangs, and both are to begin anew.
constexpr std::size_t kMaxUnsent = 2 * kMaxTransactions;

enum class Tag : std::uint64_t { kUdp, kTcp, kSetter, kLife, kClient, kTransaction };
constexpr unsigned kTagShift = 56;

// RFC 1035, RFC 3596.
constexpr std::uint16_t kTypeA = 1;
constexpr std::uint16_t kTypeAaaa = 28;

constexpr std::uint64_t Tagged(Tag tag, std::uint64_t id = 0) {
  return static_cast<std::uint64_t>(tag) << kTagShift | id;
}

// Who waits for an answer.
struct Waiter {
  bool tcp = false;
  std::uint64_t client = 0;  // of TcpClients
  sockaddr_storage from{};
  socklen_t from_size = 0;
  Request request;
};

struct Transaction {
  enum class State { kAwaitUdp, kAwaitTcp, kUdp, kTcpSend, kTcpReceive, kGrant };
  State state = State::kAwaitUdp;
  std::string key;
  Question question;
  std::vector<std::uint32_t> groups;
  std::vector<Waiter> waiters;
  std::int64_t end = 0;
  std::int64_t deadline = 0;
  // The question to a server.
  std::vector<unsigned> tries;
  std::vector<unsigned> failures;  // what the server said, not its silence
  unsigned attempts = 0;
  std::size_t server = 0;
  bool edns = true;
  unsigned foreign = 0;
  Asked asked;
  Fd socket;
  Bytes tcp;  // what is still to be sent, or what has come
  // What is granted.
  std::shared_ptr<const Answer> answer;
};
using Transactions = std::map<std::uint64_t, Transaction>;

class Parser {
 public:
  Parser(const Config& config, bool report)
      : hosts_(config.hosts),
        names_(config.names),
        policy_(config.allowed, config.denied),
        servers_(config.servers.size()),
        clients_(kEpollFd, Tagged(Tag::kClient)),
        report_(report ? kReportFd : -1) {
  }

  void Run() {
    if (!Add(kUdpFd, Tag::kUdp) || !Add(kTcpFd, Tag::kTcp) || !Add(kSetterFd, Tag::kSetter) ||
        !Add(kLifeFd, Tag::kLife)) {
      return;
    }
    while (open_) {
      std::array<epoll_event, 64> events{};
      const int count = ::epoll_wait(kEpollFd, events.data(), events.size(), Timeout());
      if (count < 0 && errno != EINTR) {
        return;
      }
      now_ = Milliseconds();
      for (int i = 0; i < count && open_; ++i) {
        Handle(events[static_cast<std::size_t>(i)]);
      }
      Expire();
    }
  }

 private:
  bool Add(int fd, Tag tag) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = Tagged(tag)}};
    return ::epoll_ctl(kEpollFd, EPOLL_CTL_ADD, fd, &event) == 0;
  }

  void Handle(const epoll_event& event) {
    const std::uint64_t id = event.data.u64 & ((std::uint64_t{1} << kTagShift) - 1);
    switch (static_cast<Tag>(event.data.u64 >> kTagShift)) {
      case Tag::kUdp:
        ReceiveUdp();
        break;
      case Tag::kTcp:
        clients_.Accept(kTcpFd, now_);
        break;
      case Tag::kSetter:
        if ((event.events & EPOLLOUT) != 0) {
          Flush();
        }
        if ((event.events & ~EPOLLOUT) != 0) {
          ReceiveSetter();
        }
        break;
      case Tag::kLife:
        open_ = false;
        break;
      case Tag::kClient:
        if (const std::optional<Bytes> message = clients_.Event(id, event.events, now_)) {
          Waiter waiter;
          waiter.tcp = true;
          waiter.client = id;
          Serve(*message, std::move(waiter));
        }
        break;
      case Tag::kTransaction:
        if (const auto found = transactions_.find(id); found != transactions_.end()) {
          ReceiveServer(found);
        }
        break;
    }
  }

  // ---- clients

  void ReceiveUdp() {
    constexpr int kAtOnce = 64;  // then the others' turn
    for (int i = 0; i < kAtOnce; ++i) {
      std::array<std::uint8_t, kMaxRequest + 1> buffer{};
      Waiter waiter;
      waiter.from_size = sizeof waiter.from;
      const ssize_t size = ::recvfrom(kUdpFd, buffer.data(), buffer.size(), MSG_DONTWAIT,
                                      reinterpret_cast<sockaddr*>(&waiter.from), &waiter.from_size);
      if (size < 0) {
        return;
      }
      Serve({buffer.data(), static_cast<std::size_t>(size)}, std::move(waiter));
    }
  }

  void Tell(const Waiter& waiter, const Bytes& message) {
    if (waiter.tcp) {
      clients_.Answer(waiter.client, message, now_);
    } else if (!message.empty()) {
      // A client that does not take its answer has none.
      (void)::sendto(kUdpFd, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL,
                     reinterpret_cast<const sockaddr*>(&waiter.from), waiter.from_size);
    }
  }

  void TellAnswer(const Waiter& waiter, const Answer& answer, std::uint32_t ttl) {
    const std::size_t limit = waiter.tcp ? std::size_t{0xffff} : waiter.request.udp_size;
    Tell(waiter, MakeAnswer(waiter.request, answer, ttl, limit));
  }

  void Refuse(const Waiter& waiter, std::string_view reason) {
    report_.Refused(NameText(waiter.request.question), TypeText(waiter.request.question.type), reason);
    Tell(waiter, MakeError(waiter.request, Rcode::kRefused));
  }

  void Serve(View bytes, Waiter waiter) {
    RequestReading reading = ReadRequest(bytes);
    if (!reading.request) {
      Tell(waiter, reading.answer);
      return;
    }
    waiter.request = std::move(*reading.request);
    const Question& question = waiter.request.question;
    if (const auto host = std::ranges::find(hosts_, question.name, &Host::name); host != hosts_.end()) {
      TellAnswer(waiter, AnswerOf(*host, question.type), kMinTtl);
      return;
    }
    std::vector<std::uint32_t> groups;
    if (!question.name.empty()) {
      groups = names_.Groups(question.name);
    }
    if (groups.empty()) {
      Refuse(waiter, "name");
      return;
    }
    switch (RuleOf(question.type)) {
      case TypeRule::kRefuse:
        Refuse(waiter, "type");
        return;
      case TypeRule::kWithhold:
        TellAnswer(waiter, {}, 0);
        return;
      case TypeRule::kAsk:
        break;
    }
    const std::string key = Cache::Key(question.name, question.type);
    if (const Cache::Hit hit = cache_.Find(key, now_); hit.answer) {
      TellAnswer(waiter, *hit.answer, hit.ttl);
      return;
    }
    Ask(key, std::move(groups), std::move(waiter));
  }

  // Of other types there is nothing.
  static Answer AnswerOf(const Host& host, std::uint16_t type) {
    Answer answer;
    for (const policies::Address& address : host.addresses) {
      if (type == (address.v6 ? kTypeAaaa : kTypeA)) {
        const auto size = static_cast<std::ptrdiff_t>(address.v6 ? sizeof(in6_addr) : sizeof(in_addr));
        answer.records.push_back({.owner = {},
                                  .type = type,
                                  .data = Bytes(address.bytes.begin(), address.bytes.begin() + size),
                                  .address = address});
      }
    }
    return answer;
  }

  void Ask(const std::string& key, std::vector<std::uint32_t> groups, Waiter waiter) {
    if (const auto known = by_key_.find(key); known != by_key_.end()) {
      Join(transactions_.at(known->second), std::move(waiter));
      return;
    }
    if (transactions_.size() >= kMaxTransactions) {
      Tell(waiter, MakeError(waiter.request, Rcode::kServFail));
      return;
    }
    const auto made = transactions_.emplace(next_id_++, Transaction{}).first;
    Transaction& transaction = made->second;
    by_key_.emplace(key, made->first);
    transaction.key = key;
    transaction.question = waiter.request.question;
    transaction.groups = std::move(groups);
    transaction.waiters.push_back(std::move(waiter));
    transaction.tries.resize(servers_.size());
    transaction.failures.resize(servers_.size());
    transaction.end = now_ + kWhole;
    Try(made);
  }

  // Somebody else, or the same client that asks again, for what is under way.
  void Join(Transaction& transaction, Waiter waiter) {
    const bool again = std::ranges::any_of(transaction.waiters, [&](const Waiter& other) {
      return !waiter.tcp && !other.tcp && other.request.id == waiter.request.id &&
             other.from_size == waiter.from_size && std::memcmp(&other.from, &waiter.from, waiter.from_size) == 0;
    });
    if (again) {
      return;
    }
    if (transaction.waiters.size() >= kMaxWaiters) {
      Tell(waiter, MakeError(waiter.request, Rcode::kServFail));
      return;
    }
    transaction.waiters.push_back(std::move(waiter));
  }

  // ---- servers

  void CloseSocket(Transaction& transaction) {
    if (transaction.socket) {
      (void)::epoll_ctl(kEpollFd, EPOLL_CTL_DEL, transaction.socket.get(), nullptr);
      transaction.socket.Reset();
    }
    transaction.tcp.clear();
  }

  // The next attempt, or the end of them.
  void Try(Transactions::iterator at) {
    Transaction& transaction = at->second;
    CloseSocket(transaction);
    const auto most = static_cast<unsigned>(std::clamp<std::size_t>(2 * servers_.size(), 4, 8));
    if (transaction.attempts >= most || now_ >= transaction.end) {
      Fail(at);
      return;
    }
    transaction.server = servers_.Choose(transaction.tries, now_);
    if (transaction.tries[transaction.server] >= kNoMore) {
      Fail(at);
      return;
    }
    ++transaction.tries[transaction.server];
    ++transaction.attempts;
    if (servers_.ChangesCase(transaction.server, now_)) {
      TryTcp(at);
    } else {
      TryUdp(at);
    }
  }

  void TryUdp(Transactions::iterator at) {
    Transaction& transaction = at->second;
    CloseSocket(transaction);
    Fd socket = servers_.Take(transaction.server, now_);
    if (const std::uint32_t count = servers_.Want(transaction.server); count != 0) {
      const Header header{
          .word = Word::kWantUdp, .server = static_cast<std::uint32_t>(transaction.server), .count = count};
      SendSetter(header, {});
    }
    if (socket) {
      SendUdp(at, std::move(socket));
    } else {
      transaction.state = Transaction::State::kAwaitUdp;
      transaction.deadline = transaction.end;
    }
  }

  void TryTcp(Transactions::iterator at) {
    Transaction& transaction = at->second;
    CloseSocket(transaction);
    transaction.state = Transaction::State::kAwaitTcp;
    transaction.deadline = std::min(transaction.end, now_ + kTcpTry);
    const Header header{
        .word = Word::kWantTcp, .server = static_cast<std::uint32_t>(transaction.server), .id = at->first, .count = 1};
    SendSetter(header, {});
  }

  Bytes NewQuery(Transaction& transaction) {
    std::array<std::uint8_t, 2 + 256> random{};
    // Of 256 bytes and less it is never a part.
    if (::getrandom(random.data(), 2, 0) != 2 || ::getrandom(random.data() + 2, 256, 0) != 256) {
      open_ = false;
      return {};
    }
    const auto id = static_cast<std::uint16_t>(random[0] << 8 | random[1]);
    transaction.asked = MakeAsked(transaction.question, id, std::span{random}.subspan(2));
    return MakeQuery(transaction.asked, transaction.edns);
  }

  void SendUdp(Transactions::iterator at, Fd socket) {
    Transaction& transaction = at->second;
    // What somebody sent to all ports before there was a question is no guess at its answer.
    std::array<std::uint8_t, 16> junk{};
    for (int i = 0; i < 64 && ::recvfrom(socket.get(), junk.data(), junk.size(), MSG_DONTWAIT, nullptr, nullptr) >= 0;
         ++i) {
    }
    const Bytes query = NewQuery(transaction);
    transaction.foreign = 0;
    transaction.state = Transaction::State::kUdp;
    transaction.deadline = std::min(transaction.end, now_ + kFirstTry + (transaction.attempts - 1) * kLonger);
    transaction.socket = std::move(socket);
    epoll_event event{.events = EPOLLIN, .data = {.u64 = Tagged(Tag::kTransaction, at->first)}};
    if (::epoll_ctl(kEpollFd, EPOLL_CTL_ADD, transaction.socket.get(), &event) != 0 ||
        ::sendto(transaction.socket.get(), query.data(), query.size(), MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0) < 0) {
      Silent(at);
    }
  }

  void StartTcp(Transactions::iterator at, Fd socket) {
    Transaction& transaction = at->second;
    const Bytes query = NewQuery(transaction);
    transaction.tcp = {static_cast<std::uint8_t>(query.size() >> 8), static_cast<std::uint8_t>(query.size() & 0xff)};
    transaction.tcp.insert(transaction.tcp.end(), query.begin(), query.end());
    transaction.state = Transaction::State::kTcpSend;
    transaction.socket = std::move(socket);
    epoll_event event{.events = EPOLLOUT, .data = {.u64 = Tagged(Tag::kTransaction, at->first)}};
    if (::epoll_ctl(kEpollFd, EPOLL_CTL_ADD, transaction.socket.get(), &event) != 0) {
      Silent(at);
    }
  }

  // The server of this attempt does not answer.
  void Silent(Transactions::iterator at) {
    servers_.Silent(at->second.server, now_);
    Try(at);
  }

  void ReceiveServer(Transactions::iterator at) {
    switch (at->second.state) {
      case Transaction::State::kUdp:
        ReceiveServerUdp(at);
        break;
      case Transaction::State::kTcpSend:
        SendServerTcp(at);
        break;
      case Transaction::State::kTcpReceive:
        ReceiveServerTcp(at);
        break;
      case Transaction::State::kAwaitUdp:
      case Transaction::State::kAwaitTcp:
      case Transaction::State::kGrant:
        break;
    }
  }

  void ReceiveServerUdp(Transactions::iterator at) {
    Transaction& transaction = at->second;
    for (;;) {
      const ssize_t size =
          ::recvfrom(transaction.socket.get(), reply_.data(), reply_.size(), MSG_DONTWAIT, nullptr, nullptr);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
      }
      if (size < 0) {
        Silent(at);  // ICMP: nobody listens there
        return;
      }
      Reply reply = ReadReply({reply_.data(), static_cast<std::size_t>(size)}, transaction.asked, true);
      switch (reply.kind) {
        case Reply::Kind::kForeign:
          if (++transaction.foreign < kMaxForeign) {
            continue;
          }
          TryTcp(at);
          return;
        case Reply::Kind::kCaseChanged:
          servers_.ChangedCase(transaction.server, now_);
          TryTcp(at);
          return;
        case Reply::Kind::kTruncated:
          TryTcp(at);
          return;
        case Reply::Kind::kFailed:
          Failed(at, reply.rcode);
          return;
        case Reply::Kind::kAnswer:
          Answered(at, std::move(reply.answer));
          return;
      }
    }
  }

  void SendServerTcp(Transactions::iterator at) {
    Transaction& transaction = at->second;
    const ssize_t size = ::sendto(transaction.socket.get(), transaction.tcp.data(), transaction.tcp.size(),
                                  MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    if (size < 0) {
      Silent(at);
      return;
    }
    transaction.tcp.erase(transaction.tcp.begin(), transaction.tcp.begin() + size);
    if (!transaction.tcp.empty()) {
      return;
    }
    transaction.state = Transaction::State::kTcpReceive;
    epoll_event event{.events = EPOLLIN, .data = {.u64 = Tagged(Tag::kTransaction, at->first)}};
    (void)::epoll_ctl(kEpollFd, EPOLL_CTL_MOD, transaction.socket.get(), &event);
  }

  void ReceiveServerTcp(Transactions::iterator at) {
    Transaction& transaction = at->second;
    Bytes& in = transaction.tcp;
    for (;;) {
      std::size_t whole = 2;
      if (in.size() >= 2) {
        whole += static_cast<std::size_t>(in[0] << 8 | in[1]);
        if (whole > 2 + kMaxReply) {
          Try(at);
          return;
        }
        if (in.size() == whole) {
          break;
        }
      }
      const ssize_t size =
          ::recvfrom(transaction.socket.get(), reply_.data(), whole - in.size(), MSG_DONTWAIT, nullptr, nullptr);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
      }
      if (size <= 0) {
        Silent(at);
        return;
      }
      in.insert(in.end(), reply_.begin(), reply_.begin() + size);
    }
    // The handshake is what a forger could not do; the case need not be kept.
    Reply reply = ReadReply(View{in}.subspan(2), transaction.asked, false);
    if (reply.kind == Reply::Kind::kAnswer) {
      Answered(at, std::move(reply.answer));
    } else {
      Failed(at, reply.kind == Reply::Kind::kFailed ? reply.rcode : Rcode::kServFail);
    }
  }

  // The server is there and says no.
  void Failed(Transactions::iterator at, Rcode rcode) {
    Transaction& transaction = at->second;
    servers_.Answered(transaction.server);
    if (transaction.edns && (rcode == Rcode::kFormErr || rcode == Rcode::kNotImp)) {
      transaction.edns = false;
      TryUdp(at);
      return;
    }
    // Once may be a bad moment of its.
    if (++transaction.failures[transaction.server] >= 2) {
      transaction.tries[transaction.server] = kNoMore;
    }
    Try(at);
  }

  void Answered(Transactions::iterator at, Answer answer) {
    Transaction& transaction = at->second;
    servers_.Answered(transaction.server);
    CloseSocket(transaction);
    std::vector<std::string> refused;
    std::erase_if(answer.records, [&](const Record& record) {
      if (!record.address || policy_.MayGrant(*record.address)) {
        return false;
      }
      refused.push_back(AddressText(*record.address));
      return true;
    });
    const bool grants = std::ranges::any_of(answer.records, [](const Record& r) { return r.address.has_value(); });
    if (!refused.empty()) {
      report_.Refused(transaction.question.name, TypeText(transaction.question.type), "address", refused);
      if (!grants) {
        // Nothing is left: a name without addresses. REFUSED would have clients give up on its other family as well.
        answer.records.clear();
        answer.ttl = kMinTtl;
      }
    }
    transaction.answer = std::make_shared<const Answer>(std::move(answer));
    if (grants) {
      Grant(at);
    } else {
      Finish(at);
    }
  }

  // ---- the setter

  void Grant(Transactions::iterator at) {
    Transaction& transaction = at->second;
    std::vector<GrantRecord> records;
    for (const Record& record : transaction.answer->records) {
      if (!record.address) {
        continue;
      }
      for (const std::uint32_t group : transaction.groups) {
        records.push_back({.v6 = record.address->v6 ? 1U : 0U,
                           .group = group,
                           .seconds = transaction.answer->ttl + kGrace,
                           .address = record.address->bytes});
      }
    }
    transaction.state = Transaction::State::kGrant;
    transaction.deadline = now_ + kGranting;
    const Header header{.word = Word::kGrant, .id = at->first, .count = static_cast<std::uint32_t>(records.size())};
    SendSetter(header, records);
  }

  void SendSetter(const Header& header, std::span<const GrantRecord> records) {
    if (unsent_.size() >= kMaxUnsent) {
      open_ = false;
      return;
    }
    Bytes message(sizeof header + records.size_bytes());
    std::memcpy(message.data(), &header, sizeof header);
    if (!records.empty()) {
      std::memcpy(message.data() + sizeof header, records.data(), records.size_bytes());
    }
    unsent_.push_back(std::move(message));
    Flush();
  }

  void Flush() {
    while (!unsent_.empty()) {
      const Bytes& message = unsent_.front();
      if (::sendto(kSetterFd, message.data(), message.size(), MSG_DONTWAIT | MSG_NOSIGNAL, nullptr, 0) >= 0) {
        unsent_.pop_front();
      } else if (errno == EAGAIN || errno == EINTR) {
        break;
      } else {
        open_ = false;
        return;
      }
    }
    if (const bool waits = !unsent_.empty(); waits != watches_setter_) {
      watches_setter_ = waits;
      epoll_event event{.events = EPOLLIN | (waits ? std::uint32_t{EPOLLOUT} : 0U),
                        .data = {.u64 = Tagged(Tag::kSetter)}};
      (void)::epoll_ctl(kEpollFd, EPOLL_CTL_MOD, kSetterFd, &event);
    }
  }

  void ReceiveSetter() {
    for (;;) {
      Header header;
      iovec data{.iov_base = &header, .iov_len = sizeof header};
      alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMaxSockets)> control{};
      msghdr message{};
      message.msg_iov = &data;
      message.msg_iovlen = 1;
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      const ssize_t size = ::recvmsg(kSetterFd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
      }
      if (size != sizeof header) {
        open_ = false;
        return;
      }
      std::vector<Fd> sockets;
      for (cmsghdr* rights = CMSG_FIRSTHDR(&message); rights != nullptr; rights = CMSG_NXTHDR(&message, rights)) {
        if (rights->cmsg_level != SOL_SOCKET || rights->cmsg_type != SCM_RIGHTS) {
          continue;
        }
        for (std::size_t i = 0; CMSG_LEN(sizeof(int) * (i + 1)) <= rights->cmsg_len; ++i) {
          int fd = -1;
          std::memcpy(&fd, CMSG_DATA(rights) + i * sizeof fd, sizeof fd);
          sockets.emplace_back(fd);
        }
      }
      Take(header, std::move(sockets));
    }
  }

  void Take(const Header& header, std::vector<Fd> sockets) {
    const auto at = transactions_.find(header.id);
    switch (header.word) {
      case Word::kGranted:
        if (at == transactions_.end() || at->second.state != Transaction::State::kGrant) {
          return;
        }
        if (header.error == 0) {
          Finish(at);
        } else {
          report_.Refused(at->second.question.name, TypeText(at->second.question.type), "set");
          Fail(at);
        }
        return;
      case Word::kUdp:
        TakeUdp(header, std::move(sockets));
        return;
      case Word::kTcp:
        if (at == transactions_.end() || at->second.state != Transaction::State::kAwaitTcp ||
            at->second.server != header.server) {
          return;
        }
        if (sockets.size() == 1) {
          StartTcp(at, std::move(sockets[0]));
        } else {
          Silent(at);
        }
        return;
      default:
        open_ = false;
        return;
    }
  }

  void TakeUdp(const Header& header, std::vector<Fd> sockets) {
    if (header.server >= servers_.size()) {
      return;
    }
    const bool none = sockets.empty();
    servers_.Put(header.server, std::move(sockets), now_);
    // In the order in which they came; each may end, or ask for more.
    std::vector<std::uint64_t> waiting;
    for (const auto& [id, transaction] : transactions_) {
      if (transaction.state == Transaction::State::kAwaitUdp && transaction.server == header.server) {
        waiting.push_back(id);
      }
    }
    for (const std::uint64_t id : waiting) {
      const auto at = transactions_.find(id);
      if (none) {
        Silent(at);  // no way to it
      } else {
        TryUdp(at);
      }
    }
  }

  // ---- the end

  void Finish(Transactions::iterator at) {
    Transaction& transaction = at->second;
    const std::shared_ptr<const Answer> answer = transaction.answer;
    cache_.Add(transaction.key, answer, now_);
    const std::vector<Waiter> waiters = std::move(transaction.waiters);
    Remove(at);
    for (const Waiter& waiter : waiters) {
      TellAnswer(waiter, *answer, answer->ttl);
    }
  }

  void Fail(Transactions::iterator at) {
    const std::vector<Waiter> waiters = std::move(at->second.waiters);
    Remove(at);
    for (const Waiter& waiter : waiters) {
      Tell(waiter, MakeError(waiter.request, Rcode::kServFail));
    }
  }

  void Remove(Transactions::iterator at) {
    CloseSocket(at->second);
    by_key_.erase(at->second.key);
    transactions_.erase(at);
  }

  void Expire() {
    std::vector<std::uint64_t> late;
    for (const auto& [id, transaction] : transactions_) {
      if (transaction.deadline <= now_) {
        late.push_back(id);
      }
    }
    for (const std::uint64_t id : late) {
      const auto at = transactions_.find(id);
      const bool at_server =
          at->second.state != Transaction::State::kGrant && at->second.state != Transaction::State::kAwaitUdp;
      if (at_server) {
        Silent(at);
      } else {
        Fail(at);
      }
    }
  }

  // When something is due.
  int Timeout() {
    std::optional<std::int64_t> next = servers_.Tidy(now_);
    const auto sooner = [&next](std::optional<std::int64_t> other) {
      if (other) {
        next = std::min(next.value_or(*other), *other);
      }
    };
    sooner(clients_.Tidy(now_));
    for (const auto& [id, transaction] : transactions_) {
      sooner(transaction.deadline);
    }
    return next ? static_cast<int>(std::max<std::int64_t>(*next - Milliseconds(), 0)) : -1;
  }

  const std::vector<Host>& hosts_;
  Names names_;
  AddressPolicy policy_;
  Servers servers_;
  TcpClients clients_;
  Report report_;
  Cache cache_;
  Transactions transactions_;
  std::unordered_map<std::string, std::uint64_t> by_key_;
  std::deque<Bytes> unsent_;
  std::array<std::uint8_t, kMaxReply> reply_{};
  std::uint64_t next_id_ = 1;
  std::int64_t now_ = Milliseconds();
  bool watches_setter_ = false;
  bool open_ = true;
};

}  // namespace

void RunParser(const Config& config, bool report) {
  std::make_unique<Parser>(config, report)->Run();
}

}  // namespace nucleus::gate
