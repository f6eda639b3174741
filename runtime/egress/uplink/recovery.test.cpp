// What is left when processes are killed, and when many come at once.

#include <sys/ptrace.h>

#include <chrono>
#include <csignal>
#include <set>
#include <thread>

#include "runtime/egress/uplink/bridge.h"
#include "runtime/egress/uplink/test_world.h"

namespace nucleus::uplink {
namespace {

using namespace test;

Request RequestOf(const Fd& netns, const RunDir& run) {
  Request request;
  request.mode = Mode::kBridge;
  request.container_netns = netns.get();
  request.run_dir = run.path;
  return request;
}

// Runs `work` in a process that is killed when it makes its system call number `most`. True: it came to its end before.
bool KilledAt(int most, const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    try {
      work();
    } catch (const std::exception&) {
      std::fprintf(stderr, "%s", Failures().c_str());
    }
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  for (int stops = 0;;) {
    ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status)) {
      return true;
    }
    if (WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80) && ++stops == 2 * most) {
      ::kill(child, SIGKILL);
      ::waitpid(child, &status, 0);
      return false;
    }
  }
}

// One container comes and goes.
void ComeAndGo(const RunDir& run) {
  const Fd netns = NewNetns();
  Uplink uplink = Must(Uplink::Prepare(RequestOf(netns, run)), "prepare");
  Must(uplink.Attach(), "attach");
  Must(Remove(uplink.record(), run.path), "remove");
}

std::string Left(const RunDir& run) {
  return LinkNames() + TableNames() + FileNames(run.path) + GetSysctl("ipv4/ip_forward").value_or("?") +
         GetSysctl("ipv6/conf/all/forwarding").value_or("?");
}

constexpr int kStep = 7;

}  // namespace

BOOST_AUTO_TEST_SUITE(uplink_recovery)

BOOST_AUTO_TEST_CASE(killed_on_the_way_up) {
  BOOST_TEST(OnHost([] {
               const RunDir run;
               int kills = 0;
               for (int most = 1;; most += kStep) {
                 bool ended = false;
                 {
                   const Fd netns = NewNetns();
                   ended = KilledAt(most, [&] {
                     Uplink uplink = Must(Uplink::Prepare(RequestOf(netns, run)), "prepare");
                     Must(uplink.Attach(), "attach");
                     ::_exit(0);
                   });
                 }
                 // The container is gone; its namespace goes some time later, and what was made in its name with the
                 // next one.
                 std::string left;
                 for (int i = 0; i < 200; ++i) {
                   ComeAndGo(run);
                   left = Left(run);
                   if (left == "00") {
                     break;
                   }
                   std::this_thread::sleep_for(std::chrono::milliseconds{20});
                 }
                 Same(left, "00", "left when killed at " + std::to_string(most));
                 if (ended || !Failures().empty()) {
                   break;
                 }
                 ++kills;
               }
               Expect(kills > 20, "only " + std::to_string(kills) + " kills");
             }) == "");
}

BOOST_AUTO_TEST_CASE(killed_on_the_way_down) {
  BOOST_TEST(OnHost([] {
               const RunDir run;
               int kills = 0;
               for (int most = 1; Failures().empty(); most += kStep) {
                 const Fd netns = NewNetns();  // stays
                 Uplink uplink = Must(Uplink::Prepare(RequestOf(netns, run)), "prepare");
                 Must(uplink.Attach(), "attach");
                 const bool ended = KilledAt(most, [&] {
                   Must(Remove(uplink.record(), run.path), "remove");
                   ::_exit(0);
                 });
                 Must(Remove(uplink.record(), run.path), "remove again");
                 Same(Left(run), "00", "left when killed at " + std::to_string(most));
                 if (ended) {
                   break;
                 }
                 ++kills;
               }
               Expect(kills > 5, "only " + std::to_string(kills) + " kills");
             }) == "");
}

