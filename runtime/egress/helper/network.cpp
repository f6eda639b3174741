#include "runtime/egress/helper/network.h"

#include <fcntl.h>
#include <linux/netfilter.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "oci-config/members.h"
#include "oci-config/publish.h"
#include "runtime/container/channel.h"
#include "runtime/egress/gate/gate.h"
#include "runtime/egress/helper/gate_link.h"
#include "runtime/egress/helper/keep_rules.h"
#include "runtime/egress/helper/name_sets.h"
#include "runtime/egress/helper/show.h"
#include "runtime/net/facts.h"
#include "runtime/net/link.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::egress {
namespace {

using container::Tag;

constexpr int kGateReadyMs = 10000;
constexpr int kGateEndMs = 5000;
constexpr std::size_t kMaxLine = 8192;

Result<std::pair<Fd, Fd>> Pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  return std::pair{Fd{ends[0]}, Fd{ends[1]}};
}

std::string Bytes(const std::optional<policies::Cidr>& cidr) {
  return cidr ? BytesOf(cidr->address) : "";
}

std::vector<policies::Cidr> Cidrs(const std::vector<policies::EgressRule>& rules, bool whole_only) {
  std::vector<policies::Cidr> cidrs;
  for (const policies::EgressRule& rule : rules) {
    if (rule.cidr && (rule.ports.empty() || !whole_only)) {
      cidrs.push_back(*rule.cidr);
    }
  }
  return cidrs;
}

gate::Config GateConfig(const policies::EgressPolicy& policy, const Compiled& compiled, std::vector<gate::Host> hosts) {
  gate::Config config;
  config.hosts = std::move(hosts);
  for (std::uint32_t i = 0; i < compiled.names.size(); ++i) {
    config.names.push_back({.domain = compiled.names[i].domain, .wildcard = compiled.names[i].wildcard, .group = i});
  }
  config.servers = policy.dns_servers;
  config.allowed = Cidrs(policy.allow, false);
  config.denied = Cidrs(policy.deny, true);
  return config;
}

Result<std::vector<Fd>> ListenHere() {
  const Fd here = TRY(sys::Open("/proc/self/ns/net", O_RDONLY));
  gate::Sockets sockets = TRY(gate::ListenIn(here.get()));
  std::vector<Fd> fds;
  fds.push_back(std::move(sockets.udp));
  fds.push_back(std::move(sockets.tcp));
  return fds;
}

Result<gate::Sockets> ListenAt(const Place& place) {
  if (place.userns < 0) {
    return gate::ListenIn(place.netns);
  }
  std::vector<Fd> made = TRY(MakeIn(place, ListenHere));
  return gate::Sockets{.udp = std::move(made.at(0)), .tcp = std::move(made.at(1))};
}

Result<std::vector<Fd>> LogHere() {
  std::vector<Fd> fds;
  fds.push_back(TRY(OpenLog()));
  return fds;
}

Result<Fd> LogAt(const Place& place, std::uint16_t group) {
  std::vector<Fd> made = TRY(place.netns < 0 ? LogHere() : MakeIn(place, LogHere));
  TRY_IN("egress", BindLog(made.at(0).get(), group));
  return std::move(made.at(0));
}

}  // namespace

Network::~Network() {
  StopGate();
  if (kept_) {
    return;
  }
  if (filters_ && request_.operation == "setup") {
    (void)filters_->Remove();
  }
  const std::string record = record_.uplink;
  uplink_.reset();
  if (!record.empty()) {
    (void)uplink::Remove(record, request_.run_directory);
  }
}

Result<> Network::ParsePolicy(const net::HelperRequest& request, policies::EgressPolicy& policy,
                              Compiled& compiled) const {
  if (!request.policy.empty()) {
    policy = TRY(policies::ParseEgressPolicy(request.policy, request.policy_name));
  }
  // What is published is meant to be reached.
  if (!request_.publish.empty()) {
    const auto published = oci::ParsePublish(request_.publish);
    if (!published) {
      return std::unexpected(Context("annotations[\"dev.nucleus.network.publish\"]", published.error()));
    }
    for (const oci::PublishedPort& port : *published) {
      policy.inbound.push_back({.protocol = port.protocol == oci::PublishedPort::Protocol::kTcp
                                                ? policies::Protocol::kTcp
                                                : policies::Protocol::kUdp,
                                .first = port.container_port,
                                .last = static_cast<std::uint16_t>(port.container_port + port.count - 1)});
    }
  }
  compiled = TRY(Compile(policy));
  return AddMembers(compiled);
}

