// The built-in policies are what their documents say, and policies of the strict kind.

#include "policies/builtin.h"

#include <boost/test/unit_test.hpp>

#include "base/fd.h"
#include "policies/seccomp_policy.h"

namespace nucleus::policies {

namespace {

std::string ErrorOf(const Result<oci::Seccomp>& policy) {
  return policy ? std::string{} : policy.error().message;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(builtin)

BOOST_AUTO_TEST_CASE(agent_seccomp_is_a_policy) {
  const Result<oci::Seccomp> policy =
      ParseSeccompPolicy(BuiltinAgentSeccomp(), "agent-seccomp.json", [](std::string_view) { return true; });
  BOOST_TEST_REQUIRE(ErrorOf(policy) == "");
  BOOST_TEST((policy->default_action == oci::SeccompAction::kErrno));
}

BOOST_AUTO_TEST_CASE(agent_seccomp_is_the_document) {
  const std::string path = BUILTIN_DIRECTORY "/agent-seccomp.json";
  const Result<std::string> text = ReadFile(path, 1 << 20);
  BOOST_TEST_REQUIRE(text.has_value());
  BOOST_TEST(*text == BuiltinAgentSeccomp());
}

BOOST_AUTO_TEST_CASE(agent_seccomp_allows_and_answers_and_nothing_else) {
  const Result<oci::Seccomp> policy =
      ParseSeccompPolicy(BuiltinAgentSeccomp(), "agent-seccomp.json", [](std::string_view) { return true; });
  BOOST_REQUIRE(policy.has_value());
  for (const oci::SeccompSyscall& rule : policy->syscalls) {
    BOOST_TEST((rule.action == oci::SeccompAction::kAllow || rule.action == oci::SeccompAction::kErrno));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::policies