// Its container is gone, and nobody has said so.
BOOST_AUTO_TEST_CASE(a_lease_is_taken_again) {
  BOOST_TEST(OnHost([] {
               const RunDir run;
               std::string record;
               {
                 const Fd netns = NewNetns();
                 Request request = RequestOf(netns, run);
                 request.publish = Must(oci::ParsePublish("8080:80"), "publish");
                 request.last_number = kFirstNumber;  // there is no other one
                 Uplink uplink = Must(Uplink::Prepare(request), "prepare");
                 Must(uplink.Attach(), "attach");
                 record = uplink.record();
                 const Fd second = NewNetns();
                 request.container_netns = second.get();
                 request.publish.clear();
                 const Result<Uplink> refused = Uplink::Prepare(request);
                 Same(refused ? "accepted" : refused.error().message, "the pool of addresses of containers is used up",
                      "the second");
               }
               const Fd netns = NewNetns();
               Request request = RequestOf(netns, run);
               request.publish = Must(oci::ParsePublish("8080:80"), "publish");
               request.last_number = kFirstNumber;
               for (int i = 0; i < 500; ++i) {
                 if (Result<Uplink> uplink = Uplink::Prepare(request)) {
                   Must(uplink->Attach(), "attach");
                   // The record of the first one does nothing to the second.
                   Must(Remove(record, run.path), "remove the first");
                   Expect(LinkNames().find("nuc2 ") != std::string::npos, "the second one's link is gone");
                   Must(Remove(uplink->record(), run.path), "remove the second");
                   ExpectNothingLeft(run);
                   return;
                 }
                 std::this_thread::sleep_for(std::chrono::milliseconds{10});
               }
               Expect(false, "the lease is not taken again");
             }) == "");
}

BOOST_AUTO_TEST_CASE(many_at_once) {
  BOOST_TEST(OnHost([] {
               const RunDir run;
               constexpr int kMany = 8;
               std::vector<Fd> containers;
               std::vector<pid_t> processes;
               int pipe[2];
               Expect(::pipe2(pipe, O_CLOEXEC) == 0, "pipe");
               for (int i = 0; i < kMany; ++i) {
                 containers.push_back(NewNetns());
                 processes.push_back(::fork());
                 if (processes.back() == 0) {
                   for (int round = 0; round < 3; ++round) {
                     ComeAndGo(run);
                   }
                   Uplink uplink = Must(Uplink::Prepare(RequestOf(containers.back(), run)), "prepare");
                   Must(uplink.Attach(), "attach");
                   const std::string line = uplink.record() + "," + TextOf(uplink.station().v4.address) + "\n";
                   (void)!::write(pipe[1], line.data(), line.size());
                   ::_exit(Failures().empty() ? 0 : 1);
                 }
               }
               for (const pid_t process : processes) {
                 int status = 0;
                 ::waitpid(process, &status, 0);
                 Expect(status == 0, "one has failed");
               }
               ::close(pipe[1]);
               const std::string lines = Must(ReadAll(pipe[0], 65536, "pipe"), "read");
               std::set<std::string> addresses;
               std::vector<std::string> records;
               for (std::size_t start = 0; start < lines.size();) {
                 const std::size_t end = lines.find('\n', start);
                 const std::size_t comma = lines.find(',', start);
                 records.push_back(lines.substr(start, comma - start));
                 addresses.insert(lines.substr(comma + 1, end - comma - 1));
                 start = end + 1;
               }
               Expect(addresses.size() == kMany, "addresses: " + std::to_string(addresses.size()));
               for (const std::string& record : records) {
                 const pid_t child = ::fork();
                 if (child == 0) {
                   Must(Remove(record, run.path), "remove");
                   ::_exit(0);
                 }
               }
               for (int status = 0; ::waitpid(-1, &status, 0) > 0;) {
                 Expect(status == 0, "one could not be removed");
               }
               ExpectNothingLeft(run);
             }) == "");
}

BOOST_AUTO_TEST_CASE(records_of_others) {
  BOOST_TEST(OnHost([] {
               const RunDir run;
               for (const char* record : {"", "bridge", "bridge 1 2", "userspace 1", "userspace x 1", "userspace -1 1",
                                          "bridge 1 2 3 4", "other 1 2 3"}) {
                 Expect(!Remove(record, run.path).has_value(), std::string{"accepted: "} + record);
               }
               Must(Remove("bridge 1 2 0123456789abcdef", run.path), "of nobody");
               // A process that only has the number.
               Must(Remove("userspace " + std::to_string(::getppid()) + " 1", run.path), "of somebody else");
               Expect(::kill(::getppid(), 0) == 0, "somebody else is killed");
               // What nobody can read is of nobody.
               const std::string name = run.path + "/" + Must(NetnsName(), "name") + "-77";
               const Fd file = Must(sys::Open(name, O_WRONLY | O_CREAT, 0600), "file");
               Must(WriteAll(file.get(), "garbage", name), "write");
               ComeAndGo(run);
               ExpectNothingLeft(run);
             }) == "");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::uplink
