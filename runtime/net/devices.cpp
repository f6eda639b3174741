#include "runtime/net/devices.h"

#include <fcntl.h>
#include <net/if.h>
#include <sys/random.h>

#include <array>
#include <cstdio>
#include <ranges>

#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::net {
namespace {

// A name that no link has in either namespace: a link keeps it while it moves, so that neither its old name nor its new
// one can be in the way, and so that it is known on the other side.
Result<std::string> PassageName() {
  std::array<unsigned char, 6> random{};
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    return std::unexpected(SysError("getrandom", ""));
  }
  std::string name = "nuc";
  for (const unsigned char byte : random) {
    std::array<char, 3> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x", byte);
    name += digits.data();
  }
  return name;
}

bool IsSame(const Link& one, const Link& other) {
  return one.kind == other.kind && one.address == other.address;
}

}  // namespace

Result<Devices> Devices::Open(pid_t container) {
  const std::string own = "/proc/self/ns/net";
  const std::string path = "/proc/" + std::to_string(container) + "/ns/net";
  Fd home = TRY(sys::Open(own, O_RDONLY));
  Fd away = TRY(sys::Open(path, O_RDONLY));
  const struct stat here = TRY(sys::Fstat(home.get(), own));
  const struct stat there = TRY(sys::Fstat(away.get(), path));
  if (here.st_dev == there.st_dev && here.st_ino == there.st_ino) {
    return std::unexpected(Failure("the container's network namespace is the host's own", EINVAL));
  }
  Socket here_socket = TRY(Socket::Open());
  Socket there_socket = TRY(Socket::OpenIn(away.get()));
  return Devices{std::move(home), std::move(away), std::move(here_socket), std::move(there_socket)};
}

Result<> Devices::Give(const plan::NetDevice& device) {
  Link link = TRY(FindLink(here_, device.host_name));
  std::vector<Address> addresses = TRY(ListAddresses(here_, link.index));
  std::string passage = TRY(PassageName());
  Moved& moved = moved_.emplace_back();
  moved.link = std::move(link);
  moved.addresses = std::move(addresses);
  moved.passage = std::move(passage);
  TRY_IN("set down", SetLinkUp(here_, moved.link.index, false));
  TRY_IN("rename", RenameLink(here_, moved.link.index, moved.passage));
  TRY_IN("move", MoveLink(here_, moved.link.index, away_.get()));
  moved.there = true;
  FAULT_POINT("create.net-device-moved");
  moved.index_there = TRY_IN("find in the container", FindLink(there_, moved.passage)).index;
  TRY_IN("rename to \"" + device.name + '"', RenameLink(there_, moved.index_there, device.name));
  for (const Address& address : moved.addresses) {
    if (address.permanent() && address.global()) {
      TRY_IN("address", AddAddress(there_, moved.index_there, address, false));
    }
  }
  TRY_IN("set up", SetLinkUp(there_, moved.index_there, true));
  return {};
}

Result<> Devices::Fetch(const Moved& moved) {
  const Link link = TRY(moved.index_there != 0 ? LinkAt(there_, moved.index_there) : FindLink(there_, moved.passage));
  // A namespace that others are in already, who may have put something else in its place.
  if (!IsSame(link, moved.link)) {
    return std::unexpected(Failure("it is no longer what was given to the container", ENODEV));
  }
  TRY(SetLinkUp(there_, link.index, false));
  TRY(RenameLink(there_, link.index, moved.passage));
  return MoveLink(there_, link.index, home_.get());
}

Result<> Devices::Restore(const Moved& moved) {
  if (moved.there) {
    TRY(Fetch(moved));
  }
  // Its index may be another's by now; and the first renaming may be what failed.
  Result<Link> back = FindLink(here_, moved.passage);
  const std::int32_t index = back ? back->index : TRY(FindLink(here_, moved.link.name)).index;
  if (back) {
    TRY(RenameLink(here_, index, moved.link.name));
  }
  Result<> outcome;
  const auto note = [&outcome](Result<> done) {
    if (!done && outcome) {
      outcome = std::move(done);
    }
  };
  if (moved.link.master != 0) {
    note(SetLinkMaster(here_, index, moved.link.master));
  }
  for (const Address& address : moved.addresses) {
    if (!address.temporary()) {  // the kernel makes these itself
      note(AddAddress(here_, index, address, true));
    }
  }
  if ((moved.link.flags & IFF_UP) != 0) {
    note(SetLinkUp(here_, index, true));
  }
  return outcome;
}

std::vector<Error> Devices::TakeBack() {
  std::vector<Error> errors;
  for (const Moved& moved : moved_ | std::views::reverse) {
    if (const Result<> restored = Restore(moved); !restored) {
      errors.push_back(Context("network device " + moved.link.name + " could not be given back", restored.error()));
    }
  }
  moved_.clear();
  return errors;
}

}  // namespace nucleus::net
