// What is planned for a network, and when a policy that was asked for cannot hold.

#include "runtime/plan/network.h"

#include <linux/capability.h>
#include <sched.h>

#include <boost/test/unit_test.hpp>

#include "policies/egress_policy.h"

namespace nucleus::plan {
namespace {

constexpr std::uint64_t kRaw = std::uint64_t{1} << CAP_NET_RAW;

struct Scene {
  oci::Annotations annotations;
  policies::Policies policies;
  Options options{.id = "box", .resolv_conf = "/run/box/resolv.conf"};
  Host host;
  Plan plan;
  Scene() {
    plan.namespaces.create = CLONE_NEWNET | CLONE_NEWNS;
    plan.process.emplace();
  }
  void Policy(const std::string& toml) {
    policies.egress = policies::ParseEgressPolicy(toml, "e").value();
  }
  std::string Run() {
    const Result<> planned = PlanNetwork(annotations, policies, options, host, plan);
    return planned ? "" : planned.error().message;
  }
};

const std::string kNames = "[[allow]]\ndomain = \"a.example\"\n[dns]\nservers = [\"10.0.0.1\"]\n";

}  // namespace

BOOST_AUTO_TEST_SUITE(network)

BOOST_AUTO_TEST_CASE(nothing_is_asked_for) {
  Scene scene;
  BOOST_TEST(scene.Run() == "");
  BOOST_TEST(!scene.plan.network.has_value());
  BOOST_TEST(!scene.plan.deny_uplinks);
}

BOOST_AUTO_TEST_CASE(a_mode_without_a_policy) {
  Scene scene;
  scene.policies.mode = oci::Mode::kAgent;
  BOOST_TEST(scene.Run() == "");
  BOOST_TEST(!scene.plan.network.has_value());
  BOOST_TEST(scene.plan.deny_uplinks);
  // Where the runtime makes a link, rules deny.
  scene.annotations.network = oci::NetworkMode::kBridge;
  BOOST_TEST(scene.Run() == "");
  BOOST_REQUIRE(scene.plan.network.has_value());
  BOOST_TEST(scene.plan.network->filtered);
  BOOST_TEST(!scene.plan.deny_uplinks);
}

BOOST_AUTO_TEST_CASE(a_policy) {
  Scene scene;
  scene.Policy("log = true");
  scene.policies.mode = oci::Mode::kStrictAgent;
  BOOST_TEST(scene.Run() == "");
  BOOST_REQUIRE(scene.plan.network.has_value());
  BOOST_TEST(scene.plan.network->filtered);
  BOOST_TEST(scene.plan.network->log);
  BOOST_TEST(scene.plan.network->end_with_gate);
  BOOST_TEST(!scene.plan.network->names);
  BOOST_TEST(!scene.plan.deny_uplinks);
  BOOST_TEST(scene.plan.rootfs.mounts.empty());
}

BOOST_AUTO_TEST_CASE(names_take_the_place_of_resolv_conf) {
  Scene scene;
  scene.Policy(kNames);
  BOOST_TEST(scene.Run() == "");
  BOOST_TEST(scene.plan.network->names);
  BOOST_TEST(!scene.plan.network->end_with_gate);
  BOOST_REQUIRE(scene.plan.rootfs.mounts.size() == 1U);
  const auto& mount = std::get<BindMount>(scene.plan.rootfs.mounts[0]);
  BOOST_TEST(mount.source == "/run/box/resolv.conf");
  BOOST_TEST(mount.target == "/etc/resolv.conf");
  Scene without;
  without.Policy(kNames);
  without.plan.namespaces.create = CLONE_NEWNET;
  BOOST_TEST(without.Run().find("needs a mount namespace") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(a_namespace_is_needed) {
  Scene scene;
  scene.Policy("");
  scene.plan.namespaces.create = CLONE_NEWNS;
  BOOST_TEST(scene.Run().find("needs a network namespace in linux.namespaces") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(capabilities_go_around_rules_inside) {
  for (const auto set :
       {&confine::CapabilitySets::bounding, &confine::CapabilitySets::effective, &confine::CapabilitySets::permitted,
        &confine::CapabilitySets::inheritable, &confine::CapabilitySets::ambient}) {
    for (const auto mode :
         {oci::NetworkMode::kOci, oci::NetworkMode::kNone, oci::NetworkMode::kBridge, oci::NetworkMode::kUserspace}) {
      Scene scene;
      scene.Policy("");
      scene.annotations.network = mode;
      scene.plan.confinement.capabilities.*set = kRaw;
      const bool outside = mode == oci::NetworkMode::kBridge || mode == oci::NetworkMode::kUserspace;
      BOOST_TEST((scene.Run() == "") == outside);
      if (mode == oci::NetworkMode::kUserspace) {
        // Of an ordinary user there is no place outside.
        scene.host.euid = 1000;
        BOOST_TEST(scene.Run().find("CAP_NET_RAW goes around the egress policy") != std::string::npos);
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(bridge_is_for_root) {
  Scene scene;
  scene.annotations.network = oci::NetworkMode::kBridge;
  scene.host.euid = 1000;
  BOOST_TEST(scene.Run().find("\"bridge\" is for the host's root alone") != std::string::npos);
  scene.host.euid = 0;
  scene.host.in_initial_user_namespace = false;
  BOOST_TEST(scene.Run() != "");
  scene.annotations.network = oci::NetworkMode::kUserspace;
  BOOST_TEST(scene.Run() == "");
  BOOST_TEST(!scene.plan.network->direct);
}

BOOST_AUTO_TEST_CASE(the_namespace_is_added) {
  oci::Annotations annotations;
  annotations.network = oci::NetworkMode::kNone;
  oci::Spec spec;
  const auto applied = ApplyNetwork(annotations, spec);
  BOOST_REQUIRE(applied.has_value());
  BOOST_REQUIRE(applied->linux_.namespaces.size() == 1U);
  BOOST_TEST((applied->linux_.namespaces[0].type == oci::NamespaceType::kNetwork));
  spec.linux_.namespaces = {{.type = oci::NamespaceType::kNetwork, .path = "/proc/1/ns/net"}};
  BOOST_TEST(!ApplyNetwork(annotations, spec).has_value());
  spec.linux_.namespaces.clear();
  spec.linux_.net_devices["eth1"] = {};
  BOOST_TEST(!ApplyNetwork(annotations, spec).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::plan
