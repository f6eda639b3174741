// The policies' copies in the state directory, and a seccomp policy that need not be read.

#include "runtime/container/bundle_policies.h"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/sha256.h"
#include "base/test_directory.h"
#include "runtime/container/filter_file.h"

namespace nucleus::container {
namespace {

namespace fs = std::filesystem;

policies::Document Of(const std::string& kind, const std::string& text) {
  return {.kind = kind, .file = {.path = kind, .bytes = text, .digest = Sha256Hex(text)}, .pinned = true};
}

const std::string kCapabilities = "keep = [\"CAP_KILL\"]\n";
const std::string kEgress = "[[allow]]\ncidr = \"10.0.0.0/8\"\n";
// Made to look like what stands before a policy.
const std::string kSeccomp = "{\"defaultAction\": \"SCMP_ACT_ALLOW\"}\nlandlock 1\nx\n";

}  // namespace

BOOST_AUTO_TEST_SUITE(kept_policies)

BOOST_AUTO_TEST_CASE(each_as_it_was_read) {
  const TestDirectory scratch;
  const StateDir directory = StateDir::Make(scratch.top, "c").value();
  policies::Policies policies;
  BOOST_TEST(KeepPolicies(directory, policies).has_value());
  BOOST_TEST(KeptPolicy(directory, "egress").error().code == ENOENT);
  policies.documents = {Of("seccomp", kSeccomp), Of("capabilities", kCapabilities), Of("egress", kEgress)};
  BOOST_TEST_REQUIRE(KeepPolicies(directory, policies).has_value());
  BOOST_TEST(KeptPolicy(directory, "seccomp").value() == kSeccomp);
  BOOST_TEST(KeptPolicy(directory, "capabilities").value() == kCapabilities);
  BOOST_TEST(KeptPolicy(directory, "egress").value() == kEgress);
  BOOST_TEST(KeptPolicy(directory, "landlock").error().code == ENOENT);
  BOOST_TEST_REQUIRE(ReplacePolicy(directory, "egress", "log = true\n").has_value());
  BOOST_TEST(KeptPolicy(directory, "egress").value() == "log = true\n");
  BOOST_TEST(KeptPolicy(directory, "capabilities").value() == kCapabilities);
}

BOOST_AUTO_TEST_CASE(a_filter_beside_them) {
  const TestDirectory scratch;
  const StateDir directory = StateDir::Make(scratch.top, "c").value();
  const confine::SeccompProgram filter{.filter = {{1, 2, 3, 4}, {5, 6, 7, 8}}, .flags = 2, .listener = false};
  policies::Policies policies;
  BOOST_TEST(KeptFilter(directory).error().code == ENOENT);
  policies.documents = {Of("seccomp", kSeccomp), Of("egress", kEgress)};
  BOOST_TEST_REQUIRE(KeepPolicies(directory, policies, &filter).has_value());
  BOOST_TEST(FormatFilter(KeptFilter(directory).value()) == FormatFilter(filter));
  BOOST_TEST(KeptPolicy(directory, "seccomp").value() == kSeccomp);
  BOOST_TEST(KeptPolicy(directory, "egress").value() == kEgress);
  BOOST_TEST(KeptPolicy(directory, "landlock").error().code == ENOENT);
}

BOOST_AUTO_TEST_CASE(a_filter_in_its_own_file) {
  const TestDirectory scratch;
  const StateDir directory = StateDir::Make(scratch.top, "c").value();
  const confine::SeccompProgram filter{.filter = {{1, 2, 3, 4}}, .flags = 2, .listener = true};
  BOOST_TEST_REQUIRE(KeepPolicies(directory, {}, &filter).has_value());
  BOOST_TEST(KeptPolicy(directory, "egress").error().code == ENOENT);
  BOOST_TEST(FormatFilter(KeptFilter(directory).value()) == FormatFilter(filter));
  BOOST_TEST_REQUIRE(directory.WriteFile(kFilterFile, "torn").has_value());
  BOOST_TEST(KeptFilter(directory).error().code == EINVAL);
}

BOOST_AUTO_TEST_CASE(without_a_filter) {
  const TestDirectory scratch;
  const StateDir directory = StateDir::Make(scratch.top, "c").value();
  policies::Policies policies;
  policies.documents = {Of("egress", kEgress)};
  BOOST_TEST_REQUIRE(KeepPolicies(directory, policies).has_value());
  BOOST_TEST(KeptFilter(directory).error().code == ENOENT);
}

BOOST_AUTO_TEST_CASE(a_torn_filter_beside_them) {
  const TestDirectory scratch;
  const StateDir directory = StateDir::Make(scratch.top, "c").value();
  for (const char* text : {"", "egress 1\nx", "seccomp.bpf 4\ntorn", "seccomp.bpf 24\nnucbpf01"}) {
    BOOST_TEST_REQUIRE(directory.WriteFile(kPoliciesFile, text).has_value());
    BOOST_TEST(!KeptFilter(directory).has_value());
  }
}

BOOST_AUTO_TEST_CASE(all_goes_with_the_directory) {
  const TestDirectory scratch;
  for (const bool other_command : {false, true}) {
    std::optional<StateDir> directory = StateDir::Make(scratch.top, "c").value();
    policies::Policies policies;
    policies.documents = {Of("capabilities", kCapabilities), Of("egress", kEgress)};
    BOOST_TEST_REQUIRE(KeepPolicies(*directory, policies).has_value());
    BOOST_TEST_REQUIRE(ReplacePolicy(*directory, "egress", "").has_value());
    if (other_command) {
      // What this process remembers is of another directory by then.
      const TestDirectory elsewhere;
      StateDir other = StateDir::Make(elsewhere.top, "c").value();
      BOOST_TEST(KeepPolicies(other, policies).has_value());
      BOOST_TEST(directory->Remove().has_value());
      BOOST_TEST(other.Remove().has_value());
      BOOST_TEST(fs::is_empty(elsewhere.top));
    } else {
      BOOST_TEST(directory->Remove().has_value());
    }
    BOOST_TEST(fs::is_empty(scratch.top));
  }
}

BOOST_AUTO_TEST_CASE(of_an_earlier_version) {
  const TestDirectory scratch;
  const StateDir directory = StateDir::Make(scratch.top, "c").value();
  BOOST_TEST_REQUIRE(directory.WriteFile("capabilities.policy", kCapabilities).has_value());
  BOOST_TEST(KeptPolicy(directory, "capabilities").value() == kCapabilities);
  BOOST_TEST(KeptPolicy(directory, "seccomp").error().code == ENOENT);
}

BOOST_AUTO_TEST_CASE(what_is_torn_is_none) {
  const TestDirectory scratch;
  for (const char* text : {"", "capabilities", "capabilities 3\nab", "capabilities x\nab", "capabilities 2",
                           "capabilities -1\nab", "\n\n", "capabilities 99999999999999999999999\nab"}) {
    StateDir directory = StateDir::Make(scratch.top, "c").value();
    BOOST_TEST_REQUIRE(directory.WriteFile(kPoliciesFile, text).has_value());
    BOOST_TEST(!KeptPolicy(directory, "capabilities").has_value());
    BOOST_TEST(directory.Remove().has_value());
  }
}

BOOST_AUTO_TEST_CASE(a_known_filter_is_not_read) {
  const TestDirectory scratch;
  const std::string text = "not a policy at all";
  std::ofstream{scratch.top + "/s.json"} << text;
  oci::Annotations annotations;
  annotations.seccomp_policy = oci::Pin{.path = "s.json", .digest = Sha256Hex(text)};
  std::string asked;
  const auto known = [&asked](std::string_view digest) {
    asked = digest;
    return true;
  };
  const auto found = LoadPolicies(annotations, scratch.top, nullptr, known);
  BOOST_TEST_REQUIRE(found.has_value());
  BOOST_TEST(found->filter_known);
  BOOST_TEST((found->seccomp == nullptr));
  BOOST_TEST(asked == Sha256Hex(text));
  BOOST_TEST_REQUIRE(found->documents.size() == 1U);
  BOOST_TEST(found->documents[0].file.bytes == text);
  BOOST_TEST(SeccompPolicyDigest(*found) == asked);
  BOOST_TEST(!LoadPolicies(annotations, scratch.top, nullptr, [](std::string_view) { return false; }).has_value());
  BOOST_TEST(!LoadPolicies(annotations, scratch.top, nullptr, {}).has_value());
  // Another text is not asked for: the pin is checked first.
  std::ofstream{scratch.top + "/s.json"} << "another";
  BOOST_TEST(!LoadPolicies(annotations, scratch.top, nullptr, known).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::container
