// Whose rules depend on the policy alone, and what an image is known by.

#include "runtime/container/ready_rules.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <functional>

#include "base/sha256.h"

namespace nucleus::container {
namespace {

Bundle BundleWith(const std::string& toml) {
  Bundle bundle;
  oci::Spec spec;
  spec.linux_.namespaces = {{.type = oci::NamespaceType::kPid, .path = {}},
                            {.type = oci::NamespaceType::kNetwork, .path = {}}};
  bundle.spec = std::make_shared<const oci::Spec>(std::move(spec));
  bundle.policies.egress = policies::ParseEgressPolicy(toml, "egress.toml").value();
  bundle.policies.documents.push_back(
      {.kind = "egress", .file = {.path = "egress.toml", .bytes = toml, .digest = Sha256Hex(toml)}, .pinned = true});
  return bundle;
}

void Namespaces(Bundle& bundle, std::vector<oci::Namespace> namespaces) {
  oci::Spec spec = *bundle.spec;
  spec.linux_.namespaces = std::move(namespaces);
  bundle.spec = std::make_shared<const oci::Spec>(std::move(spec));
}

const std::string kPolicy = "[[allow]]\ncidr = \"10.0.0.0/8\"\n";

// Nothing is anybody's where the build has no nucleus-net, or this user no directory.
bool Possible() {
  return PlaceOfRules(BundleWith(kPolicy)).has_value();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(ready_rules)

BOOST_AUTO_TEST_CASE(whose_rules_need_more_than_the_policy) {
  BOOST_TEST(!PlaceOfRules(BundleWith("log = true\n" + kPolicy)).has_value());
  BOOST_TEST(!PlaceOfRules(BundleWith("[broker]\nendpoint = \"10.0.0.1:80\"\n")).has_value());
  BOOST_TEST(!PlaceOfRules(BundleWith("[[allow]]\ndomain = \"a.example\"\n[dns]\nservers = [\"10.0.0.1\"]\n")));
  const std::vector<std::function<void(Bundle&)>> changes = {
      [](Bundle& bundle) { bundle.policies.egress.reset(); },
      [](Bundle& bundle) { bundle.annotations.network = oci::NetworkMode::kNone; },
      [](Bundle& bundle) { bundle.annotations.network = oci::NetworkMode::kBridge; },
      [](Bundle& bundle) { bundle.annotations.network = oci::NetworkMode::kUserspace; },
      [](Bundle& bundle) { bundle.annotations.publish.emplace_back(); },
      [](Bundle& bundle) { bundle.annotations.members.number = 1; },
      [](Bundle& bundle) { bundle.annotations.members.others.emplace_back(); },
      [](Bundle& bundle) { Namespaces(bundle, {}); },
      [](Bundle& bundle) { Namespaces(bundle, {{.type = oci::NamespaceType::kNetwork, .path = "/run/netns/a"}}); },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    Bundle bundle = BundleWith(kPolicy);
    changes[i](bundle);
    BOOST_TEST(!PlaceOfRules(bundle).has_value(), i);
  }
}

BOOST_AUTO_TEST_CASE(the_key_names_policy_and_kernel) {
  if (!Possible()) {
    BOOST_TEST_MESSAGE("no nucleus-net, or no directory");
    return;
  }
  const RulesPlace place = PlaceOfRules(BundleWith(kPolicy)).value();
  BOOST_TEST(place.key == PlaceOfRules(BundleWith(kPolicy)).value().key);
  BOOST_TEST(place.key != PlaceOfRules(BundleWith(kPolicy + "#\n")).value().key);
  BOOST_TEST(place.key.find(Sha256Hex(kPolicy)) != std::string::npos);
  utsname kernel{};
  BOOST_REQUIRE(::uname(&kernel) == 0);
  BOOST_TEST(place.key.find("\n" + std::string{kernel.release} + "\n") != std::string::npos);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::container
