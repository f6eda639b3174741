// What a mode makes of a bundle, before anything runs.

#include "runtime/plan/mode.h"

#include <sched.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>

#include "oci-config/parse.h"

namespace nucleus::plan {
namespace {

Host TestHost() {
  Host host;
  host.capability_bounding = ~std::uint64_t{0};
  host.landlock_abi = 6;
  host.cgroups.hierarchies = {{.name = "",
                               .controllers = {"memory"},
                               .mount_point = "/sys/fs/cgroup",
                               .mount_root = "/",
                               .own_path = "/user.slice"}};
  return host;
}

const std::string kUser = R"({"type": "user"}], "uidMappings": [{"containerID": 0, "hostID": 1, "size": 1}],
    "gidMappings": [{"containerID": 0, "hostID": 1, "size": 1}])";

oci::Spec Bundle(const std::string& linux_members, const std::string& more = "") {
  Result<oci::Spec> spec = oci::ParseSpec(R"({"ociVersion": "1.3.0", "root": {"path": "r", "readonly": true},
      "process": {"args": ["sh"], "cwd": "/", "capabilities": {"bounding": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]}},
      "linux": {)" + linux_members + "}" + more +
                                              "}",
                                          "config.json");
  if (!spec) {
    throw std::runtime_error(spec.error().message);
  }
  return *std::move(spec);
}

policies::Policies In(oci::Mode mode) {
  policies::Policies policies;
  policies.mode = mode;
  return policies;
}

Plan Good(const oci::Spec& spec, const policies::Policies& policies, const Host& host = TestHost()) {
  Result<Plan> plan = MakePlan(spec, {.id = "c1", .bundle = "/b"}, host, policies);
  if (!plan) {
    throw std::runtime_error(plan.error().message);
  }
  return *std::move(plan);
}

std::string ErrorOf(const oci::Spec& spec, const policies::Policies& policies, const Host& host = TestHost()) {
  const Result<Plan> plan = MakePlan(spec, {.id = "c1", .bundle = "/b"}, host, policies);
  return plan ? "accepted" : plan.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(mode)

BOOST_AUTO_TEST_CASE(agent_adds_all_but_the_user_namespace) {
  const Plan plan = Good(Bundle(R"("namespaces": [{"type": "ipc", "path": "/i"}])"), In(oci::Mode::kAgent));
  for (const int type : {CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWCGROUP, 0x80}) {
    BOOST_TEST(plan.namespaces.Creates(type));
  }
  BOOST_TEST(plan.namespaces.Joins(CLONE_NEWIPC));
  BOOST_TEST(!plan.namespaces.Has(CLONE_NEWUSER));
  BOOST_TEST(!plan.own_namespaces);
  BOOST_TEST(plan.deny_uplinks);
  BOOST_TEST(plan.init);
  BOOST_TEST((plan.rootfs.audit == Audit::kWarn));
}

BOOST_AUTO_TEST_CASE(process_is_confined) {
  const Plan plan = Good(Bundle(R"("namespaces": [)" + kUser), In(oci::Mode::kStrictAgent));
  BOOST_TEST(plan.confinement.no_new_privileges);
  BOOST_TEST(plan.confinement.capabilities.bounding == 0U);
  BOOST_TEST(plan.confinement.capabilities.permitted == 0U);
  BOOST_TEST(plan.confinement.has_seccomp);
  BOOST_TEST((plan.policy_seccomp != nullptr));
  BOOST_TEST(plan.confinement.landlock.has_value());
  BOOST_TEST(plan.own_namespaces);
  BOOST_TEST((plan.rootfs.audit == Audit::kError));
  const auto masked = [&plan](const char* path) {
    return std::ranges::find(plan.rootfs.masked_paths, path) != plan.rootfs.masked_paths.end();
  };
  BOOST_TEST(masked("/proc/keys"));
  BOOST_TEST(plan.degradations.empty());
}

BOOST_AUTO_TEST_CASE(a_policy_keeps_what_config_json_grants) {
  policies::Policies policies = In(oci::Mode::kAgent);
  policies.capabilities.emplace();
  policies.capabilities->keep.bounding = {"CAP_CHOWN", "CAP_KILL"};
  const Plan plan = Good(Bundle(""), policies);
  BOOST_TEST(plan.confinement.capabilities.bounding == 1U);
  BOOST_TEST(plan.confinement.capabilities.permitted == 0U);
}

BOOST_AUTO_TEST_CASE(user_namespace_is_required_of_root) {
  BOOST_TEST(ErrorOf(Bundle(""), In(oci::Mode::kStrictAgent)) ==
             "linux.namespaces: strict-agent mode needs a user namespace");
  BOOST_TEST(ErrorOf(Bundle(""), In(oci::Mode::kProduction)) ==
             "linux.namespaces: production mode needs a user namespace");
}

BOOST_AUTO_TEST_CASE(without_landlock) {
  Host host = TestHost();
  host.landlock_abi = 0;
  const Plan plan = Good(Bundle(""), In(oci::Mode::kAgent), host);
  BOOST_TEST(!plan.confinement.landlock.has_value());
  BOOST_REQUIRE(plan.degradations.size() == 1U);
  BOOST_TEST(plan.degradations[0].stage == "landlock");
  BOOST_TEST(ErrorOf(Bundle(R"("namespaces": [)" + kUser), In(oci::Mode::kStrictAgent), host).find("Landlock ABI 1") !=
             std::string::npos);
  host.landlock_abi = 2;
  BOOST_TEST(ErrorOf(Bundle(R"("namespaces": [)" + kUser), In(oci::Mode::kProduction), host).find("Landlock ABI 3") !=
             std::string::npos);
}

BOOST_AUTO_TEST_CASE(links_are_refused) {
  BOOST_TEST(ErrorOf(Bundle(R"("netDevices": {"eth0": {}})"), In(oci::Mode::kAgent)) ==
             "linux.netDevices: agent mode without an egress policy denies all");
}

BOOST_AUTO_TEST_CASE(landlock_follows_the_mounts) {
  const oci::Spec spec = Bundle("", R"(, "mounts": [
      {"destination": "/w", "type": "tmpfs", "source": "t"},
      {"destination": "/r", "type": "tmpfs", "source": "t", "options": ["ro"]},
      {"destination": "/x", "type": "tmpfs", "source": "t", "options": ["noexec"]}])");
  for (const int abi : {1, 2, 3, 5}) {
    const policies::LandlockPolicy policy = DeriveLandlock(spec, abi);
    BOOST_REQUIRE(policy.rules.size() == 3U);
    BOOST_TEST(policy.NeededAbi() <= abi);
    BOOST_TEST(policy.rules[0].path == "/");
    BOOST_TEST((policy.rules[0].access & policies::kLandlockWrite) == 0U);
    BOOST_TEST((policy.rules[0].access & policies::kLandlockExecute) != 0U);
    BOOST_TEST(policy.rules[1].path == "/w");
    BOOST_TEST((policy.rules[1].access & policies::kLandlockCreate) != 0U);
    BOOST_TEST(policy.rules[2].path == "/x");
    BOOST_TEST((policy.rules[2].access & policies::kLandlockExecute) == 0U);
  }
  oci::Spec writable = spec;
  writable.root.readonly = false;
  const policies::LandlockPolicy policy = DeriveLandlock(writable, 6);
  BOOST_TEST(policy.rules.size() == 1U);
  BOOST_TEST((policy.rules[0].access & policies::kLandlockWrite) != 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::plan
