// Network mode userspace with packets: pasta in namespaces of the test's own.

#include <grp.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>

#include <csignal>

#include "runtime/egress/uplink/program.h"
#include "runtime/egress/uplink/test_world.h"
#include "runtime/egress/uplink/worker.h"

namespace nucleus::uplink {
namespace {

using namespace test;

Request RequestOf(const Fd& netns, const std::string& publish = "") {
  Request request;
  request.mode = Mode::kUserspace;
  request.container_netns = netns.get();
  request.run_dir = "/nonexistent";
  if (!publish.empty()) {
    request.publish = Must(oci::ParsePublish(publish), "publish");
  }
  return request;
}

// Gone, or a zombie of this process.
bool Ended(int pidfd) {
  return Must(sys::PidfdWait(pidfd, 10000), "wait");
}

// pasta's processes: of the pid namespace whose process 1 is `keeper`.
std::vector<pid_t> Below(pid_t keeper) {
  std::vector<pid_t> found;
  const auto space = [](pid_t pid) {
    return sys::ReadLinkAt(AT_FDCWD, "/proc/" + std::to_string(pid) + "/ns/pid").value_or("");
  };
  const std::string wanted = space(keeper);
  for (const auto& entry : std::filesystem::directory_iterator{"/proc"}) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    const std::string path = "/proc/" + std::to_string(pid) + "/status";
    if (pid > 0 && pid != keeper && ReadFile(path, 65536).value_or("").find("Name:\tpass") != std::string::npos) {
      found.push_back(pid);
    }
  }
  return found;
}

std::string Status(pid_t pid, const std::string& key) {
  const std::string text = ReadFile("/proc/" + std::to_string(pid) + "/status", 65536).value_or("");
  const std::size_t at = text.find("\n" + key + ":\t");
  return at == std::string::npos ? "" : text.substr(at + key.size() + 3, text.find('\n', at + 1) - at - key.size() - 3);
}

bool HasPasta() {
  const Result<Program> program = FindProgram();
  if (!program || program->kind != Program::Kind::kPasta) {
    BOOST_TEST_MESSAGE("skipped: pasta is not installed");
    return false;
  }
  return true;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(uplink_userspace)

BOOST_AUTO_TEST_CASE(out_and_not_in) {
  if (!HasPasta()) {
    return;
  }
  BOOST_TEST(OnHost([] {
               const Fd outside = NewOutside();
               const Fd netns = NewNetns();
               Uplink uplink = Must(Uplink::Prepare(RequestOf(netns)), "prepare");
               {
                 net::Socket there = Must(net::Socket::OpenIn(netns.get()), "netlink");
                 const net::Link end = Must(net::FindLink(there, "eth0"), "eth0");
                 Expect((end.flags & IFF_UP) == 0, "eth0 is up before Attach");
                 net::Socket router = Must(net::Socket::OpenIn(uplink.filter_netns()), "netlink");
                 const net::Link device = Must(net::FindLink(router, uplink.filter_device()), "device");
                 Expect((device.flags & IFF_UP) == 0, "the device is up before Attach");
                 Expect(!net::FindLink(router, "tap0").has_value(), "a tap device before Attach");
               }
               Expect(Must(NetnsName(uplink.filter_netns()), "name") != Must(NetnsName(netns.get()), "name"),
                      "the router is the container's namespace");
               Must(uplink.Attach(), "attach");
               const Fd v4 = Serve(outside.get(), "198.51.100.2", 80);
               const Fd v6 = Serve(outside.get(), "2001:db8::2", 80);
               const Fd udp = Serve(outside.get(), "198.51.100.2", 53, SOCK_DGRAM);
               Same(Talk(netns.get(), "198.51.100.2", 80, v4), "198.51.100.1", "out, IPv4");
               Same(Talk(netns.get(), "2001:db8::2", 80, v6), "2001:db8::1", "out, IPv6");
               Same(TalkUdp(netns.get(), "198.51.100.2", 53, udp), "198.51.100.1", "out, UDP");
               // The host's loopback: by its address, and by the gateways of both sides.
               const Fd secret = Serve(-1, "127.0.0.1", 8000);
               const Fd secret6 = Serve(-1, "::1", 8000);
               for (const char* address : {"10.107.0.1", "10.107.255.1", "10.107.255.2"}) {
                 const std::string said = Talk(netns.get(), address, 8000, secret, 1000);
                 Expect(said == "no answer" || said == "Connection refused", std::string{address} + ": " + said);
               }
               for (const char* address : {"fd6e:7563:6c65:7573::1", "fd6e:7563:6c65:7574::ff01"}) {
                 const std::string said = Talk(netns.get(), address, 8000, secret6, 1000);
                 Expect(said == "no answer" || said == "Connection refused", std::string{address} + ": " + said);
               }
               // Nothing listens on the host for the container.
               const Fd inside = Serve(netns.get(), "0.0.0.0", 8080);
               Same(Talk(-1, "127.0.0.1", 8080, inside), "Connection refused", "in from the host");
               Same(Talk(outside.get(), "198.51.100.1", 8080, inside), "Connection refused", "in from outside");
               // pasta has no rights of the host's.
               const pid_t keeper = std::atoi(uplink.record().c_str() + std::string{"userspace "}.size());
               const std::vector<pid_t> pasta = Below(keeper);
               Expect(!pasta.empty(), "no pasta");
               for (const pid_t pid : pasta) {
                 Expect(Status(pid, "Uid").starts_with("65534\t65534"), "uid " + Status(pid, "Uid"));
                 Same(Status(pid, "NoNewPrivs"), "1", "no_new_privs");
                 Same(Status(pid, "Seccomp"), "2", "seccomp");
                 Expect(sys::ReadLinkAt(AT_FDCWD, "/proc/" + std::to_string(pid) + "/ns/user").value() !=
                            sys::ReadLinkAt(AT_FDCWD, "/proc/self/ns/user").value(),
                        "the host's user namespace");
               }
               Expect(Status(keeper, "Uid").starts_with("65534\t65534"), "keeper's uid " + Status(keeper, "Uid"));
               Same(Status(keeper, "NoNewPrivs"), "1", "keeper's no_new_privs");
               Must(Remove(uplink.record(), ""), "remove");
               Expect(Ended(uplink.process()), "the keeper has not ended");
               Must(Remove(uplink.record(), ""), "remove again");
               Expect(Talk(netns.get(), "198.51.100.2", 80, v4, 500) != "198.51.100.1", "still there");
               Same(TableNames(), "", "tables");
             }) == "");
}

BOOST_AUTO_TEST_CASE(published_ports) {
  if (!HasPasta()) {
    return;
  }
  BOOST_TEST(OnHost([] {
               const Fd outside = NewOutside();
               const Fd netns = NewNetns();
               Uplink uplink =
                   Must(Uplink::Prepare(RequestOf(
                            netns, "8080:80,127.0.0.1:8081:80,5353:53/udp,[2001:db8::1]:8082:80,9000-9002:7000-7002")),
                        "prepare");
               Must(uplink.Attach(), "attach");
               const std::string v4 = TextOf(uplink.station().v4.address);
               const std::string v6 = TextOf(uplink.station().v6->address);
               const Fd web = Serve(netns.get(), v4, 80);
               const Fd web6 = Serve(netns.get(), v6, 80);
               const Fd dns = Serve(netns.get(), v4, 53, SOCK_DGRAM);
               const Fd range = Serve(netns.get(), v4, 7001);
               const auto reached = [](const std::string& said, const char* what) {
                 Expect(said.starts_with("10.") || said.starts_with("fd6e") || said.starts_with("198.51.100.") ||
                            said.starts_with("2001:db8:"),
                        std::string{what} + ": " + said);
               };
               reached(Talk(outside.get(), "198.51.100.1", 8080, web), "from outside");
               Same(Talk(outside.get(), "2001:db8::1", 8080, web6), "Connection refused", "from outside, IPv6");
               reached(Talk(outside.get(), "2001:db8::1", 8082, web6), "from outside, one address of IPv6");
               Same(Talk(outside.get(), "198.51.100.1", 8081, web), "Connection refused", "loopback alone");
               reached(Talk(-1, "127.0.0.1", 8081, web), "from the host");
               reached(Talk(-1, "127.0.0.1", 8080, web), "from the host, all addresses");
               reached(Talk(-1, "198.51.100.1", 8080, web), "from the host, its own address");
               Same(Talk(-1, "::1", 8080, web6), "Connection refused", "from the host, loopback of IPv6");
               reached(Talk(outside.get(), "198.51.100.1", 9001, range), "a range");
               reached(TalkUdp(outside.get(), "198.51.100.1", 5353, dns), "UDP");
               Must(Remove(uplink.record(), ""), "remove");
               // The port is the host's again.
               Expect(Ended(uplink.process()), "the keeper has not ended");
               const Fd again = Serve(-1, "0.0.0.0", 8080);
             }) == "");
}

BOOST_AUTO_TEST_CASE(it_ends_with_its_parent) {
  if (!HasPasta()) {
    return;
  }
  BOOST_TEST(OnHost([] {
               const Fd outside = NewOutside();
               const Fd netns = NewNetns();
               int pipe[2];
               Expect(::pipe2(pipe, O_CLOEXEC) == 0, "pipe");
               const pid_t parent = ::fork();
               if (parent == 0) {
                 Uplink uplink = Must(Uplink::Prepare(RequestOf(netns)), "prepare");
                 Must(uplink.Attach(), "attach");
                 const std::string record = uplink.record();
                 (void)!::write(pipe[1], record.data(), record.size());
                 ::pause();
                 ::_exit(0);
               }
               char record[256] = "";
               Expect(::read(pipe[0], record, sizeof record - 1) > 0, "no record");
               const pid_t keeper = std::atoi(record + std::string{"userspace "}.size());
               std::vector<Fd> processes;
               processes.push_back(Must(sys::PidfdOpen(keeper), "keeper"));
               for (const pid_t pid : Below(keeper)) {
                 processes.push_back(Must(sys::PidfdOpen(pid), "pasta"));
               }
               Expect(processes.size() >= 2, "no pasta");
               const Fd server = Serve(outside.get(), "198.51.100.2", 80);
               Same(Talk(netns.get(), "198.51.100.2", 80, server), "198.51.100.1", "out");
               ::kill(parent, SIGKILL);
               for (const Fd& process : processes) {
                 Expect(Ended(process.get()), "a process outlives its parent");
               }
               ::waitpid(parent, nullptr, 0);
               Must(Remove(record, ""), "remove");
               // And with the router the container's link.
               for (int i = 0; i < 500; ++i) {
                 net::Socket there = Must(net::Socket::OpenIn(netns.get()), "netlink");
                 if (!net::FindLink(there, "eth0")) {
                   return;
                 }
                 ::usleep(10000);
               }
               Expect(false, "the container's link is still there");
             }) == "");
}

namespace {

constexpr uid_t kOrdinary = 61234;

// A device that an ordinary user may open, as udev makes it; seen by this process alone.
void OfferTun() {
  Expect(::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", "", MS_REC | MS_PRIVATE, nullptr) == 0 &&
             ::mount("tmpfs", "/dev/net", "tmpfs", 0, "mode=0755") == 0,
         "mount");
  ::umask(0);
  Expect(::mknod("/dev/net/tun", S_IFCHR | 0666, makedev(10, 200)) == 0, "mknod");
}

void BecomeOrdinary() {
  Expect(::setgroups(0, nullptr) == 0 && ::setresgid(kOrdinary, kOrdinary, kOrdinary) == 0 &&
             ::setresuid(kOrdinary, kOrdinary, kOrdinary) == 0,
         "become somebody");
  ::prctl(PR_SET_DUMPABLE, 1);
}

void MapRoot() {
  const auto write = [](const char* path, const std::string& text) {
    const Fd file = Must(sys::Open(path, O_WRONLY), path);
    Must(WriteAll(file.get(), text, path), path);
  };
  write("/proc/self/setgroups", "deny");
  write("/proc/self/uid_map", "0 " + std::to_string(kOrdinary) + " 1");
  write("/proc/self/gid_map", "0 " + std::to_string(kOrdinary) + " 1");
}

// A process in a network namespace of its own, with `own_user` in a user namespace of its own as well. Told to by a
// word over `here` it connects to the server outside, says over `here` whom that has seen, and serves one client at
// port 80.
pid_t StartContainer(Fd& here, const Fd& server, bool own_user) {
  Fd there;
  Must(sys::SocketPair(here, there), "pair");
  const pid_t container = ::fork();
  if (container != 0) {
    char buffer[256] = "";
    there.Reset();
    (void)!::recv(here.get(), buffer, sizeof buffer, 0);
    Same(buffer, "ready", "the container");
    return container;
  }
  here.Reset();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  try {
    if (own_user) {
      Expect(::unshare(CLONE_NEWUSER) == 0, "unshare");
      MapRoot();
    }
    Expect(::unshare(CLONE_NEWNET) == 0, "unshare");
    Must(net::SetLoopbackUp(), "lo");
  } catch (const std::exception& error) {
    Failures() += error.what();
  }
  const std::string said = Failures().empty() ? "ready" : Failures();
  (void)!::send(there.get(), said.data(), said.size(), 0);
  char word = 0;
  if (::recv(there.get(), &word, 1, 0) == 1) {
    const std::string out = Talk(-1, "198.51.100.2", 80, server);
    const Fd web = Serve(-1, "0.0.0.0", 80);
    (void)!::send(there.get(), out.data(), out.size(), 0);
    const Fd accepted{::accept(web.get(), nullptr, nullptr)};
    (void)!::write(accepted.get(), "pong", 4);
    ::pause();
  }
  ::_exit(0);
}

Fd NamespaceOf(pid_t process, const std::string& name) {
  return Must(sys::Open("/proc/" + std::to_string(process) + "/ns/" + name, O_RDONLY), name.c_str());
}

// Out of the container, and in to it from a socket of the world by port 8080 of the host.
void ExpectOutAndIn(const Fd& here, const Fd& world) {
  char buffer[256] = "";
  (void)!::send(here.get(), "x", 1, 0);
  (void)!::recv(here.get(), buffer, sizeof buffer - 1, 0);
  Same(buffer, "198.51.100.1", "out");
  const Socketed at = At("198.51.100.1", 8080);
  (void)::connect(world.get(), reinterpret_cast<const sockaddr*>(&at.address), at.size);
  Expect(Wait(world.get(), POLLOUT), "no way in");
  (void)!::write(world.get(), "ping", 4);
  Expect(Wait(world.get(), POLLIN) && ::read(world.get(), buffer, sizeof buffer) == 4, "no pong");
}

}  // namespace

// A caller without any right, and a container in a user namespace of his.
BOOST_AUTO_TEST_CASE(an_ordinary_caller) {
  if (!HasPasta()) {
    return;
  }
  BOOST_TEST(OnHost([] {
               const Fd outside = NewOutside();
               OfferTun();
               const Fd server = Serve(outside.get(), "198.51.100.2", 80);
               const Fd world = SocketIn(outside.get(), false, SOCK_STREAM | SOCK_NONBLOCK);
               BecomeOrdinary();
               Fd here;
               const pid_t container = StartContainer(here, server, true);
               const Fd netns = NamespaceOf(container, "net");
               const Fd userns = NamespaceOf(container, "user");
               Request request = RequestOf(netns, "8080:80");
               request.direct = true;
               request.container_userns = userns.get();
               {
                 Uplink uplink = Must(Uplink::Prepare(request), "prepare");
                 Expect(uplink.filter_netns() == -1 && uplink.filter_device().empty(), "a device to filter on");
                 Must(uplink.Attach(), "attach");
                 ExpectOutAndIn(here, world);
                 const pid_t keeper = std::atoi(uplink.record().c_str() + std::string{"userspace "}.size());
                 Expect(!Below(keeper).empty(), "no pasta");
                 Must(Remove(uplink.record(), ""), "remove");
                 Expect(Ended(uplink.process()), "the keeper has not ended");
               }
               ::kill(container, SIGKILL);
             }) == "");
}

// Root of a user namespace with a network namespace of its own: has a router as root has.
BOOST_AUTO_TEST_CASE(root_of_a_user_namespace) {
  if (!HasPasta()) {
    return;
  }
  BOOST_TEST(OnHost([] {
               const Fd outside = NewOutside();
               OfferTun();
               const Fd server = Serve(outside.get(), "198.51.100.2", 80);
               const Fd world = SocketIn(outside.get(), false, SOCK_STREAM | SOCK_NONBLOCK);
               BecomeOrdinary();
               Expect(::unshare(CLONE_NEWUSER) == 0, "unshare");
               MapRoot();
               Fd here;
               const pid_t container = StartContainer(here, server, false);
               const Fd netns = NamespaceOf(container, "net");
               {
                 // The network of the host is not its own.
                 Request bridge = RequestOf(netns);
                 bridge.mode = Mode::kBridge;
                 const RunDir run;
                 bridge.run_dir = run.path;
                 const Result<Uplink> refused = Uplink::Prepare(bridge);
                 Expect(!refused && refused.error().code == EPERM,
                        "bridge: " + (refused ? std::string{"accepted"} : refused.error().message));
               }
               Uplink uplink = Must(Uplink::Prepare(RequestOf(netns, "8080:80")), "prepare");
               Expect(uplink.filter_netns() >= 0, "no router");
               Must(uplink.Attach(), "attach");
               ExpectOutAndIn(here, world);
               Must(Remove(uplink.record(), ""), "remove");
               ::kill(container, SIGKILL);
             }) == "");
}

BOOST_AUTO_TEST_CASE(errors) {
  if (!HasPasta()) {
    return;
  }
  BOOST_TEST(OnHost([] {
               const Fd netns = NewNetns();
               const auto error = [](const Request& request) {
                 Result<Uplink> uplink = Uplink::Prepare(request);
                 if (!uplink) {
                   return uplink.error().message;
                 }
                 const Result<> attached = uplink->Attach();
                 return attached ? "accepted" : attached.error().message;
               };
               Same(error(RequestOf(netns)),
                    "network mode userspace takes a default route of the host, and there is none", "no route");
               const Fd outside = NewOutside();
               const Fd server = Serve(-1, "0.0.0.0", 7000);
               Same(error(RequestOf(netns, "7000:80")), "published port 7000: address already in use", "a server's");
               const std::string privileged = error(RequestOf(netns, "80:80"));
               Expect(privileged.starts_with("network mode userspace: /usr/bin/pasta: ") &&
                          privileged.find("0.0.0.0/80") != std::string::npos,
                      "a privileged port: " + privileged);
               const std::string second = error(RequestOf(netns, "8000:80,80:80"));
               Expect(second.find("80") != std::string::npos && second != "accepted", "one of two: " + second);
               Same(error(RequestOf(netns, "[::1]:8000:80")),
                    "published ports: not on [::1], to which the kernel takes no answer from a link; use 127.0.0.1",
                    "::1");
               net::Socket there = Must(net::Socket::OpenIn(netns.get()), "netlink");
               Expect(!net::FindLink(there, "eth0").has_value(), "the container's link is still there");
               Expect(error(RequestOf(netns, "127.0.0.1:53:1,127.0.0.2:53:2")).starts_with("published port 53: "),
                      "two addresses");
               Must(SetSysctl("ipv6/conf/all/disable_ipv6", "1"), "sysctl");
               Request request = RequestOf(netns);
               request.need_v6 = true;
               Expect(error(request).starts_with("IPv6 is asked for"), "IPv6: " + error(request));
               request.need_v6 = false;
               Same(error(request), "accepted", "IPv4 alone");
             }) == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::uplink
