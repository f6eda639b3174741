// nucleus-net as create, delete and egress run it: links, egress rules and the DNS gate of one container
// (runtime/net/request.h). Inside runtime/container only.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/state.h"
#include "runtime/container/bundle.h"
#include "runtime/container/container.h"
#include "runtime/container/state_dir.h"
#include "runtime/net/request.h"
#include "runtime/plan/plan.h"

namespace nucleus::container {

// A run of nucleus-net. It is started early, so that it is ready once there is something to ask of it.
class NetHelper {
 public:
  // `output`: its standard output; -1: none. `events`: a descriptor that it is given as kHelperEvents; -1: none.
  static Result<NetHelper> Launch(int output = -1, int events = -1);
  NetHelper(NetHelper&&) noexcept = default;
  NetHelper& operator=(NetHelper&&) noexcept = default;
  // One that has not said that it stays is ended.
  ~NetHelper();

  // Once, before anything else.
  Result<> Ask(const net::HelperRequest& request);
  // Hands a descriptor over.
  Result<> Give(int fd);
  // The next message; its error is the result's.
  Result<std::string> Await(char tag, int* code = nullptr);
  Result<> Go();
  // Waits for its end.
  Result<> Finish();
  // It goes on by itself.
  void LetGo();

  [[nodiscard]] pid_t pid() const {
    return pid_;
  }

 private:
  NetHelper() = default;
  pid_t pid_ = 0;
  Fd pidfd_;
  Fd channel_;
};

// A request as it is handed over: a file without a name.
Result<Fd> InMemory(const net::HelperRequest& request);

// The program is where it was installed.
bool NetHelperInstalled();
// Which file that is, and when it was put there: another one may make other rules. Empty where there is none.
std::string NetHelperIdentity();

// Leases of this host: by the network namespace of this process, so that namespaces share nothing.
Result<std::string> NetRunDirectory(bool rootless);

// What create asks for.
Result<net::HelperRequest> SetupRequest(const Settings& settings, const plan::Plan& plan, const Bundle& bundle,
                                        const plan::Host& host, const StateDir& directory);

// Of a container whose namespaces are there: descriptors.
struct NetHandles {
  int netns = -1;
  int userns = -1;
  int init = -1;  // pidfd
  bool rootless = false;
};

// What the state says of the network before there is any of it: on disk before HandOverNetwork.
oci::StateNetwork PlannedNetwork(const plan::Plan& plan);

// From here the helper works. An error where the namespace is the host's.
Result<> HandOverNetwork(NetHelper& helper, const NetHandles& handles);

// Where it makes links and takes a lease: the state says so on disk (`save`) before it does.
Result<> AdmitUplink(NetHelper& helper, oci::State& state, const std::function<Result<>()>& save);

// Waits until the network is there and its rules hold. `save` is called where the helper stays, before it goes on. Of a
// helper that does not stay, the end is not waited for: its destructor does, later.
Result<> CompleteNetwork(NetHelper& helper, oci::State& state, const std::function<Result<>()>& save);

// Ends what stays, takes away links, leases, and rules in a namespace that outlives the container. No error where there
// is nothing.
Result<> TakeNetworkAway(const oci::State& state);

}  // namespace nucleus::container
