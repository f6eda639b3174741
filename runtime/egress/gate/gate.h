// The DNS gate of one container: answers the names of members, and those that the egress policy allows, and puts their
// addresses into the sets of the firewall before the answer leaves. Docs: docs/gate.md.
//
// Three processes: the caller of Serve supervises; the *setter* keeps CAP_NET_ADMIN alone, and makes the sockets
// towards the servers; the *parser*, which reads what the container and the servers send, has no privilege at all.
// While either is away nothing is answered.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "policies/egress_policy.h"

namespace nucleus::gate {

// Of an allow rule with a domain. A name may match several: its addresses go to all their groups.
struct Name {
  std::string domain;     // lower case, no final dot; of a wildcard what stands behind "*."
  bool wildcard = false;  // any depth below the domain, not the domain itself
  std::uint32_t group = 0;
};

// One that is answered without asking anybody: another container, which the rules let through in any case.
struct Host {
  std::string name;  // lower case, no final dot
  std::vector<policies::Address> addresses;
};

struct Config {
  std::vector<Name> names;
  std::vector<Host> hosts;  // go before `names`
  std::vector<policies::Address>
      servers;  // none without names; asked on port 53, from the network namespace of the caller of Serve
  // Of the rules with a CIDR. An address that is private, loopback, link-local or special in another way is good as an
  // answer only where `allowed` has it; one that `denied` has is never.
  std::vector<policies::Cidr> allowed;
  std::vector<policies::Cidr> denied;
};

// One name is in no more groups than these.
inline constexpr std::size_t kMaxGroups = 32;
// In one call of Sets::Add.
inline constexpr std::size_t kMaxGrants = 4096;

struct Grant {
  policies::Address address;
  std::uint32_t group = 0;
  std::uint32_t seconds = 0;  // longer than what the client is told: at most kMaxTtl + kGrace
};

// TTLs, in seconds: what a client is told, and how much longer an address stays granted.
inline constexpr std::uint32_t kMinTtl = 5;
inline constexpr std::uint32_t kMaxTtl = 3600;
inline constexpr std::uint32_t kGrace = 60;

// What grants. Used in the setter alone, which is a fork of the caller of Serve.
class Sets {
 public:
  virtual ~Sets() = default;
  // In each new setter, before it gives up its privileges: what an earlier setter left half done in a shared descriptor
  // (an answer of the kernel that nobody has read) must not be met again. Opens the descriptors, or empties them.
  virtual Result<> Open() {
    return {};
  }
  // All that Add uses; everything else is closed in the setter. Asked for after Open.
  [[nodiscard]] virtual std::vector<int> Descriptors() const = 0;
  // All of them or an error. An element that is there already is to live at least as long as asked for. In the setter's
  // confinement: CAP_NET_ADMIN, no files, no new netlink sockets; sendto, sendmsg, sendmmsg, recvfrom, recvmsg, poll.
  virtual Result<> Add(std::span<const Grant> grants) = 0;
};

// Bound to port 53 of one address of the container's.
struct Sockets {
  Fd udp;
  Fd tcp;  // listening
};

// 127.0.0.53 in the network namespace `netns`; the process, which must be its only thread, is there for the moment of
// the call. The namespace's loopback need not be up yet.
Result<Sockets> ListenIn(int netns);
// Another address, for a stack that has no way to the namespace's loopback.
Result<Sockets> ListenIn(int netns, const policies::Address& address);

enum class OnDeath {
  kRestart,       // both are started anew, the sooner the rarer it happens
  kEndContainer,  // SIGKILL for the container's init
};

struct Options {
  int init_pidfd = -1;  // of the container's init
  OnDeath on_death = OnDeath::kRestart;
  // NDJSON, one object a line: what was refused, and deaths. Never waited for: what does not fit is dropped and
  // counted. May be empty. Made non-blocking. A pipe or a socket; a regular file grows to 64 MiB and no further.
  Fd report;
  // Gets one byte once names are answered, and is closed. May be empty.
  Fd ready;
  // Serve returns when this can be read or is closed at its other end; -1: none.
  int stop = -1;
};

// Until the container's init has ended, or `stop`. Then both processes are gone. The caller must be single-threaded,
// and is to ignore SIGPIPE or not as it likes. An error: what is asked for cannot be had (then nothing was ever
// answered), or a process ended with OnDeath::kEndContainer (the init is killed already).
Result<> Serve(Config config, Sockets sockets, Sets& sets, Options options);

}  // namespace nucleus::gate
