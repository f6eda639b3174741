#include "runtime/container/net_helper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>

#include "runtime/container/channel.h"
#include "runtime/container/query.h"
#include "runtime/evidence/event_log.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/own_program.h"
#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"

#ifndef NUCLEUS_NET_HELPER
#define NUCLEUS_NET_HELPER ""
#endif

namespace nucleus::container {
namespace {

constexpr const char* kHelper = NUCLEUS_NET_HELPER;
// pasta and a broker that is asked for have their time in it.
constexpr int kTimeoutMs = 60000;
constexpr int kEndWaitMs = 5000;

Result<Fd> OpenHelper() {
  if (kHelper[0] != '/') {
    return std::unexpected(Failure("network: this build has no nucleus-net", ENOTSUP));
  }
  return TRY_IN("network", sys::OpenOwnProgram(kHelper));
}

std::string_view ModeWord(oci::NetworkMode mode) {
  switch (mode) {
    case oci::NetworkMode::kNone:
      return "none";
    case oci::NetworkMode::kBridge:
      return "bridge";
    case oci::NetworkMode::kUserspace:
      return "userspace";
    case oci::NetworkMode::kOci:
      break;
  }
  return "oci";
}

}  // namespace

Result<Fd> InMemory(const net::HelperRequest& request) {
  return sys::InMemory(net::Format(request), "net-request");
}

Result<NetHelper> NetHelper::Launch(int output, int events) {
  FAULT_POINT("create.net-helper");
  const Fd program = TRY(OpenHelper());
  NetHelper helper;
  Fd theirs;
  TRY(sys::SocketPair(helper.channel_, theirs));
  sys::OwnProgram run{.file = program.get(),
                      .words = {"nucleus-net"},
                      .environment = {},
                      .descriptors = {{theirs.get(), net::kHelperChannel}}};
  if (output >= 0) {
    run.descriptors.emplace_back(output, STDOUT_FILENO);
  }
  if (events >= 0) {
    run.descriptors.emplace_back(events, net::kHelperEvents);
  }
#ifdef NUCLEUS_FAULTS
  if (const char* value = std::getenv("NUCLEUS_FAULT"); value != nullptr) {
    run.environment.push_back(std::string{"NUCLEUS_FAULT="} + value);
  }
#endif
  sys::OwnProcess started = TRY(sys::StartOwnProgram(std::move(run)));
  helper.pid_ = started.pid;
  helper.pidfd_ = std::move(started.pidfd);
  return helper;
}

Result<> NetHelper::Ask(const net::HelperRequest& request) {
  const Fd memory = TRY(InMemory(request));
  return Give(memory.get());
}

NetHelper::~NetHelper() {
  if (!pidfd_) {
    return;
  }
  // It undoes what it has made when the socket closes.
  channel_.Reset();
  if (!sys::PidfdWait(pidfd_.get(), kEndWaitMs).value_or(false)) {
    (void)sys::PidfdSendSignal(pidfd_.get(), SIGKILL);
  }
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

Result<> NetHelper::Give(int fd) {
  return TRY_IN("network", SendWithFd(channel_.get(), Tag::kGo, fd)), Result<>{};
}

Result<> NetHelper::Go() {
  return TRY_IN("network", Send(channel_.get(), Tag::kGo)), Result<>{};
}

Result<std::string> NetHelper::Await(char tag, int* code) {
  pollfd entry{.fd = channel_.get(), .events = POLLIN, .revents = 0};
  int ready = 0;
  do {
    ready = ::poll(&entry, 1, kTimeoutMs);
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) {
    return std::unexpected(Failure("network: nucleus-net does not answer", ETIMEDOUT));
  }
  const Result<Message> message = Receive(channel_.get());
  if (!message) {
    return std::unexpected(Failure("network: nucleus-net ended before it was done", ECHILD));
  }
  if (message->tag == Tag::kError) {
    return std::unexpected(Failure(message->text, message->code));
  }
  if (message->tag != static_cast<Tag>(tag)) {
    return std::unexpected(Failure("network: unexpected message from nucleus-net", EPROTO));
  }
  if (code != nullptr) {
    *code = message->code;
  }
  return message->text;
}

Result<> NetHelper::Finish() {
  channel_.Reset();
  const bool ended = TRY(sys::PidfdWait(pidfd_.get(), kTimeoutMs));
  if (!ended) {
    (void)sys::PidfdSendSignal(pidfd_.get(), SIGKILL);
  }
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pidfd_.Reset();
  if (!ended || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return std::unexpected(Failure("network: nucleus-net failed", EIO));
  }
  return {};
}

void NetHelper::LetGo() {
  pidfd_.Reset();
  channel_.Reset();
}

bool NetHelperInstalled() {
  return kHelper[0] == '/' && ::access(kHelper, X_OK) == 0;
}

std::string NetHelperIdentity() {
  struct stat status{};
  if (kHelper[0] != '/' || ::stat(kHelper, &status) != 0) {
    return {};
  }
  std::string identity = kHelper;
  for (const std::uint64_t part :
       {std::uint64_t{status.st_dev}, std::uint64_t{status.st_ino}, static_cast<std::uint64_t>(status.st_size),
        static_cast<std::uint64_t>(status.st_mtim.tv_sec), static_cast<std::uint64_t>(status.st_mtim.tv_nsec),
        static_cast<std::uint64_t>(status.st_ctim.tv_sec), static_cast<std::uint64_t>(status.st_ctim.tv_nsec)}) {
    identity += " " + std::to_string(part);
  }
  return identity;
}

Result<std::string> NetRunDirectory(bool rootless) {
  struct stat netns{};
  if (::stat("/proc/self/ns/net", &netns) != 0) {
    return std::unexpected(SysError("stat", "/proc/self/ns/net"));
  }
  std::string base = "/run/nucleus-net";
  if (rootless) {
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    base = runtime != nullptr && runtime[0] == '/' ? std::string{runtime} + "/nucleus-net"
                                                   : "/tmp/nucleus-net-" + std::to_string(::geteuid());
  }
  // Not followed by anybody's link: the directory is this user's own.
  if (::mkdir(base.c_str(), 0700) != 0 && errno != EEXIST) {
    return std::unexpected(SysError("mkdir", base));
  }
  struct stat status{};
  if (::lstat(base.c_str(), &status) != 0) {
    return std::unexpected(SysError("stat", base));
  }
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return std::unexpected(Failure("network: " + base + " is not this user's alone", EPERM));
  }
  return base + "/" + std::to_string(netns.st_ino);
}

Result<net::HelperRequest> SetupRequest(const Settings& settings, const plan::Plan& plan, const Bundle& bundle,
                                        const plan::Host& host, const StateDir& directory) {
  const plan::Network& network = *plan.network;
  net::HelperRequest request;
  request.operation = "setup";
  request.id = plan.id;
  request.mode = ModeWord(network.mode);
  request.filtered = network.filtered;
  request.end_with_gate = network.end_with_gate;
  request.direct = network.direct;
  request.rootless = host.rootless();
  request.run_directory = TRY(NetRunDirectory(host.euid != 0));
  request.state_directory = directory.path();
  request.state_root = settings.root;
  if (const auto publish = bundle.spec->annotations.find("dev.nucleus.network.publish");
      publish != bundle.spec->annotations.end()) {
    request.publish = publish->second;
  }
  if (const auto members = bundle.spec->annotations.find("dev.nucleus.network.members");
      members != bundle.spec->annotations.end()) {
    request.members = members->second;
  }
  for (const policies::Document& document : bundle.policies.documents) {
    if (document.kind == "egress") {
      request.policy = document.file.bytes;
      request.policy_name = document.file.path;
      request.policy_digest = document.file.digest;
    }
  }
  return request;
}

oci::StateNetwork PlannedNetwork(const plan::Plan& plan) {
  oci::StateNetwork network;
  network.mode = ModeWord(plan.network->mode);
  network.filtered = plan.network->filtered;
  network.generation = 1;
  for (const plan::NamespaceJoin& join : plan.namespaces.join) {
    if (join.type == CLONE_NEWNET) {
      network.joined = join.path;
    }
  }
  return network;
}

Result<> HandOverNetwork(NetHelper& helper, const NetHandles& handles) {
  FAULT_POINT("create.net-setup");
  const struct stat theirs = TRY(sys::Fstat(handles.netns, "the container's network namespace"));
  struct stat own{};
  if (::stat("/proc/self/ns/net", &own) != 0) {
    return std::unexpected(SysError("stat", "/proc/self/ns/net"));
  }
  if (theirs.st_ino == own.st_ino && theirs.st_dev == own.st_dev) {
    return std::unexpected(
        Failure("network: the container is in the host's network namespace, which is not touched", EINVAL));
  }
  TRY(helper.Give(handles.netns));
  TRY(helper.Give(handles.init));
  if (handles.rootless) {
    TRY(helper.Give(handles.userns));
  }
  return {};
}

Result<> AdmitUplink(NetHelper& helper, oci::State& state, const std::function<Result<>()>& save) {
  if (!net::MakesUplink(state.network.mode)) {
    return {};
  }
  state.network.record = TRY(helper.Await(static_cast<char>(Tag::kUplink)));
  TRY(save());
  return helper.Go();
}

Result<> CompleteNetwork(NetHelper& helper, oci::State& state, const std::function<Result<>()>& save) {
  int stays = 0;
  const std::string facts = TRY(helper.Await(static_cast<char>(Tag::kReady), &stays));
  state.evidence["egress"] = facts;
  if (stays != 0) {
    state.network.pid = helper.pid();
    state.network.start_time = TRY(sys::ReadProcessStat(helper.pid())).start_time;
    TRY(save());
  }
  FAULT_POINT("create.net-ready");
  TRY(helper.Go());
  if (stays != 0) {
    helper.LetGo();
  }
  return {};
}

Result<> TakeNetworkAway(const oci::State& state) {
  const oci::StateNetwork& network = state.network;
  if (network.mode.empty()) {
    return {};
  }
  if (network.pid > 0) {
    // It ends with the container.
    const oci::State as_process{.pid = network.pid, .start_time = network.start_time};
    if (const Result<Fd> process = OpenInit(as_process)) {
      if (!sys::PidfdWait(process->get(), kEndWaitMs).value_or(false)) {
        (void)sys::PidfdSendSignal(process->get(), SIGKILL);
        (void)sys::PidfdWait(process->get(), kEndWaitMs);
      }
    }
    (void)::waitpid(network.pid, nullptr, WNOHANG);
  }
  const bool table = network.filtered && !network.joined.empty();
  if (network.record.empty() && !table) {
    return {};
  }
  net::HelperRequest request;
  request.operation = "remove";
  request.id = state.id;
  request.record = network.record;
  request.filtered = table;
  request.run_directory = TRY(NetRunDirectory(::geteuid() != 0));
  Fd joined;
  if (table) {
    joined.Reset(::open(network.joined.c_str(), O_RDONLY | O_CLOEXEC));
    request.filtered = joined.valid();  // gone: and what was in it
  }
  if (network.record.empty() && !request.filtered) {
    return {};
  }
  NetHelper helper = TRY(NetHelper::Launch());
  TRY(helper.Ask(request));
  if (request.filtered) {
    TRY(helper.Give(joined.get()));
  }
  TRY(helper.Await(static_cast<char>(Tag::kReady)));
  return helper.Finish();
}

}  // namespace nucleus::container
