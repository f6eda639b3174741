#include <boost/test/unit_test.hpp>

#include "runtime/doctor/facts.h"

namespace {

using namespace nucleus::doctor;

Facts Good() {
  Facts facts;
  facts.root = true;
  facts.calls = {{"openat2", 0}};
  facts.namespaces = {{"user", 0}, {"mnt", 0}, {"pid", 0}};
  facts.landlock_abi = 7;
  facts.seccomp_actions = "kill_process errno allow";
  facts.controllers = {"cpu", "memory", "pids"};
  return facts;
}

std::size_t Count(const Facts& facts, For mode) {
  return Lacks(facts, mode).size();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(doctor)

BOOST_AUTO_TEST_CASE(a_host_with_everything) {
  for (const For mode : {For::kPlain, For::kAgent, For::kStrictAgent, For::kProduction}) {
    BOOST_TEST(Count(Good(), mode) == 0U);
  }
  BOOST_TEST(Degrades(Good()).empty());
}

BOOST_AUTO_TEST_CASE(each_lack_is_of_the_modes_that_need_it) {
  Facts facts = Good();
  facts.landlock_abi = 2;
  BOOST_TEST(Count(facts, For::kStrictAgent) == 0U);
  BOOST_TEST(Count(facts, For::kProduction) == 1U);
  facts.landlock_abi = 0;
  BOOST_TEST(Count(facts, For::kAgent) == 0U);
  BOOST_TEST(Count(facts, For::kStrictAgent) == 1U);
  BOOST_TEST(Degrades(facts).size() == 1U);

  facts = Good();
  facts.controllers = {"memory"};
  BOOST_TEST(Count(facts, For::kPlain) == 0U);
  BOOST_TEST(Count(facts, For::kProduction) == 1U);

  facts = Good();
  facts.seccomp_actions.clear();
  BOOST_TEST(Count(facts, For::kStrictAgent) == 1U);

  facts = Good();
  facts.namespaces[0].error = EPERM;
  facts.max_user_namespaces = "0";
  BOOST_TEST(Count(facts, For::kAgent) == 0U);
  BOOST_TEST_REQUIRE(Count(facts, For::kStrictAgent) == 1U);
  BOOST_TEST(Lacks(facts, For::kStrictAgent)[0].find("user.max_user_namespaces is 0") != std::string::npos);
  facts.root = false;
  BOOST_TEST(Count(facts, For::kPlain) == 1U);

  facts = Good();
  facts.calls[0].error = ENOSYS;
  BOOST_TEST(Count(facts, For::kPlain) == 1U);
}

BOOST_AUTO_TEST_SUITE_END()
