#include "front/compose/plan.h"

#include <boost/test/unit_test.hpp>

#include "front/compose/project.h"

namespace nucleus::front::compose {

BOOST_AUTO_TEST_SUITE(compose_plan)

BOOST_AUTO_TEST_CASE(each_service_by_its_digest_and_its_state) {
  const std::vector<Step> steps =
      MakePlan({{"new", "1"}, {"same", "1"}, {"other", "2"}, {"job", "1"}, {"failed", "1"}, {"lost", "1"}},
               {{"same", {.digest = "1"}},
                {"other", {.digest = "1"}},
                {"job", {.digest = "1", .over = true, .ended = true, .exit_status = 0}},
                {"failed", {.digest = "1", .over = true, .ended = true, .exit_status = 3}},
                {"lost", {.digest = "1", .over = true}},
                {"old", {.digest = "1"}}});
  std::map<std::string, Action> actions;
  for (const Step& step : steps) {
    actions[step.service] = step.action;
  }
  BOOST_TEST(steps.size() == 7U);
  BOOST_TEST((actions["new"] == Action::kCreate));
  BOOST_TEST((actions["same"] == Action::kKeep));
  BOOST_TEST((actions["other"] == Action::kChange));
  BOOST_TEST((actions["job"] == Action::kKeep));
  BOOST_TEST((actions["failed"] == Action::kStart));
  BOOST_TEST((actions["lost"] == Action::kStart));
  BOOST_TEST((actions["old"] == Action::kRemove));
}

BOOST_AUTO_TEST_CASE(as_text) {
  BOOST_TEST(PlanText(MakePlan({{"a", "1"}}, {{"b", {.digest = "1"}}})) ==
             "+ a: create (not there)\n- b: remove (not in the file)\n");
  BOOST_TEST(PlanText(MakePlan({{"a", "1"}}, {{"a", {.digest = "1"}}})) == "  a: keep (as it is)\nnothing to do\n");
}

BOOST_AUTO_TEST_CASE(numbers_stay_and_are_nobody_elses) {
  const Numbers first = AssignNumbers("shop", {"a", "b"}, {}, {});
  BOOST_TEST(first.size() == 2U);
  BOOST_TEST(first.at("a") != first.at("b"));
  BOOST_TEST((AssignNumbers("shop", {"a", "b"}, first, {}) == first));
  // One more, and one less.
  const Numbers second = AssignNumbers("shop", {"b", "c"}, first, {});
  BOOST_TEST(second.at("b") == first.at("b"));
  BOOST_TEST(!second.contains("a"));
  // Somebody else has what the name leads to, or what was kept.
  const Numbers third = AssignNumbers("shop", {"a"}, {}, {first.at("a")});
  BOOST_TEST(third.at("a") != first.at("a"));
  BOOST_TEST(AssignNumbers("shop", {"a"}, first, {first.at("a")}).at("a") != first.at("a"));
  for (const auto& [name, number] : first) {
    BOOST_TEST(number >= 32768U);
    BOOST_TEST(number <= 65533U);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::front::compose
