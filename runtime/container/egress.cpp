#include "runtime/container/egress.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>

#include "base/sha256.h"
#include "oci-config/annotations.h"
#include "policies/egress_policy.h"
#include "policies/pinned_file.h"
#include "runtime/container/bundle_policies.h"
#include "runtime/container/channel.h"
#include "runtime/container/lifecycle.h"
#include "runtime/container/net_helper.h"
#include "runtime/container/query.h"
#include "runtime/container/record.h"
#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

constexpr int kAnswerMs = 60000;
constexpr int kFollowMs = 200;
constexpr std::size_t kMaxAnswer = std::size_t{64} << 20;

Result<Opened> OpenFiltered(const Settings& settings, const std::string& id, bool lock) {
  Opened opened = TRY(OpenContainer(settings, id, lock));
  if (!IsAlive(opened.state)) {
    return std::unexpected(Failure("container not running", ESRCH));
  }
  if (!opened.state.network.filtered) {
    return std::unexpected(Failure("container " + id + " has no egress policy", ENOENT));
  }
  return opened;
}

// The process that stays with the container, where there is one.
bool HasManager(const oci::State& state) {
  return state.network.pid > 0 && IsAlive({.pid = state.network.pid, .start_time = state.network.start_time});
}

// The answer comes back in the memory that the question was in.
Result<std::string> AskManager(const Opened& opened, const net::HelperRequest& request) {
  const Fd socket = TRY_IN(
      "egress", sys::ConnectUnix("/proc/self/fd/" + std::to_string(opened.directory.fd()) + "/" + net::kNetSocket,
                                 SOCK_SEQPACKET));
  const Fd memory = TRY(InMemory(request));
  TRY(SendWithFd(socket.get(), Tag::kGo, memory.get()));
  pollfd polled{.fd = socket.get(), .events = POLLIN, .revents = 0};
  if (::poll(&polled, 1, kAnswerMs) <= 0) {
    return std::unexpected(Failure("egress: nucleus-net does not answer", ETIMEDOUT));
  }
  const Message answer = TRY_IN("egress", Receive(socket.get()));
  if (answer.tag != Tag::kReady) {
    return std::unexpected(Failure(answer.text, answer.code));
  }
  if (::lseek(memory.get(), 0, SEEK_SET) != 0) {
    return std::unexpected(SysError("lseek", "answer"));
  }
  return ReadAll(memory.get(), kMaxAnswer, "answer");
}

// Of the container as it is.
Result<net::HelperRequest> PresentRequest(const Settings& settings, const Opened& opened, const char* operation) {
  const oci::State& state = opened.state;
  net::HelperRequest request;
  request.operation = operation;
  request.id = state.id;
  request.mode = state.network.mode;
  request.record = state.network.record;
  request.generation = state.network.generation;
  request.filtered = true;
  request.rootless = ::geteuid() != 0;
  request.run_directory = TRY(NetRunDirectory(::geteuid() != 0));
  request.state_directory = opened.directory.path();
  request.state_root = settings.root;
  const oci::Annotations annotations = TRY(oci::ParseAnnotations(state.annotations));
  request.end_with_gate = annotations.mode && *annotations.mode != oci::Mode::kAgent;
  if (const auto publish = state.annotations.find("dev.nucleus.network.publish"); publish != state.annotations.end()) {
    request.publish = publish->second;
  }
  if (const auto members = state.annotations.find("dev.nucleus.network.members"); members != state.annotations.end()) {
    request.members = members->second;
  }
  if (Result<std::string> policy = KeptPolicy(opened.directory, "egress")) {
    request.policy = std::move(*policy);
    request.policy_name = opened.directory.path() + ": egress policy";
    request.policy_digest = Sha256Hex(request.policy);
  } else if (policy.error().code != ENOENT) {
    return std::unexpected(policy.error());
  }
  return request;
}

Result<> GiveHandles(NetHelper& helper, const oci::State& state, bool rootless) {
  const std::string proc = "/proc/" + std::to_string(state.pid);
  const Fd init = TRY(OpenInit(state));
  const Fd netns = TRY(sys::Open(proc + "/ns/net", O_RDONLY));
  TRY(helper.Give(netns.get()));
  TRY(helper.Give(init.get()));
  if (rootless) {
    const Fd userns = TRY(sys::Open(proc + "/ns/user", O_RDONLY));
    TRY(helper.Give(userns.get()));
  }
  return {};
}

Result<policies::PinnedFile> ReadNewPolicy(const std::string& text, std::optional<oci::Mode> mode) {
  const std::size_t at = text.rfind("@sha256:");
  oci::Pin pin{.path = text.substr(0, at), .digest = at == std::string::npos ? "" : text.substr(at + 8)};
  constexpr std::size_t kDigits = 64;
  const bool digest =
      pin.digest.size() == kDigits && pin.digest.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (pin.path.empty() || (at != std::string::npos && !digest)) {
    return std::unexpected(Failure("--policy: must be PATH@sha256:HEX", EINVAL));
  }
  if (at == std::string::npos && mode && *mode != oci::Mode::kAgent) {
    return std::unexpected(
        Failure("--policy: " + std::string{oci::ModeName(*mode)} + " mode needs a digest, PATH@sha256:HEX", EINVAL));
  }
  std::array<char, PATH_MAX> directory{};
  if (::getcwd(directory.data(), directory.size()) == nullptr) {
    return std::unexpected(SysError("getcwd", ""));
  }
  return TRY_IN("--policy", policies::ReadPinned(directory.data(), pin));
}

}  // namespace

