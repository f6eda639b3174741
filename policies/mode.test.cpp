// The mode table against the product's words.

#include "policies/mode.h"

#include <boost/test/unit_test.hpp>
#include <set>

namespace nucleus::policies {

BOOST_AUTO_TEST_SUITE(mode_table)

BOOST_AUTO_TEST_CASE(every_stage_has_its_row) {
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kStages.size(); ++i) {
    BOOST_TEST(static_cast<std::size_t>(kStages[i].stage) == i);
    BOOST_TEST(names.insert(kStages[i].name).second);
  }
}

BOOST_AUTO_TEST_CASE(only_agent_mode_degrades_and_only_there) {
  const std::set<Stage> may = {Stage::kSeccomp, Stage::kLandlock, Stage::kCgroup, Stage::kMaskedPaths,
                               Stage::kMountAudit};
  for (const StageRow& row : kStages) {
    BOOST_TEST(MayDegrade(oci::Mode::kAgent, row.stage) == may.contains(row.stage));
    BOOST_TEST(!MayDegrade(oci::Mode::kStrictAgent, row.stage));
    BOOST_TEST(!MayDegrade(oci::Mode::kProduction, row.stage));
    BOOST_TEST(!MayDegrade(std::nullopt, row.stage));
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::policies
