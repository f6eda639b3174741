// The network of one container while nucleus-net holds it: made by Make, changed by Replace, served by Serve.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "policies/egress_policy.h"
#include "runtime/egress/gate/gate.h"
#include "runtime/egress/helper/filters.h"
#include "runtime/egress/helper/record.h"
#include "runtime/egress/helper/refusals.h"
#include "runtime/egress/rules/compiled.h"
#include "runtime/egress/uplink/uplink.h"
#include "runtime/net/request.h"

namespace nucleus::egress {

struct ContainerHandles {
  Fd netns;
  Fd init;    // pidfd
  Fd userns;  // where the caller has no rights over the host
  [[nodiscard]] Place place() const {
    return {.netns = netns.get(), .userns = userns.valid() ? userns.get() : -1};
  }
};

class Network {
 public:
  Network(net::HelperRequest request, ContainerHandles handles)
      : request_(std::move(request)), handles_(std::move(handles)) {
  }
  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;
  ~Network();

  // Parses the policy, makes links (down). Nothing can pass yet. The result is the record that has to be on disk before
  // Attach.
  Result<std::string> Prepare();
  // The rules, the gate, then the links. The result is JSON: what is in force.
  Result<std::string> Attach();
  // An existing container's network, to look at it or to change it.
  Result<> Find();

  // A new policy in place of the one that holds.
  Result<std::string> Replace(const net::HelperRequest& next);
  Result<std::string> ShowText(bool json);

  // Has something to be served as long as the container lives?
  [[nodiscard]] bool Stays() const;
  // Until the container's init has ended. `control`: the listening socket.
  void Serve(int control);

  // Undoes all, unless Keep was called.
  void Keep() {
    kept_ = true;
  }

 private:
  Result<> ParsePolicy(const net::HelperRequest& request, policies::EgressPolicy& policy, Compiled& compiled) const;
  // The members' addresses, which are known once the container has one.
  Result<> AddMembers(Compiled& compiled) const;
  [[nodiscard]] std::string MemberAddress(Family family, std::uint32_t number) const;
  [[nodiscard]] Result<std::vector<gate::Host>> Hosts() const;
  Result<> OpenLogs();
  Result<gate::Sockets> OpenGate();
  Result<> StartGate();
  void StopGate();
  void ReadGate();
  void Answer(int control);
  void WaitForGate();
  [[nodiscard]] std::string FactsText(const std::optional<nft::Loaded>& inner,
                                      const std::optional<nft::Loaded>& outer) const;
  [[nodiscard]] std::optional<Outside> OutsidePlace() const;

  net::HelperRequest request_;
  ContainerHandles handles_;
  policies::EgressPolicy policy_;
  Compiled compiled_;
  std::optional<uplink::Uplink> uplink_;
  Record record_;
  std::optional<Filters> filters_;
  std::optional<RefusalLog> log_;
  Fd inner_log_;
  Fd outer_log_;
  Fd gate_netns_;  // where the container has a stack of its own
  pid_t gate_ = 0;
  Fd gate_process_;  // pidfd
  Fd gate_stop_;     // closed: it ends
  Fd gate_report_;
  std::string gate_line_;
  bool kept_ = false;
};

}  // namespace nucleus::egress
