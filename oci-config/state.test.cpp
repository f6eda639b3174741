// state.json, and the states that hooks and seccomp agents are told.

#include "oci-config/state.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::oci {
namespace {

State Full() {
  State state;
  state.oci_version = "1.3.0";
  state.id = "a\"b";
  state.phase = Phase::kRunning;
  state.pid = 2147483647;
  state.start_time = UINT64_MAX;
  state.bundle = "/bundles/\xc3\xa9 \n\\";
  state.rootfs = "/bundles/rootfs";
  state.created = "2026-01-02T03:04:05.123456789Z";
  state.owner = 4294967295U;
  state.systemd = {.unit = "libpod-a.scope", .path = "/machine.slice/libpod-a.scope", .user = true, .made = true};
  state.cgroups = {{.hierarchy = "cpu,cpuacct", .path = "/sys/fs/cgroup/cpu,cpuacct/x", .created = true},
                   {.hierarchy = "name=systemd", .path = "/sys/fs/cgroup/systemd/x", .created = false},
                   {.hierarchy = "", .path = "/sys/fs/cgroup/unified/x", .created = true}};
  state.degradations = {{.stage = "landlock", .reason = "needs ABI 1, this kernel has none"}};
  state.network = {.mode = "bridge",
                   .filtered = true,
                   .record = R"({"uplink":"bridge 7"})",
                   .joined = "/proc/7/ns/net",
                   .generation = 3,
                   .pid = 77,
                   .start_time = 78};
  state.annotations = {{"a", "1"}, {"b.c/d", "\x01\x1f\x7f"}};
  return state;
}

State Good(std::string_view json) {
  Result<State> state = ParseState(json, "state.json");
  if (!state) {
    throw std::runtime_error(state.error().message);
  }
  return *std::move(state);
}
std::string ErrorOf(std::string_view json) {
  const Result<State> state = ParseState(json, "state.json");
  return state ? "accepted" : state.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(state_json)

BOOST_AUTO_TEST_CASE(round_trip) {
  const State before = Full();
  const std::string text = FormatState(before);
  BOOST_TEST(text.find('\n') == std::string::npos);
  const State after = Good(text);
  BOOST_TEST(after.version == kStateVersion);
  BOOST_TEST(after.oci_version == before.oci_version);
  BOOST_TEST(after.id == before.id);
  BOOST_TEST((after.phase == before.phase));
  BOOST_TEST(after.pid == before.pid);
  BOOST_TEST(after.start_time == before.start_time);
  BOOST_TEST(after.bundle == before.bundle);
  BOOST_TEST(after.rootfs == before.rootfs);
  BOOST_TEST(after.created == before.created);
  BOOST_TEST(after.owner == before.owner);
  BOOST_TEST(after.systemd.unit == before.systemd.unit);
  BOOST_TEST(after.systemd.path == before.systemd.path);
  BOOST_TEST(after.systemd.user == before.systemd.user);
  BOOST_TEST(after.systemd.made == before.systemd.made);
  BOOST_REQUIRE(after.cgroups.size() == 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    BOOST_TEST(after.cgroups[i].hierarchy == before.cgroups[i].hierarchy);
    BOOST_TEST(after.cgroups[i].path == before.cgroups[i].path);
    BOOST_TEST(after.cgroups[i].created == before.cgroups[i].created);
  }
  BOOST_TEST(after.network.mode == "bridge");
  BOOST_TEST(after.network.filtered);
  BOOST_TEST(after.network.record == before.network.record);
  BOOST_TEST(after.network.joined == before.network.joined);
  BOOST_TEST(after.network.generation == 3U);
  BOOST_TEST(after.network.pid == 77);
  BOOST_TEST(after.network.start_time == 78U);
  BOOST_REQUIRE(after.degradations.size() == 1U);
  BOOST_TEST(after.degradations[0].stage == "landlock");
  BOOST_TEST(after.degradations[0].reason == before.degradations[0].reason);
  BOOST_TEST((after.annotations == before.annotations));
  BOOST_TEST(FormatState(after) == text);
  for (const Phase phase : {Phase::kCreating, Phase::kCreated, Phase::kRunning}) {
    State other = before;
    other.phase = phase;
    BOOST_TEST((Good(FormatState(other)).phase == phase));
  }
}

BOOST_AUTO_TEST_CASE(refusals) {
  BOOST_TEST(ErrorOf(R"({"version": 1, "id": "a", "bundle": "/b"})") == "accepted");
  BOOST_TEST(ErrorOf(R"({"version": 2, "id": "a", "bundle": "/b"})") == "state.json: version: unknown version 2");
  BOOST_TEST(ErrorOf(R"({"version": 1, "bundle": "/b"})") == "state.json: id: required");
  BOOST_TEST(ErrorOf(R"({"version": 1, "id": "a"})") == "state.json: bundle: must be an absolute path");
  BOOST_TEST(ErrorOf(R"({"version": 1, "id": "a", "bundle": "b"})") == "state.json: bundle: must be an absolute path");
  BOOST_TEST(ErrorOf(R"({"version": 1, "id": "a", "bundle": "/b", "pid": -1})") == "state.json: pid: out of range");
  BOOST_TEST(ErrorOf(R"({"version": 1, "id": "a", "bundle": "/b", "pid": 2147483648})") ==
             "state.json: pid: out of range");
  BOOST_TEST(ErrorOf(R"({"version": 1, "id": "a", "bundle": "/b", "phase": "stopped"})") ==
             R"(state.json: phase: unknown phase "stopped")");
  BOOST_TEST(ErrorOf(R"({"version": 1, "id": "a", "bundle": "/b", "cgroups": [{"path": "x"}]})") ==
             "state.json: cgroups[0].path: must be an absolute path");
  BOOST_TEST(ErrorOf(R"({"version": 1, "id": "a", "bundle": "/b", "systemd": {"path": "/x"}})") ==
             "state.json: systemd.unit: required");
  BOOST_TEST(ErrorOf(R"({"version": 1, "id": "a", "bundle": "/b", "systemd": {"unit": "u", "path": "x"}})") ==
             "state.json: systemd.path: must be an absolute path");
  BOOST_TEST(ErrorOf("") != "accepted");
  BOOST_TEST(ErrorOf("{}") != "accepted");
  BOOST_TEST(ErrorOf("[]") != "accepted");
}

// A file that a crash cut short must not be taken for a state.
BOOST_AUTO_TEST_CASE(every_truncation_is_an_error) {
  const std::string whole = FormatState(Full());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    BOOST_TEST(ErrorOf(whole.substr(0, length)) != "accepted");
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(oci_state)

BOOST_AUTO_TEST_CASE(as_hooks_get_it) {
  State state;
  state.oci_version = "1.3.0";
  state.id = "c1";
  state.pid = 42;
  state.bundle = "/b";
  state.annotations = {{"k", "v"}};
  BOOST_TEST(FormatOciState(state, "creating") ==
             R"({"ociVersion":"1.3.0","id":"c1","status":"creating","pid":42,"bundle":"/b","annotations":{"k":"v"}})");
  state.pid = 0;
  state.annotations.clear();
  BOOST_TEST(FormatOciState(state, "stopped") ==
             R"({"ociVersion":"1.3.0","id":"c1","status":"stopped","bundle":"/b"})");
}

BOOST_AUTO_TEST_CASE(as_a_seccomp_agent_gets_it) {
  State state;
  state.oci_version = "1.3.0";
  state.id = "c1";
  state.pid = 42;
  state.bundle = "/b";
  BOOST_TEST(FormatContainerProcessState(state, "creating", 43, "meta") ==
             R"({"ociVersion":"1.3.0","fds":["seccompFd"],"pid":43,"metadata":"meta",)"
             R"("state":{"ociVersion":"1.3.0","id":"c1","status":"creating","pid":42,"bundle":"/b"}})");
  BOOST_TEST(FormatContainerProcessState(state, "running", 43, "").find("metadata") == std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::oci