std::string Network::MemberAddress(Family family, std::uint32_t number) const {
  std::string bytes = record_.link.address[family];
  if (!bytes.empty()) {
    bytes[bytes.size() - 2] = static_cast<char>(number >> 8U);
    bytes[bytes.size() - 1] = static_cast<char>(number & 0xffU);
  }
  return bytes;
}

Result<> Network::AddMembers(Compiled& compiled) const {
  if (request_.members.empty()) {
    return {};
  }
  const oci::Members members = TRY(oci::ParseMembers(request_.members));
  for (const Family family : {kIpv4, kIpv6}) {
    for (const oci::Member& member : members.others) {
      const std::string address = MemberAddress(family, member.number);
      std::vector<std::string>& all = compiled.members[family];
      if (!address.empty() && member.number != members.number && std::ranges::find(all, address) == all.end()) {
        all.push_back(address);
      }
    }
  }
  return {};
}

Result<std::vector<gate::Host>> Network::Hosts() const {
  std::vector<gate::Host> hosts;
  if (request_.members.empty()) {
    return hosts;
  }
  const oci::Members members = TRY(oci::ParseMembers(request_.members));
  for (const oci::Member& member : members.others) {
    gate::Host& host = hosts.emplace_back();
    host.name = member.name;
    for (const Family family : {kIpv4, kIpv6}) {
      if (const std::string bytes = MemberAddress(family, member.number); !bytes.empty()) {
        policies::Address& address = host.addresses.emplace_back();
        address.v6 = family == kIpv6;
        std::ranges::copy(bytes, address.bytes.begin());
      }
    }
  }
  return hosts;
}

std::optional<Outside> Network::OutsidePlace() const {
  if (!record_.outer) {
    return std::nullopt;
  }
  Outside outside{.place = {}, .link = record_.link};
  if (uplink_ && !record_.here) {
    outside.place.netns = uplink_->filter_netns();
  }
  // The link's number is that in its own namespace; the device's name there has it as well, and needs no question.
  std::uint32_t number = 0;
  for (const char c : record_.link.device) {
    number = number * 31 + static_cast<unsigned char>(c);
  }
  outside.log_group = OuterLogGroup(number);
  return outside;
}

Result<std::string> Network::Prepare() {
  if (request_.filtered) {
    TRY(ParsePolicy(request_, policy_, compiled_));
  }
  FAULT_POINT("net.links");
  if (net::MakesUplink(request_.mode)) {
    uplink::Request request;
    request.mode = request_.mode == "bridge" ? uplink::Mode::kBridge : uplink::Mode::kUserspace;
    request.container_netns = handles_.netns.get();
    request.run_dir = request_.run_directory;
    if (!request_.publish.empty()) {
      request.publish = TRY_IN("annotations[\"dev.nucleus.network.publish\"]", oci::ParsePublish(request_.publish));
    }
    if (!request_.members.empty()) {
      const oci::Members members = TRY(oci::ParseMembers(request_.members));
      request.number = members.number;
      for (const oci::Member& member : members.others) {
        const bool again = std::ranges::find(request.members, member.number) != request.members.end();
        if (member.number != members.number && !again) {
          request.members.push_back(member.number);
        }
      }
    }
    request.direct = request_.direct;
    request.container_userns = handles_.userns.get();
    uplink_ = TRY_IN("network", uplink::Uplink::Prepare(request));
    record_.uplink = uplink_->record();
    record_.outer = request_.filtered && !uplink_->filter_device().empty();
    record_.here = request.mode == uplink::Mode::kBridge;
    if (record_.outer) {
      record_.link = {.device = uplink_->filter_device(),
                      .mac = std::string{reinterpret_cast<const char*>(uplink_->container_mac().data()),
                                         uplink_->container_mac().size()},
                      .address = {Bytes(uplink_->station().v4), Bytes(uplink_->station().v6)}};
      TRY(AddMembers(compiled_));
    }
  }
  return record_.uplink.empty() ? std::string{} : Format(record_);
}

Result<std::string> Network::Attach() {
  std::optional<nft::Loaded> inner;
  std::optional<nft::Loaded> outer;
  if (request_.filtered) {
    filters_ = TRY(Filters::Open(request_.id, handles_.place(), OutsidePlace()));
    inner = TRY(filters_->LoadInner(compiled_, request_.generation));
    if (!request_.image_directory.empty() && !Stays() && !net::MakesUplink(request_.mode)) {
      KeepRules(filters_->inner(), compiled_, *inner, request_);
    }
    if (record_.outer) {
      outer = TRY(filters_->LoadOuter(compiled_, request_.generation));
    }
  }
  TRY(OpenLogs());
  TRY(StartGate());
  FAULT_POINT("net.attach");
  if (uplink_) {
    TRY_IN("network", uplink_->Attach());
  }
  return FactsText(inner, outer);
}

