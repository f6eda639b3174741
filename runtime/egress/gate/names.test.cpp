#include "runtime/egress/gate/names.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::gate {

using Groups = std::vector<std::uint32_t>;

BOOST_AUTO_TEST_SUITE(gate_names)

BOOST_AUTO_TEST_CASE(groups) {
  const Names names{std::vector<Name>{{"a.test", false, 3},
                                      {"a.test", false, 1},
                                      {"a.test", false, 3},
                                      {"test", true, 2},
                                      {"b.test", true, 4},
                                      {"b.test", true, 2}}};
  BOOST_TEST((names.Groups("a.test") == Groups{1, 2, 3}));
  BOOST_TEST((names.Groups("x.test") == Groups{2}));
  BOOST_TEST((names.Groups("x.y.b.test") == Groups{2, 4}));
  BOOST_TEST((names.Groups("b.test") == Groups{2}));
  for (const char* name : {"test", "", ".", "a.test.", "xtest", "testx", "a.testx", "com"}) {
    BOOST_TEST((names.Groups(name) == Groups{}), name);
  }
  BOOST_TEST(names.MostGroups() == 3U);
  BOOST_TEST(Names{std::vector<Name>{}}.MostGroups() == 0U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::gate
