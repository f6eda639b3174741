#include "runtime/net/link.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

namespace nucleus::net {
namespace {

Request LinkRequest(std::uint16_t type, std::int32_t index, std::uint32_t flags = 0, std::uint32_t change = 0) {
  ifinfomsg header{};
  header.ifi_family = AF_UNSPEC;
  header.ifi_index = index;
  header.ifi_flags = flags;
  header.ifi_change = change;
  return {type, NLM_F_ACK, header};
}

Result<> Change(Socket& socket, Request request) {
  TRY(socket.Exchange(std::move(request)));
  return {};
}

Result<Link> AskForLink(Socket& socket, Request request) {
  for (const std::string& answer : TRY(socket.Exchange(std::move(request)))) {
    ifinfomsg header{};
    const std::optional<std::string_view> attributes = TakeHeader(answer, header);
    if (!attributes) {
      continue;
    }
    return Link{.index = header.ifi_index,
                .flags = header.ifi_flags,
                .name = TextAttribute(*attributes, IFLA_IFNAME),
                .address = std::string{FindAttribute(*attributes, IFLA_ADDRESS).value_or("")},
                .kind = TextAttribute(FindAttribute(*attributes, IFLA_LINKINFO).value_or(""), IFLA_INFO_KIND),
                .master = NumberAttribute(*attributes, IFLA_MASTER)};
  }
  return std::unexpected(Failure(ErrnoText(ENODEV), ENODEV));
}

}  // namespace

Result<Link> FindLink(Socket& socket, const std::string& name) {
  return AskForLink(socket, LinkRequest(RTM_GETLINK, 0).Text(IFLA_IFNAME, name));
}

Result<Link> LinkAt(Socket& socket, std::int32_t index) {
  return AskForLink(socket, LinkRequest(RTM_GETLINK, index));
}

Result<> RenameLink(Socket& socket, std::int32_t index, const std::string& name) {
  return Change(socket, LinkRequest(RTM_SETLINK, index).Text(IFLA_IFNAME, name));
}

Result<> SetLinkUp(Socket& socket, std::int32_t index, bool up) {
  return Change(socket, LinkRequest(RTM_SETLINK, index, up ? IFF_UP : 0, IFF_UP));
}

Result<> SetLinkMaster(Socket& socket, std::int32_t index, std::uint32_t master) {
  return Change(socket, LinkRequest(RTM_SETLINK, index).Number(IFLA_MASTER, master));
}

Result<> MoveLink(Socket& socket, std::int32_t index, int netns) {
  return Change(socket, LinkRequest(RTM_SETLINK, index).Number(IFLA_NET_NS_FD, static_cast<std::uint32_t>(netns)));
}

bool Address::global() const {
  return header.ifa_scope == RT_SCOPE_UNIVERSE;
}

bool Address::temporary() const {
  return header.ifa_family == AF_INET6 && (flags & IFA_F_TEMPORARY) != 0;
}

Result<std::vector<Address>> ListAddresses(Socket& socket, std::int32_t index) {
  std::vector<Address> addresses;
  for (const auto family : {AF_INET, AF_INET6}) {
    ifaddrmsg filter{};
    filter.ifa_family = static_cast<std::uint8_t>(family);
    filter.ifa_index = static_cast<std::uint32_t>(index);
    for (const std::string& answer : TRY(socket.List({RTM_GETADDR, NLM_F_DUMP, filter}))) {
      Address address;
      const std::optional<std::string_view> attributes = TakeHeader(answer, address.header);
      // A kernel without this family answers for another.
      if (!attributes || address.header.ifa_family != family || address.header.ifa_index != filter.ifa_index) {
        continue;
      }
      const std::optional<std::string_view> flags = FindAttribute(*attributes, IFA_FLAGS);
      address.flags = flags ? NumberAttribute(*attributes, IFA_FLAGS) : address.header.ifa_flags;
      address.attributes = *attributes;
      addresses.push_back(std::move(address));
    }
  }
  return addresses;
}

Result<> AddAddress(Socket& socket, std::int32_t index, const Address& address, bool again) {
  ifaddrmsg header = address.header;
  header.ifa_index = static_cast<std::uint32_t>(index);
  header.ifa_flags = 0;
  Request request{RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, header};
  const auto copy = [&request, &address](std::uint16_t type) {
    if (const std::optional<std::string_view> value = FindAttribute(address.attributes, type)) {
      request.Attribute(type, *value);
    }
  };
  for (const std::uint16_t type : {IFA_LOCAL, IFA_ADDRESS, IFA_BROADCAST, IFA_RT_PRIORITY}) {
    copy(type);
  }
  if (again) {
    copy(IFA_LABEL);
    if (!address.permanent()) {
      copy(IFA_CACHEINFO);
    }
  }
  // What somebody asked for; the others tell how the kernel stands with it.
  constexpr std::uint32_t kWishes =
      IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_MANAGETEMPADDR | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN;
  request.Number(IFA_FLAGS, address.flags & kWishes);
  Result<> added = Change(socket, std::move(request));
  return !added && added.error().code == EEXIST ? Result<>{} : added;
}

}  // namespace nucleus::net
