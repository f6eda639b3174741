// dev.nucleus.* annotations: a typo must never weaken a sandbox.

#include "oci-config/annotations.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace nucleus::oci {
namespace {

const std::string kHex = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

std::string ErrorOf(const StringMap& annotations) {
  const Result<Annotations> parsed = ParseAnnotations(annotations);
  return parsed ? "accepted" : parsed.error().message;
}
Annotations Good(const StringMap& annotations) {
  Result<Annotations> parsed = ParseAnnotations(annotations);
  if (!parsed) {
    throw std::runtime_error(parsed.error().message);
  }
  return *std::move(parsed);
}
Pin GoodPin(const std::string& value) {
  return *Good({{"dev.nucleus.policy.seccomp", value}}).seccomp_policy;
}
std::string PinError(const std::string& value) {
  const std::string error = ErrorOf({{"dev.nucleus.policy.seccomp", value}});
  const std::string where = R"(annotations["dev.nucleus.policy.seccomp"]: )";
  return error.starts_with(where) ? error.substr(where.size()) : error;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(annotations)

BOOST_AUTO_TEST_CASE(nothing_asked_for) {
  const Annotations none = Good({});
  BOOST_TEST(!none.mode.has_value());
  BOOST_TEST((none.runtime == Runtime::kNative));
  BOOST_TEST((none.rootfs_mode == RootfsMode::kBind));
  BOOST_TEST((none.network == NetworkMode::kOci));
  BOOST_TEST((none.gvisor_network == GvisorNetwork::kNone));
  BOOST_TEST(RefuseUnsupported(none).has_value());
}

BOOST_AUTO_TEST_CASE(published_ports) {
  for (const char* network : {"bridge", "userspace"}) {
    const Annotations ports =
        Good({{"dev.nucleus.network", network}, {"dev.nucleus.network.publish", "8080:80,[::1]:53:53/udp"}});
    BOOST_TEST(ports.publish.size() == 2U);
  }
  const std::string where = R"(annotations["dev.nucleus.network.publish"]: )";
  BOOST_TEST(ErrorOf({{"dev.nucleus.network", "bridge"}, {"dev.nucleus.network.publish", "x"}})
                 .starts_with(where + "\"x\" must"));
  BOOST_TEST(ErrorOf({{"dev.nucleus.network.publish", "8080:80"}}) ==
             where + "takes dev.nucleus.network bridge or userspace");
  BOOST_TEST(ErrorOf({{"dev.nucleus.network", "none"}, {"dev.nucleus.network.publish", "8080:80"}}) != "accepted");
}

BOOST_AUTO_TEST_CASE(other_prefixes_are_left_alone) {
  BOOST_TEST(ErrorOf({{"io.kubernetes.cri.container-type", "sandbox"},
                      {"dev.nucleusx.mode", "x"},
                      {"dev", "x"},
                      {"DEV.NUCLEUS.mode", "x"},
                      {"org.systemd.property.TimeoutStopUSec", "uint64 5"}}) == "accepted");
}

BOOST_AUTO_TEST_CASE(unknown_keys) {
  for (const char* key : {"dev.nucleus.mod", "dev.nucleus.", "dev.nucleus.Mode", "dev.nucleus.mode ",
                          "dev.nucleus.mode.x", "dev.nucleus.policy", "dev.nucleus.policy.apparmor"}) {
    BOOST_TEST(ErrorOf({{key, "agent"}}) == "annotations[\"" + std::string{key} + "\"]: unknown key");
  }
}

BOOST_AUTO_TEST_CASE(words) {
  const auto at = [](const char* key, const char* value) { return Good({{"dev.nucleus." + std::string{key}, value}}); };
  BOOST_TEST((at("mode", "agent").mode == Mode::kAgent));
  BOOST_TEST((at("mode", "strict-agent").mode == Mode::kStrictAgent));
  BOOST_TEST((at("mode", "production").mode == Mode::kProduction));
  BOOST_TEST((at("runtime", "native").runtime == Runtime::kNative));
  BOOST_TEST((at("runtime", "gvisor").runtime == Runtime::kGvisor));
  BOOST_TEST((at("rootfs.mode", "bind").rootfs_mode == RootfsMode::kBind));
  BOOST_TEST((at("rootfs.mode", "copy").rootfs_mode == RootfsMode::kCopy));
  BOOST_TEST((at("rootfs.mode", "overlay").rootfs_mode == RootfsMode::kOverlay));
  BOOST_TEST((at("network", "oci").network == NetworkMode::kOci));
  BOOST_TEST((at("network", "none").network == NetworkMode::kNone));
  BOOST_TEST((at("network", "bridge").network == NetworkMode::kBridge));
  BOOST_TEST((at("network", "userspace").network == NetworkMode::kUserspace));
  BOOST_TEST((at("gvisor.platform", "systrap").gvisor_platform == GvisorPlatform::kSystrap));
  BOOST_TEST((at("gvisor.platform", "kvm").gvisor_platform == GvisorPlatform::kKvm));
  BOOST_TEST((at("gvisor.platform", "ptrace").gvisor_platform == GvisorPlatform::kPtrace));
  BOOST_TEST((at("gvisor.network", "none").gvisor_network == GvisorNetwork::kNone));
  BOOST_TEST((at("gvisor.network", "sandbox").gvisor_network == GvisorNetwork::kSandbox));
  BOOST_TEST((at("gvisor.network", "host").gvisor_network == GvisorNetwork::kHost));
  BOOST_TEST(at("init", "on").init.value());
  BOOST_TEST(!at("init", "off").init.value());
  BOOST_TEST((at("require.lockdown", "integrity").require_lockdown == Lockdown::kIntegrity));
  BOOST_TEST((at("require.lockdown", "confidentiality").require_lockdown == Lockdown::kConfidentiality));
  BOOST_TEST(at("seccomp.trace", "/var/log/t").seccomp_trace == "/var/log/t");

  BOOST_TEST(ErrorOf({{"dev.nucleus.mode", "Agent"}}) ==
             R"(annotations["dev.nucleus.mode"]: must be one of agent, strict-agent, production)");
  for (const char* key :
       {"mode", "runtime", "rootfs.mode", "network", "gvisor.platform", "gvisor.network", "require.lockdown", "init"}) {
    for (const char* value : {"", "x", "none ", " native", "true"}) {
      BOOST_TEST(ErrorOf({{"dev.nucleus." + std::string{key}, value}})
                     .starts_with("annotations[\"dev.nucleus." + std::string{key} + "\"]: must be one of "));
    }
  }
  BOOST_TEST(ErrorOf({{"dev.nucleus.seccomp.trace", "t"}}) ==
             R"(annotations["dev.nucleus.seccomp.trace"]: must be an absolute path)");
  BOOST_TEST(ErrorOf({{"dev.nucleus.seccomp.trace", ""}}) != "accepted");
}

BOOST_AUTO_TEST_CASE(pins) {
  BOOST_TEST(GoodPin("p.json@sha256:" + kHex).path == "p.json");
  BOOST_TEST(GoodPin("p.json@sha256:" + kHex).digest == kHex);
  BOOST_TEST(GoodPin("/nix/store/x/p.json@sha256:" + kHex).path == "/nix/store/x/p.json");
  BOOST_TEST(GoodPin("a/b/p.json").path == "a/b/p.json");
  BOOST_TEST(GoodPin("a/b/p.json").digest.empty());
  BOOST_TEST(GoodPin("a@b@sha256:" + kHex).path == "a@b");
  BOOST_TEST(GoodPin("..a/b..@sha256:" + kHex).path == "..a/b..");

  const std::string bad_digest = "the digest must be @sha256: and 64 lower-case hex digits";
  std::string upper = kHex;
  upper[10] = 'A';
  for (const std::string& value :
       {"p@sha256:" + kHex.substr(1), "p@sha256:" + kHex + "0", "p@sha256:" + upper, std::string{"p@sha256:"},
        "p@sha512:" + kHex, "p@SHA256:" + kHex, "p@" + kHex, "p@sha256" + kHex, "p@sha256:" + kHex + " ",
        "p@sha256:" + kHex + "@sha256:", std::string{"p@"}, "p@sha256:0x" + kHex.substr(2)}) {
    BOOST_TEST_CONTEXT(value) {
      BOOST_TEST(PinError(value) == bad_digest);
    }
  }
  BOOST_TEST(PinError("") == "the path is empty");
  BOOST_TEST(PinError("@sha256:" + kHex) == "the path is empty");
  for (const char* path : {"..", "../p", "a/../../p", "a/..", "a/../b"}) {
    BOOST_TEST(PinError(path) == "the path must not leave the bundle");
    BOOST_TEST(PinError(std::string{path} + "@sha256:" + kHex) == "the path must not leave the bundle");
  }
}

BOOST_AUTO_TEST_CASE(every_pin_goes_to_its_own_member) {
  const Annotations all = Good({{"dev.nucleus.policy.seccomp", "1"},
                                {"dev.nucleus.policy.capabilities", "2"},
                                {"dev.nucleus.policy.landlock", "3"},
                                {"dev.nucleus.policy.egress", "4"},
                                {"dev.nucleus.rootfs.manifest", "5"},
                                {"dev.nucleus.rootfs.closure", "7"},
                                {"dev.nucleus.gvisor.runsc", "6"}});
  BOOST_TEST(all.seccomp_policy->path == "1");
  BOOST_TEST(all.capabilities_policy->path == "2");
  BOOST_TEST(all.landlock_policy->path == "3");
  BOOST_TEST(all.egress_policy->path == "4");
  BOOST_TEST(all.rootfs_manifest->path == "5");
  BOOST_TEST(all.rootfs_closure->path == "7");
  BOOST_TEST(all.gvisor_runsc->path == "6");
}

// What is known but not carried out is refused by name; the default, spelled out, is not.
BOOST_AUTO_TEST_CASE(unsupported) {
  static const std::pair<const char*, const char*> kAsks[] = {
      {"mode", "agent"},
      {"runtime", "gvisor"},
      {"policy.seccomp", "p"},
      {"policy.capabilities", "p"},
      {"policy.landlock", "p"},
      {"policy.egress", "p"},
      {"rootfs.manifest", "p"},
      {"rootfs.closure", "p"},
      {"rootfs.mode", "copy"},
      {"network", "none"},
      {"seccomp.trace", "/p"},
      {"gvisor.platform", "kvm"},
      {"gvisor.network", "host"},
      {"gvisor.runsc", "/p"},
      {"require.lockdown", "integrity"},
      {"init", "on"},
      {"credentials", "/run/credentials"},
  };
  // Two more are there, which only go with another: network.publish and network.members.
  BOOST_TEST(std::size(kAsks) + 2 == KnownAnnotations().size());
  for (const auto& [key, value] : kAsks) {
    const std::string name = "dev.nucleus." + std::string{key};
    const Result<> refused = RefuseUnsupported(Good({{name, value}}));
    // Whatever is supported one day is accepted; what is not must be named.
    if (!refused) {
      const bool gvisor = std::string_view{key}.starts_with("gvisor.");
      BOOST_TEST(refused.error().message ==
                 "annotations[\"" + name +
                     (gvisor ? "\"]: takes dev.nucleus.runtime gvisor" : "\"]: not supported yet"));
    }
    const std::vector<std::string> known = KnownAnnotations();
    BOOST_TEST(std::count(known.begin(), known.end(), name) == 1);
  }
  BOOST_TEST(RefuseUnsupported(Good({{"dev.nucleus.runtime", "native"},
                                     {"dev.nucleus.rootfs.mode", "bind"},
                                     {"dev.nucleus.network", "oci"},
                                     {"dev.nucleus.gvisor.network", "none"}}))
                 .has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::oci
