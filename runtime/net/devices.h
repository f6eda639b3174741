// linux.netDevices: links of the host that a container gets, and gets back to the host where the container comes to
// nothing. Source: config-linux.md, "Network Devices".
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "runtime/net/link.h"
#include "runtime/plan/plan.h"

namespace nucleus::net {

class Devices {
 public:
  // From the network namespace of this process, the host's, into that of `container`. An error where they are the same.
  static Result<Devices> Open(pid_t container);

  // Moves the link, renames it, gives it the permanent addresses of global scope that it had, and sets it up. EEXIST
  // where its name is taken there. Routes, and ports of a bridge or bond, are not carried over. On error the link may
  // be half way: TakeBack.
  Result<> Give(const plan::NetDevice& device);

  // Each link that Give has touched is the host's again: its name, bridge, addresses, and whether it is up. The links
  // come back even when the container's processes have ended meanwhile. The result has what went wrong.
  std::vector<Error> TakeBack();

 private:
  struct Moved {
    Link link;                       // as it was in the host
    std::vector<Address> addresses;  // all that it had there
    std::string passage;             // the name under which it moves: nobody has it
    bool there = false;
    std::int32_t index_there = 0;
  };

  Devices(Fd home, Fd away, Socket here, Socket there)
      : home_(std::move(home)), away_(std::move(away)), here_(std::move(here)), there_(std::move(there)) {
  }
  Result<> Fetch(const Moved& moved);
  Result<> Restore(const Moved& moved);

  Fd home_;  // the two namespaces
  Fd away_;
  Socket here_;
  Socket there_;
  std::vector<Moved> moved_;
};

}  // namespace nucleus::net
