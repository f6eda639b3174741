// nucleus-net: makes the network of one container, and stays where something has to be served. The runtime starts it
// (runtime/container/net_helper.h) and talks to it over descriptor 3 (runtime/net/request.h). Exit status: 0 done, 1 an
// error, which was said over the socket.

#include <fcntl.h>
#include <linux/netfilter.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/fd.h"
#include "runtime/container/channel.h"
#include "runtime/egress/helper/network.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::egress {
namespace {

using container::Tag;

Result<Fd> TakeFd() {
  container::Message message = TRY(container::Receive(net::kHelperChannel));
  if (message.tag != Tag::kGo || !message.fd) {
    return std::unexpected(Failure("network: unexpected message from the runtime", EPROTO));
  }
  return std::move(message.fd);
}

Result<ContainerHandles> TakeHandles(bool rootless) {
  ContainerHandles handles;
  handles.netns = TRY(TakeFd());
  handles.init = TRY(TakeFd());
  if (rootless) {
    handles.userns = TRY(TakeFd());
  }
  return handles;
}

Result<Fd> ListenForQuestions(const std::string& directory) {
  const Fd state = TRY(sys::Open(directory, O_PATH | O_DIRECTORY));
  Fd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", state.get(), net::kNetSocket);
  constexpr int kWaiting = 16;
  (void)::unlinkat(state.get(), net::kNetSocket, 0);
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), kWaiting) != 0) {
    return std::unexpected(SysError("bind", directory + "/" + net::kNetSocket));
  }
  return socket;
}

// A signal to its cgroup or session must not end it while the container goes on.
Result<> Detach() {
  sigset_t all;
  ::sigfillset(&all);
  if ((::setsid() < 0 && errno != EPERM) || ::chdir("/") != 0 || ::sigprocmask(SIG_BLOCK, &all, nullptr) != 0) {
    return std::unexpected(SysError("detach", "nucleus-net"));
  }
  return {};
}

// Until the container's end, where it stays. `save`d by the runtime before anything of it can be lost.
Result<> Stay(Network& network, const std::string& directory, const std::string& facts) {
  Fd control;
  if (network.Stays()) {
    control = TRY(ListenForQuestions(directory));
  }
  TRY(container::Send(net::kHelperChannel, Tag::kReady, facts, network.Stays() ? 1 : 0));
  TRY(container::AwaitGo(net::kHelperChannel));
  network.Keep();
  if (network.Stays()) {
    TRY(Detach());
    ::close(net::kHelperChannel);
    network.Serve(control.get());
  }
  return {};
}

Result<> SetUp(const net::HelperRequest& request) {
  ContainerHandles handles = TRY(TakeHandles(request.rootless));
  Network network{request, std::move(handles)};
  const std::string record = TRY(network.Prepare());
  if (net::MakesUplink(request.mode)) {
    TRY(container::Send(net::kHelperChannel, Tag::kUplink, record));
    TRY(container::AwaitGo(net::kHelperChannel));
  }
  const std::string facts = TRY(network.Attach());
  return Stay(network, request.state_directory, facts);
}

Result<> Remove(const net::HelperRequest& request) {
  const Record record = TRY(ParseRecord(request.record));
  if (request.filtered) {
    const Fd netns = TRY(TakeFd());
    nft::Socket socket = TRY(nft::Socket::OpenIn(netns.get()));
    TRY(RemoveTables(socket, NFPROTO_INET, request.id));
  }
  if (record.outer && record.here) {
    nft::Socket socket = TRY(nft::Socket::Open());
    TRY(RemoveTables(socket, NFPROTO_NETDEV, request.id));
  }
  if (!record.uplink.empty()) {
    TRY_IN("network", uplink::Remove(record.uplink, request.run_directory));
  }
  return container::Send(net::kHelperChannel, Tag::kReady);
}

Result<> Show(const net::HelperRequest& request) {
  ContainerHandles handles = TRY(TakeHandles(request.rootless));
  Network network{request, std::move(handles)};
  TRY(network.Find());
  const std::string text = TRY(network.ShowText(request.json));
  TRY(WriteAll(STDOUT_FILENO, text, "standard output"));
  return container::Send(net::kHelperChannel, Tag::kReady);
}

// Of a container for which no process has stayed. With the new policy one may have to.
Result<> Replace(const net::HelperRequest& request, const net::HelperRequest& next) {
  ContainerHandles handles = TRY(TakeHandles(request.rootless));
  Network network{request, std::move(handles)};
  TRY(network.Find());
  const std::string facts = TRY(network.Replace(next));
  return Stay(network, request.state_directory, facts);
}

Result<net::HelperRequest> TakeRequest() {
  const Fd memory = TRY(TakeFd());
  const std::string text = TRY(ReadAll(memory.get(), net::kMaxHelperRequest, "request"));
  return net::ParseHelperRequest(text);
}

Result<> Run() {
  const net::HelperRequest request = TRY(TakeRequest());
  if (request.operation == "setup") {
    return SetUp(request);
  }
  if (request.operation == "remove") {
    return Remove(request);
  }
  if (request.operation == "show") {
    return Show(request);
  }
  if (request.operation == "replace") {
    const net::HelperRequest next = TRY(TakeRequest());
    return Replace(request, next);
  }
  return std::unexpected(Failure("network: unknown operation " + request.operation, EINVAL));
}

}  // namespace
}  // namespace nucleus::egress

int main() {
  ::umask(0077);
  ::signal(SIGPIPE, SIG_IGN);
  const nucleus::Result<> result = nucleus::egress::Run();
  if (!result) {
    (void)nucleus::container::Send(nucleus::net::kHelperChannel, nucleus::container::Tag::kError,
                                   result.error().message, result.error().code);
  }
  // Nothing is left to be written, and taking everything down takes its time.
  ::_exit(result ? 0 : 1);
}