Result<> Network::Find() {
  record_ = TRY(ParseRecord(request_.record));
  TRY(ParsePolicy(request_, policy_, compiled_));
  std::optional<Outside> outside = OutsidePlace();
  if (outside && !record_.here) {
    outside.reset();  // in a router namespace that only the process that stays can reach
  }
  filters_ = TRY(Filters::Open(request_.id, handles_.place(), std::move(outside)));
  kept_ = true;
  return {};
}

std::string Network::FactsText(const std::optional<nft::Loaded>& inner, const std::optional<nft::Loaded>& outer) const {
  return net::Format(net::Facts{.mode = request_.mode,
                                .policy_digest = request_.policy_digest,
                                .generation = request_.generation,
                                .inside = inner,
                                .outside = outer,
                                .names = compiled_.names.size()});
}

Result<> Network::OpenLogs() {
  if (!Stays()) {
    return {};
  }
  if (!log_) {
    log_.emplace(TRY_IN("egress",
                        RefusalLog::Open(request_.state_directory, request_.id, request_.events, request_.state_root)));
  }
  if (!compiled_.log) {
    return {};
  }
  if (!inner_log_) {
    inner_log_ = TRY(LogAt(handles_.place(), kInnerLogGroup));
  }
  if (filters_->outside() && !outer_log_) {
    outer_log_ = TRY(LogAt(filters_->outside()->place, filters_->outside()->log_group));
  }
  return {};
}

Result<gate::Sockets> Network::OpenGate() {
  if (!request_.own_stack) {
    return ListenAt(handles_.place());
  }
  if (!gate_netns_) {
    // Such a stack takes the links that it finds when it starts.
    if (kept_) {
      return std::unexpected(
          Failure("names take a policy that has some from the start: there is no link to the gate", ENOTSUP));
    }
    gate_netns_ = TRY(MakeGateLink(handles_.netns.get()));
  }
  return gate::ListenIn(gate_netns_.get(), GateBesideStack());
}

Result<> Network::StartGate() {
  std::vector<gate::Host> hosts = TRY(Hosts());
  if (compiled_.names.empty() && hosts.empty()) {
    return {};
  }
  FAULT_POINT("net.gate");
  gate::Sockets sockets = TRY_IN("egress", OpenGate());
  auto [stop_read, stop_write] = TRY(Pipe());
  auto [report_read, report_write] = TRY(Pipe());
  auto [ready_read, ready_write] = TRY(Pipe());
  // Across the fork: what the child has open of these is what it uses.
  gate_ = TRY(sys::Clone3({.pidfd = &gate_process_}));
  if (gate_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    stop_write.Reset();
    report_read.Reset();
    ready_read.Reset();
    NameSets sets{compiled_, request_.generation, handles_.place(), filters_->outside()};
    const int stop = stop_read.get();
    const Result<> served =
        gate::Serve(GateConfig(policy_, compiled_, std::move(hosts)), std::move(sockets), sets,
                    {.init_pidfd = handles_.init.get(),
                     .on_death = request_.end_with_gate ? gate::OnDeath::kEndContainer : gate::OnDeath::kRestart,
                     .report = std::move(report_write),
                     .ready = std::move(ready_write),
                     .stop = stop});
    ::_exit(served ? 0 : 1);
  }
  ready_write.Reset();
  gate_stop_ = std::move(stop_write);
  gate_report_ = std::move(report_read);
  if (::fcntl(gate_report_.get(), F_SETFL, O_NONBLOCK) != 0) {
    return std::unexpected(SysError("fcntl", ""));
  }
  pollfd polled{.fd = ready_read.get(), .events = POLLIN, .revents = 0};
  char byte = 0;
  if (::poll(&polled, 1, kGateReadyMs) <= 0 || ::read(ready_read.get(), &byte, 1) != 1) {
    return std::unexpected(Failure("egress: the DNS gate does not start", ECHILD));
  }
  return {};
}

void Network::StopGate() {
  if (gate_ <= 0) {
    return;
  }
  gate_stop_.Reset();
  if (!sys::PidfdWait(gate_process_.get(), kGateEndMs).value_or(false)) {
    (void)sys::PidfdSendSignal(gate_process_.get(), SIGKILL);
  }
  WaitForGate();
}

void Network::WaitForGate() {
  while (::waitpid(gate_, nullptr, 0) < 0 && errno == EINTR) {
  }
  ReadGate();
  gate_ = 0;
  gate_process_.Reset();
  gate_report_.Reset();
  gate_stop_.Reset();
}

