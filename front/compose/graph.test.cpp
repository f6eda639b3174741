#include "front/compose/graph.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::front::compose {
namespace {

using Words = std::vector<std::string>;
using Lists = std::vector<Words>;

}  // namespace

BOOST_AUTO_TEST_SUITE(compose_graph)

BOOST_AUTO_TEST_CASE(layers_begin_with_who_waits_for_nobody) {
  const Graph graph = {{"web", {"db", "cache"}}, {"db", {"disk"}}, {"cache", {}}, {"disk", {}}};
  BOOST_TEST((Layers(graph) == Lists{{"cache", "disk"}, {"db"}, {"web"}}));
  BOOST_TEST((Layers(Reversed(graph)) == Lists{{"web"}, {"cache", "db"}, {"disk"}}));
  BOOST_TEST((Layers({}) == Lists{}));
}

BOOST_AUTO_TEST_CASE(what_is_not_in_the_graph_is_not_waited_for) {
  BOOST_TEST((Layers({{"web", {"gone"}}}) == Lists{{"web"}}));
}

BOOST_AUTO_TEST_CASE(cycles_are_told_once_and_whole) {
  BOOST_TEST((Cycles({{"a", {"b"}}, {"b", {"a"}}}) == Lists{{"a", "b", "a"}}));
  BOOST_TEST((Cycles({{"a", {"a"}}}) == Lists{{"a", "a"}}));
  BOOST_TEST((Cycles({{"a", {"b"}}, {"b", {"c", "d"}}, {"c", {"a"}}, {"d", {}}}) == Lists{{"a", "b", "c", "a"}}));
  // Two that have nothing to do with each other, and one that leads there.
  BOOST_TEST((Cycles({{"a", {"b"}}, {"b", {"a"}}, {"c", {"d", "a"}}, {"d", {"c"}}, {"e", {"a"}}}) ==
              Lists{{"a", "b", "a"}, {"c", "d", "c"}}));
  BOOST_TEST((Cycles({{"a", {"b", "c"}}, {"b", {"c"}}, {"c", {}}}) == Lists{}));
}

BOOST_AUTO_TEST_CASE(a_graph_with_a_cycle_has_no_end_that_is_waited_for) {
  BOOST_TEST((Layers({{"a", {"b"}}, {"b", {"a"}}, {"c", {}}}) == Lists{{"c"}}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::front::compose