Result<std::string> ShowEgress(const Settings& settings, const std::string& id, bool json) {
  const Opened opened = TRY(OpenFiltered(settings, id, false));
  net::HelperRequest request = TRY(PresentRequest(settings, opened, "show"));
  request.json = json;
  if (HasManager(opened.state)) {
    return AskManager(opened, request);
  }
  const Fd output{::memfd_create("egress", MFD_CLOEXEC)};
  if (!output) {
    return std::unexpected(SysError("memfd_create", "egress"));
  }
  NetHelper helper = TRY(NetHelper::Launch(output.get()));
  TRY(helper.Ask(request));
  TRY(GiveHandles(helper, opened.state, request.rootless));
  TRY(helper.Await(static_cast<char>(Tag::kReady)));
  TRY(helper.Finish());
  if (::lseek(output.get(), 0, SEEK_SET) != 0) {
    return std::unexpected(SysError("lseek", "egress"));
  }
  return ReadAll(output.get(), kMaxAnswer, "egress");
}

Result<> FollowRefusals(const Settings& settings, const std::string& id,
                        const std::function<Result<>(std::string_view)>& each) {
  const Opened opened = TRY(OpenFiltered(settings, id, false));
  if (!HasManager(opened.state)) {
    return std::unexpected(Failure("container " + id + ": its egress policy does not log (log = true)", ENOENT));
  }
  const Fd init = TRY(OpenInit(opened.state));
  Fd file;
  std::string rest;
  for (bool ended = false;;) {
    if (!file) {
      file.Reset(::openat(opened.directory.fd(), net::kRefusedFile, O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    }
    std::array<char, 65536> buffer{};
    const ssize_t size = file ? ::read(file.get(), buffer.data(), buffer.size()) : 0;
    if (size > 0) {
      rest.append(buffer.data(), static_cast<std::size_t>(size));
      for (std::size_t end = 0; (end = rest.find('\n')) != std::string::npos;) {
        TRY(each(std::string_view{rest}.substr(0, end)));
        rest.erase(0, end + 1);
      }
      continue;
    }
    if (ended) {
      return {};
    }
    // It was moved aside when it was full: what is written now is in another.
    struct stat present{};
    struct stat ours{};
    if (file && ::fstatat(opened.directory.fd(), net::kRefusedFile, &present, AT_SYMLINK_NOFOLLOW) == 0 &&
        ::fstat(file.get(), &ours) == 0 && present.st_ino != ours.st_ino) {
      file.Reset();
      continue;
    }
    ended = TRY(sys::PidfdWait(init.get(), kFollowMs));
  }
}

Result<std::string> ReplaceEgress(const Settings& settings, const std::string& id, const std::string& pin) {
  Opened opened = TRY(OpenFiltered(settings, id, true));
  oci::State& state = opened.state;
  const oci::Annotations annotations = TRY(oci::ParseAnnotations(state.annotations));
  const policies::PinnedFile file = TRY(ReadNewPolicy(pin, annotations.mode));
  TRY_IN("--policy", policies::ParseEgressPolicy(file.bytes, file.path));
  net::HelperRequest next = TRY(PresentRequest(settings, opened, "replace"));
  const net::HelperRequest present = next;
  next.policy = file.bytes;
  next.policy_name = file.path;
  next.policy_digest = file.digest;
  std::string facts;
  if (HasManager(state)) {
    facts = TRY(AskManager(opened, next));
  } else {
    NetHelper helper = TRY(NetHelper::Launch());
    TRY(helper.Ask(present));
    TRY(helper.Ask(next));
    TRY(GiveHandles(helper, state, present.rootless));
    int stays = 0;
    facts = TRY(helper.Await(static_cast<char>(Tag::kReady), &stays));
    if (stays != 0) {
      state.network.pid = helper.pid();
      state.network.start_time = TRY(sys::ReadProcessStat(helper.pid())).start_time;
    }
    TRY(helper.Go());
    if (stays != 0) {
      helper.LetGo();
    } else {
      TRY(helper.Finish());
    }
  }
  ++state.network.generation;
  state.evidence["egress"] = facts;
  state.evidence["policy.egress"] = "sha256:" + file.digest;
  TRY(ReplacePolicy(opened.directory, "egress", file.bytes));
  TRY(opened.directory.WriteState(state));
  Tell(settings, {.kind = "egress-replaced",
                  .id = id,
                  .words = {{"policy", "sha256:" + file.digest}},
                  .numbers = {},
                  .evidence = &state.evidence});
  return facts;
}

}  // namespace nucleus::container
