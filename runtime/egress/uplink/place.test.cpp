// Network mode bridge with packets: a host, a world and containers in namespaces of the test's own.

#include "runtime/egress/uplink/test_world.h"

namespace nucleus::uplink {
namespace {

using namespace test;

struct Container {
  Fd netns = NewNetns();
  std::optional<Uplink> uplink;
  std::string v4;
  std::string v6;
};

Request RequestOf(const Container& container, const RunDir& run, const std::string& publish = "") {
  Request request;
  request.mode = Mode::kBridge;
  request.container_netns = container.netns.get();
  request.run_dir = run.path;
  if (!publish.empty()) {
    request.publish = Must(oci::ParsePublish(publish), "publish");
  }
  return request;
}

Container Attached(const RunDir& run, const std::string& publish = "") {
  Container container;
  container.uplink.emplace(Must(Uplink::Prepare(RequestOf(container, run, publish)), "prepare"));
  Must(container.uplink->Attach(), "attach");
  container.v4 = TextOf(container.uplink->station().v4.address);
  if (container.uplink->station().v6) {
    container.v6 = TextOf(container.uplink->station().v6->address);
  }
  return container;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(uplink_bridge)

BOOST_AUTO_TEST_CASE(out_and_not_in) {
  BOOST_TEST(
      OnHost([] {
        const RunDir run;
        const Fd outside = NewOutside();
        const Container one = Attached(run);
        const Fd v4 = Serve(outside.get(), "198.51.100.2", 80);
        const Fd v6 = Serve(outside.get(), "2001:db8::2", 80);
        const Fd udp = Serve(outside.get(), "198.51.100.2", 53, SOCK_DGRAM);
        // As the host.
        Same(Talk(one.netns.get(), "198.51.100.2", 80, v4), "198.51.100.1", "out, IPv4");
        Same(Talk(one.netns.get(), "2001:db8::2", 80, v6), "2001:db8::1", "out, IPv6");
        Same(TalkUdp(one.netns.get(), "198.51.100.2", 53, udp), "198.51.100.1", "out, UDP");
        // To the host itself, as the container.
        const Fd host = Serve(-1, "198.51.100.1", 8000);
        Same(Talk(one.netns.get(), "198.51.100.1", 8000, host), one.v4, "to the host");
        // Somebody outside who knows of the network and sends there by way of the host.
        net::Socket world = Must(net::Socket::OpenIn(outside.get()), "netlink");
        const net::Link link = Must(net::FindLink(world, "world0"), "world0");
        Must(net::PutRoute(world, link.index, {.bytes = Bytes(one.v4.c_str()), .length = 32}, Bytes("198.51.100.1")),
             "route");
        Must(net::PutRoute(world, link.index, {.bytes = Bytes(one.v6.c_str()), .length = 128}, Bytes("2001:db8::1")),
             "route");
        const Fd inside = Serve(one.netns.get(), "0.0.0.0", 8080);
        const Fd inside6 = Serve(one.netns.get(), "::", 8081);
        Same(Talk(outside.get(), one.v4, 8080, inside), "Connection refused", "in from outside");
        Same(Talk(outside.get(), one.v6, 8081, inside6), "Connection refused", "in from outside, IPv6");
        Expect(Talk(-1, one.v4, 8080, inside).starts_with("10."), "from the host");
        Must(Remove(one.uplink->record(), run.path), "remove");
        ExpectNothingLeft(run);
        Must(Remove(one.uplink->record(), run.path), "remove again");
      }) == "");
}

BOOST_AUTO_TEST_CASE(nothing_passes_before_attach) {
  BOOST_TEST(OnHost([] {
               const RunDir run;
               const Fd outside = NewOutside();
               Container one;
               {
                 Uplink uplink = Must(Uplink::Prepare(RequestOf(one, run)), "prepare");
                 net::Socket here = Must(net::Socket::Open(), "netlink");
                 const net::Link port = Must(net::FindLink(here, uplink.filter_device()), "device");
                 Expect((port.flags & IFF_UP) == 0 && port.master == 0, "the device is up or a port");
                 net::Socket there = Must(net::Socket::OpenIn(one.netns.get()), "netlink");
                 const net::Link end = Must(net::FindLink(there, "eth0"), "eth0");
                 Expect((end.flags & IFF_UP) == 0, "eth0 is up");
                 Expect(end.address == std::string(uplink.container_mac().begin(), uplink.container_mac().end()),
                        "the MAC address of the container");
                 Expect(Must(net::ListAddresses(there, end.index), "addresses").empty(), "eth0 has addresses");
                 Same(Must(NetnsName(uplink.filter_netns()), "name"), Must(NetnsName(), "name"), "namespace");
               }
               ExpectNothingLeft(run);  // it came to nothing
             }) == "");
}

BOOST_AUTO_TEST_CASE(published_ports) {
  BOOST_TEST(OnHost([] {
               const RunDir run;
               const Fd outside = NewOutside();
               const Container one =
                   Attached(run,
                            "8080:80,127.0.0.1:8081:80,5353:53/udp,[2001:db8::1]:8082:80,9000-9002:7000-7002,"
                            "6000-6003:6000-6003");
               const Container two = Attached(run);
               const Fd web = Serve(one.netns.get(), one.v4, 80);
               const Fd web6 = Serve(one.netns.get(), one.v6, 80);
               const Fd dns = Serve(one.netns.get(), one.v4, 53, SOCK_DGRAM);
               const Fd shifted = Serve(one.netns.get(), one.v4, 7001);
               const Fd same = Serve(one.netns.get(), one.v4, 6003);
               const std::string gateway = TextOf(one.uplink->station().v4_gateway);
               const std::string gateway6 = TextOf(*one.uplink->station().v6_gateway);
               Same(Talk(outside.get(), "198.51.100.1", 8080, web), "198.51.100.2", "from outside");
               Same(Talk(outside.get(), "2001:db8::1", 8080, web6), "2001:db8::2", "from outside, IPv6");
               Same(Talk(outside.get(), "2001:db8::1", 8082, web6), "2001:db8::2", "from outside, one address");
               Same(Talk(outside.get(), "198.51.100.1", 8082, web), "Connection refused",
                    "from outside, another address");
               Same(Talk(outside.get(), "198.51.100.1", 8081, web), "Connection refused", "loopback alone");
               Same(Talk(outside.get(), "198.51.100.1", 9001, shifted), "198.51.100.2", "a range with other numbers");
               Same(Talk(outside.get(), "198.51.100.1", 6003, same), "198.51.100.2", "a range");
               Same(Talk(outside.get(), "198.51.100.1", 9003, shifted), "Connection refused", "behind the range");
               Same(TalkUdp(outside.get(), "198.51.100.1", 5353, dns), "198.51.100.2", "UDP");
               // From the host.
               Same(Talk(-1, "198.51.100.1", 8080, web), "198.51.100.1", "from the host");
               Same(Talk(-1, "127.0.0.1", 8080, web), gateway, "from the host, loopback");
               Same(Talk(-1, "127.0.0.1", 8081, web), gateway, "from the host, loopback alone");
               Same(Talk(-1, "2001:db8::1", 8080, web6), "2001:db8::1", "from the host, IPv6");
               Same(Talk(-1, "::1", 8080, web6), "Connection refused", "from the host, loopback of IPv6");
               // Hairpin: from the container itself and from another one, by an address of the host.
               Same(Talk(one.netns.get(), "198.51.100.1", 8080, web), gateway, "from itself");
               Same(Talk(one.netns.get(), "2001:db8::1", 8080, web6), gateway6, "from itself, IPv6");
               Same(Talk(two.netns.get(), "198.51.100.1", 8080, web), two.v4, "from another one");
               Same(Talk(two.netns.get(), gateway, 8080, web), two.v4, "from another one, by the gateway");
               Same(Talk(two.netns.get(), "2001:db8::1", 8080, web6), two.v6, "from another one, IPv6");
               // Again, as nothing has told it another way meanwhile.
               Same(Talk(two.netns.get(), "198.51.100.1", 8080, web), two.v4, "from another one, again");
               Must(Remove(one.uplink->record(), run.path), "remove");
               Expect(Talk(outside.get(), "198.51.100.1", 8080, web) != "198.51.100.2", "still there");
               Must(Remove(two.uplink->record(), run.path), "remove");
               ExpectNothingLeft(run);
             }) == "");
}

BOOST_AUTO_TEST_CASE(containers_are_apart) {
  BOOST_TEST(OnHost([] {
               const RunDir run;
               const Fd outside = NewOutside();
               const Container one = Attached(run);
               const Container two = Attached(run);
               Expect(one.v4 != two.v4 && one.v6 != two.v6, "the same address");
               const Fd web = Serve(one.netns.get(), one.v4, 80);
               const Fd web6 = Serve(one.netns.get(), one.v6, 80);
               Same(Talk(two.netns.get(), one.v4, 80, web), "Connection refused", "by the gateway");
               Same(Talk(two.netns.get(), one.v6, 80, web6), "Connection refused", "by the gateway, IPv6");
               // Over the link: as if it were there.
               net::Socket socket = Must(net::Socket::OpenIn(two.netns.get()), "netlink");
               const net::Link link = Must(net::FindLink(socket, "eth0"), "eth0");
               Must(net::PutRoute(socket, link.index, {.bytes = Bytes(one.v4.c_str()), .length = 32}, ""), "route");
               Expect(Talk(two.netns.get(), one.v4, 80, web, 1500) != two.v4, "over the link");
               // A server of the host on its loopback, which the settings of the bridge bring into reach.
               const Fd secret = Serve(-1, "127.0.0.1", 8000);
               Must(net::PutRoute(socket, link.index, {.bytes = Bytes("127.0.0.1"), .length = 32},
                                  Bytes(TextOf(two.uplink->station().v4_gateway).c_str())),
                    "route");
               {
                 const Visit visit = Must(Visit::Begin(two.netns.get()), "visit");
                 Must(SetSysctl("ipv4/conf/eth0/route_localnet", "1"), "sysctl");
                 net::Link lo = Must(net::FindLink(socket, "lo"), "lo");
                 Must(net::SetLinkUp(socket, lo.index, false), "down");
               }
               Expect(Talk(two.netns.get(), "127.0.0.1", 8000, secret, 1500) != two.v4, "the host's loopback");
             }) == "");
}

BOOST_AUTO_TEST_CASE(ports_that_are_taken) {
  BOOST_TEST(
      OnHost([] {
        const RunDir run;
        const Container one = Attached(run, "8080-8090:80-90,53:53/udp");
        const auto error = [&run](const char* publish) {
          Container two;
          const Result<Uplink> uplink = Uplink::Prepare(RequestOf(two, run, publish));
          return uplink ? "accepted" : uplink.error().message;
        };
        Same(error("8085:1"), "published port 8085 is another container's: address already in use", "TCP");
        Same(error("127.0.0.1:53:1/udp"), "published port 53 is another container's: address already in use", "UDP");
        Same(error("53:53"), "accepted", "another protocol");
        const Fd server = Serve(-1, "127.0.0.1", 7000);
        Same(error("7000:1"), "published port 7000: address already in use", "a server's");
        Same(error("127.0.0.2:7000:1"), "accepted", "another address");
        Expect(error("192.0.2.77:7000:1").ends_with("cannot assign requested address"), "no address of the host");
        Same(error("10000-12000:20000-22000"),
             "published ports: more than 1024 ports in ranges that lead to other numbers", "too many");
        Must(Remove(one.uplink->record(), run.path), "remove");
        ExpectNothingLeft(run);
      }) == "");
}

BOOST_AUTO_TEST_CASE(refusals) {
  BOOST_TEST(OnHost([] {
               const RunDir run;
               Container one;
               Request request = RequestOf(one, run);
               const auto error = [&request] {
                 const Result<Uplink> uplink = Uplink::Prepare(request);
                 return uplink ? "accepted" : uplink.error().message;
               };
               const Fd own = Must(sys::Open("/proc/self/ns/net", O_RDONLY), "own");
               request.container_netns = own.get();
               Same(error(), "the container has the network namespace of its host", "the host's namespace");
               request.container_netns = one.netns.get();
               net::Socket there = Must(net::Socket::OpenIn(one.netns.get()), "netlink");
               Must(net::MakeBridge(there, "eth0", {2, 0, 0, 0, 0, 9}), "bridge");
               Same(error(), "the network namespace of the container has a link eth0 already", "eth0");
               Must(net::DeleteLink(there, Must(net::FindLink(there, "eth0"), "eth0").index), "delete");
               net::Socket here = Must(net::Socket::Open(), "netlink");
               Must(net::MakeBridge(here, "nucleus0", {2, 0, 0, 0, 0, 9}), "bridge");
               Same(error(), "the link nucleus0 of this host is not one that nucleus has made",
                    "a bridge of another's");
               Expect(net::FindLink(here, "nucleus0").has_value(), "and is left alone");
               Must(net::DeleteLink(here, Must(net::FindLink(here, "nucleus0"), "nucleus0").index), "delete");
               // All pools overlap a route: the host's networks come first.
               Must(net::MakeBridge(here, "lan0", {2, 0, 0, 0, 0, 9}), "bridge");
               const net::Link lan = Must(net::FindLink(here, "lan0"), "lan0");
               Must(net::SetLinkUp(here, lan.index, true), "up");
               Must(net::PutRoute(here, lan.index, {.bytes = Bytes("10.0.0.0"), .length = 8}, ""), "route");
               Same(error(), "accepted", "another pool");
               Must(net::PutRoute(here, lan.index, {.bytes = Bytes("172.16.0.0"), .length = 12}, ""), "route");
               Must(net::PutRoute(here, lan.index, {.bytes = Bytes("192.168.7.0"), .length = 24}, ""), "route");
               Expect(error().starts_with("the network 10.107.0.0/16 of containers overlaps the route to 10.0.0.0/8"),
                      "no pool: " + error());
               ExpectNothingLeft(run);
               Must(SetSysctl("ipv6/conf/all/disable_ipv6", "1"), "sysctl");
               request.need_v6 = true;
               Same(error(), "IPv6 is asked for, and this host has it switched off", "IPv6");
               ::chmod(run.path.c_str(), 0777);
               request.need_v6 = false;
               Expect(error().ends_with("is not this user's alone to change"), "run_dir: " + error());
             }) == "");
}

BOOST_AUTO_TEST_CASE(without_ipv6) {
  BOOST_TEST(OnHost([] {
               const RunDir run;
               const Fd outside = NewOutside();
               Must(SetSysctl("ipv6/conf/all/disable_ipv6", "1"), "sysctl");
               const Container one = Attached(run, "8080:80");
               Expect(!one.uplink->station().v6.has_value(), "it has IPv6");
               const Fd server = Serve(outside.get(), "198.51.100.2", 80);
               Same(Talk(one.netns.get(), "198.51.100.2", 80, server), "198.51.100.1", "out");
               Must(Remove(one.uplink->record(), run.path), "remove");
             }) == "");
}

// What the host does already goes on.
BOOST_AUTO_TEST_CASE(a_host_that_forwards) {
  BOOST_TEST(
      OnHost([] {
        const RunDir run;
        const Fd outside = NewOutside();
        const Fd lan = NewNetns();
        net::Socket here = Must(net::Socket::Open(), "netlink");
        Must(net::MakeVeth(here, {.name = "lan0", .mac = {2, 0, 0, 0, 0, 5}},
                           {.name = "lan1", .mac = {2, 0, 0, 0, 0, 6}}, lan.get()),
             "veth");
        net::Socket there = Must(net::Socket::OpenIn(lan.get()), "netlink");
        const net::Link near = Must(net::FindLink(here, "lan0"), "lan0");
        const net::Link far = Must(net::FindLink(there, "lan1"), "lan1");
        Must(net::SetLinkUp(here, near.index, true), "up");
        Must(net::SetLinkUp(there, far.index, true), "up");
        Must(net::PutAddress(here, near.index, {.bytes = Bytes("203.0.113.1"), .length = 24}), "address");
        Must(net::PutAddress(there, far.index, {.bytes = Bytes("203.0.113.2"), .length = 24}), "address");
        Must(net::PutRoute(there, far.index, {.bytes = std::string(4, '\0'), .length = 0}, Bytes("203.0.113.1")),
             "route");
        net::Socket world = Must(net::Socket::OpenIn(outside.get()), "netlink");
        const net::Link link = Must(net::FindLink(world, "world0"), "world0");
        Must(net::PutRoute(world, link.index, {.bytes = Bytes("203.0.113.0"), .length = 24}, Bytes("198.51.100.1")),
             "route");
        const Fd server = Serve(outside.get(), "198.51.100.2", 80);
        {
          const Container one = Attached(run);
          Expect(Talk(lan.get(), "198.51.100.2", 80, server, 1000) == "no answer",
                 "the host forwards for others because of us");
          Must(Remove(one.uplink->record(), run.path), "remove");
          ExpectNothingLeft(run);
        }
        Must(SetSysctl("ipv4/ip_forward", "1"), "sysctl");
        const Container one = Attached(run);
        Same(Talk(lan.get(), "198.51.100.2", 80, server), "203.0.113.2", "the host forwards no more");
        Must(Remove(one.uplink->record(), run.path), "remove");
        Same(GetSysctl("ipv4/ip_forward").value_or(""), "1", "forwarding");
        Same(GetSysctl("ipv6/conf/all/forwarding").value_or(""), "0", "forwarding of IPv6");
      }) == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::uplink