void Network::ReadGate() {
  std::array<char, kMaxLine> buffer{};
  for (;;) {
    const ssize_t size = gate_report_ ? ::read(gate_report_.get(), buffer.data(), buffer.size()) : 0;
    if (size <= 0) {
      return;
    }
    gate_line_.append(buffer.data(), static_cast<std::size_t>(size));
    for (std::size_t end = 0; (end = gate_line_.find('\n')) != std::string::npos;) {
      if (log_ && (compiled_.log || request_.end_with_gate)) {
        log_->GateLine(std::string_view{gate_line_}.substr(0, end));
      }
      gate_line_.erase(0, end + 1);
    }
    if (gate_line_.size() > kMaxLine) {
      gate_line_.clear();
    }
  }
}

bool Network::Stays() const {
  return !compiled_.names.empty() || !request_.members.empty() || compiled_.log ||
         (uplink_ && uplink_->process() >= 0) || request_.mode == "userspace";
}

Result<std::string> Network::Replace(const net::HelperRequest& next) {
  policies::EgressPolicy policy;
  Compiled compiled;
  TRY(ParsePolicy(next, policy, compiled));
  const bool stayed = Stays();
  const Facts facts = TRY(filters_->Replace(compiled_, compiled, request_.generation));
  policy_ = std::move(policy);
  request_.policy = next.policy;
  request_.policy_name = next.policy_name;
  request_.policy_digest = next.policy_digest;
  ++request_.generation;
  FAULT_POINT("net.swap");
  // The old gate's setter knows sets that are gone: it could only fail.
  StopGate();
  compiled_ = std::move(compiled);
  if (stayed || Stays()) {
    TRY(OpenLogs());
    TRY(StartGate());
  }
  return FactsText(facts.inner, facts.outer);
}

Result<std::string> Network::ShowText(bool json) {
  return Show(*filters_, {.json = json,
                          .mode = request_.mode,
                          .policy_digest = request_.policy_digest,
                          .generation = request_.generation,
                          .state_directory = request_.state_directory});
}

// One question of `nucleus egress`.
void Network::Answer(int control) {
  const Fd peer{::accept4(control, nullptr, nullptr, SOCK_CLOEXEC)};
  if (!peer) {
    return;
  }
  const Result<container::Message> message = container::Receive(peer.get());
  if (!message || message->tag != Tag::kGo || !message->fd) {
    return;
  }
  const auto answer = [&]() -> Result<std::string> {
    const std::string text = TRY(ReadAll(message->fd.get(), net::kMaxHelperRequest, "request"));
    const net::HelperRequest asked = TRY(net::ParseHelperRequest(text));
    if (asked.operation == "replace") {
      return Replace(asked);
    }
    return ShowText(asked.json);
  }();
  if (!answer) {
    (void)container::Send(peer.get(), Tag::kError, answer.error().message, answer.error().code);
    return;
  }
  // It may be longer than a message: it goes back in the memory that the question was in.
  const auto give_back = [&]() -> Result<> {
    if (::ftruncate(message->fd.get(), 0) != 0 || ::lseek(message->fd.get(), 0, SEEK_SET) != 0) {
      return std::unexpected(SysError("truncate", "answer"));
    }
    return WriteAll(message->fd.get(), *answer, "answer");
  };
  if (const Result<> given = give_back(); !given) {
    (void)container::Send(peer.get(), Tag::kError, given.error().message, given.error().code);
    return;
  }
  (void)container::Send(peer.get(), Tag::kReady);
}

void Network::Serve(int control) {
  for (;;) {
    std::array<pollfd, 7> polled{};
    std::size_t count = 0;
    const auto add = [&](int fd) {
      polled[count] = {.fd = fd, .events = POLLIN, .revents = 0};
      return count++;
    };
    const std::size_t init = add(handles_.init.get());
    const std::size_t question = add(control);
    const std::size_t inner = add(inner_log_ ? inner_log_.get() : -1);
    const std::size_t outer = add(outer_log_ ? outer_log_.get() : -1);
    const std::size_t report = add(gate_report_ ? gate_report_.get() : -1);
    const std::size_t gate = add(gate_process_ ? gate_process_.get() : -1);
    if (::poll(polled.data(), count, -1) < 0 && errno != EINTR) {
      return;
    }
    if (polled[inner].revents != 0) {
      ReadLog(inner_log_.get(), false, *log_);
    }
    if (polled[outer].revents != 0) {
      ReadLog(outer_log_.get(), true, *log_);
    }
    if (polled[report].revents != 0) {
      ReadGate();
    }
    if (polled[gate].revents != 0) {
      // It ends with the container, or because it could not go on: then nothing is answered any more.
      WaitForGate();
    }
    if (polled[init].revents != 0) {
      return;
    }
    if ((polled[question].revents & POLLIN) != 0) {
      Answer(control);
    }
  }
}

}  // namespace nucleus::egress
