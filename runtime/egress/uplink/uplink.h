// The uplink of one container, of network modes `bridge` and `userspace`: docs/network.md.
//
//   bridge      container eth0 <- veth -> nucN, a port of the bridge nucleus0 in the namespace of the caller, which
//               routes, masquerades and publishes ports
//   userspace   container eth0 <- veth -> nucN in a router namespace, which masquerades out of the tap device of pasta
//               (or slirp4netns); with `direct` the tap device is the container's eth0 itself
//
// For a process with one thread: it visits other network namespaces for moments. It takes CAP_NET_ADMIN over the
// namespace that it is called in (bridge) or the rights to make a user namespace (userspace).
//
// The order is Prepare, filters on filter_device(), Attach. Before Attach no packet can pass: every link is down and
// nothing is connected to anything. An Uplink that goes without Attach takes all that it made with it; after Attach,
// Remove() with its record does.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "oci-config/publish.h"
#include "policies/egress_policy.h"

namespace nucleus::uplink {

enum class Mode { kBridge, kUserspace };

struct Request {
  Mode mode = Mode::kBridge;
  int container_netns = -1;  // descriptor; not the caller's own namespace
  // A directory of the caller's alone, shared by all containers of the host: made where it is missing (0700).
  std::string run_dir;
  std::vector<oci::PublishedPort> publish;
  // bridge: the number that the container is to have, 0: any; and those of the containers that may send to it.
  std::uint32_t number = 0;
  std::vector<std::uint32_t> members;
  std::uint32_t last_number = 0;  // of the pool, for tests of its end; 0: as it is
  bool need_v6 = false;           // an error where the host has no IPv6; otherwise the container then has IPv4 alone
  // userspace: no router namespace. For a caller without rights of its own: the processes of pasta run in the user
  // namespace that `container_userns` is a descriptor of.
  bool direct = false;
  int container_userns = -1;
};

struct Station {
  policies::Cidr v4;                 // of the container: a /32
  policies::Address v4_gateway;      // the next hop
  std::optional<policies::Cidr> v6;  // a /128
  std::optional<policies::Address> v6_gateway;
};

using Mac = std::array<std::uint8_t, 6>;

class Uplink {
 public:
  struct Impl;
  static Result<Uplink> Prepare(const Request& request);
  Uplink(Uplink&&) noexcept;
  Uplink& operator=(Uplink&&) noexcept;
  ~Uplink();

  // The namespace and the device that every packet of the container comes in by (netdev ingress). With `direct` there
  // is none outside of the container's reach: -1 and "".
  [[nodiscard]] int filter_netns() const;
  [[nodiscard]] const std::string& filter_device() const;

  // With `direct` known after Attach only, the MAC addresses not at all.
  [[nodiscard]] const Station& station() const;
  [[nodiscard]] const Mac& container_mac() const;
  // Of what answers for the gateway: the bridge, or the other end of the veth.
  [[nodiscard]] const Mac& gateway_mac() const;

  // Connects it: addresses, routes, links up, masquerade and published ports; starts pasta. The container's link is
  // named eth0.
  Result<> Attach();

  // userspace: readable when pasta has ended (a pidfd); then the container has no network any more. -1 for bridge.
  // pasta ends with this process: whoever calls Prepare stays as long as the container does.
  [[nodiscard]] int process() const;

  // One line without spaces at its ends, for Remove; known from Prepare on. Write it down before Attach.
  [[nodiscard]] const std::string& record() const;

 private:
  explicit Uplink(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Takes away whatever is left of the uplink with that record: links, lease, tables, processes. No error where there is
// nothing any more. In the namespace that Prepare was called in. A container that came to nothing before its record was
// written is cleaned up after by the next Prepare.
Result<> Remove(std::string_view record, const std::string& run_dir);

}  // namespace nucleus::uplink
