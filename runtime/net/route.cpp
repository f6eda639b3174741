#include "runtime/net/route.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "runtime/net/link.h"

namespace nucleus::net {
namespace {

// A host that carries the whole Internet's routes has a million; then it is not asked further.
constexpr std::size_t kMaxRoutes = 1U << 21U;

}  // namespace

Result<> PutAddress(Socket& socket, std::int32_t index, const Prefix& address) {
  Address entry;
  entry.header.ifa_family = address.v6() ? AF_INET6 : AF_INET;
  entry.header.ifa_prefixlen = address.length;
  entry.header.ifa_scope = RT_SCOPE_UNIVERSE;
  entry.flags = address.v6() ? IFA_F_NODAD : 0;
  entry.attributes = Attributes{}.Add(IFA_LOCAL, address.bytes).Add(IFA_ADDRESS, address.bytes).bytes();
  return AddAddress(socket, index, entry, false);
}

Result<> PutRoute(Socket& socket, std::int32_t index, const Prefix& destination, const std::string& gateway) {
  rtmsg header{};
  header.rtm_family = destination.v6() ? AF_INET6 : AF_INET;
  header.rtm_dst_len = destination.length;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = gateway.empty() ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  Request request{RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, header};
  if (destination.length > 0) {
    request.Attribute(RTA_DST, destination.bytes);
  }
  if (!gateway.empty()) {
    request.Attribute(RTA_GATEWAY, gateway);
  }
  request.Number(RTA_OIF, static_cast<std::uint32_t>(index));
  TRY(socket.Exchange(std::move(request)));
  return {};
}

Result<std::vector<Route>> ListRoutes(Socket& socket, bool v6) {
  rtmsg filter{};
  filter.rtm_family = v6 ? AF_INET6 : AF_INET;
  filter.rtm_table = RT_TABLE_MAIN;
  Request request{RTM_GETROUTE, NLM_F_DUMP, filter};
  request.Number(RTA_TABLE, RT_TABLE_MAIN);
  Result<std::vector<std::string>> answers = socket.List(request, kMaxRoutes);
  if (!answers) {
    if (answers.error().code == ENOENT || answers.error().code == EAFNOSUPPORT || answers.error().code == EOPNOTSUPP) {
      return std::vector<Route>{};
    }
    return std::unexpected(std::move(answers).error());
  }
  std::vector<Route> routes;
  for (const std::string& answer : *answers) {
    rtmsg header{};
    const std::optional<std::string_view> attributes = TakeHeader(answer, header);
    if (!attributes || header.rtm_family != filter.rtm_family || header.rtm_table != RT_TABLE_MAIN ||
        header.rtm_type != RTN_UNICAST || (header.rtm_flags & RTM_F_CLONED) != 0) {
      continue;
    }
    Route route;
    route.destination.bytes = FindAttribute(*attributes, RTA_DST).value_or("");
    route.destination.bytes.resize(v6 ? 16 : 4);
    route.destination.length = header.rtm_dst_len;
    route.index = static_cast<std::int32_t>(NumberAttribute(*attributes, RTA_OIF));
    routes.push_back(std::move(route));
  }
  return routes;
}

}  // namespace nucleus::net
