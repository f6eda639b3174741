#include "front/compose/launch.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>

namespace nucleus::front::compose {
namespace {

std::vector<std::string> Items(const systemd::Request& request, const char* name) {
  const auto found = std::ranges::find(request.properties, name, &systemd::Property::name);
  return found == request.properties.end() ? std::vector<std::string>{} : found->items;
}

using List = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(compose_launch)

BOOST_AUTO_TEST_CASE(the_unit_of_a_service) {
  Globals globals;
  globals.words = {"--root", "/x"};
  ServiceSpec spec;
  spec.id = "shop.web";
  spec.stop_timeout_ms = 1000;
  spec.labels = {{"compose.project", "shop"}, {"compose.after", "db,cache"}};
  const systemd::Request plain = UnitOf(globals, spec, "/spec", false);
  BOOST_TEST(plain.unit == "nucleus-shop.web.service");
  BOOST_TEST((Items(plain, "Type") == List{"exec"}));
  BOOST_TEST((Items(plain, "After") == List{"nucleus-shop.db.service", "nucleus-shop.cache.service"}));
  BOOST_TEST((Items(plain, "Wants") == Items(plain, "After")));
  BOOST_TEST((Items(plain, "TimeoutStopUSec") == List{"61000000"}));
  const List command = Items(plain, "ExecStart");
  BOOST_TEST(
      (List(command.begin() + 1, command.end()) == List{"nucleus", "--root", "/x", "compose", "supervise", "/spec"}));
  // As it is sent.
  BOOST_TEST((systemd::Decode(systemd::Encode(plain).value()).value().properties == plain.properties));
  // By its mark systemd's own is known to be the same, whatever the service's container is.
  BOOST_TEST((Items(UnitOf(globals, spec, "/spec", false), "Environment") == Items(plain, "Environment")));
  spec.health.command = {"true"};
  spec.labels["compose.after"] = "";
  const systemd::Request notify = UnitOf(globals, spec, "/spec", true);
  BOOST_TEST((Items(notify, "Type") == List{"notify"}));
  BOOST_TEST(Items(notify, "After").empty());
  BOOST_TEST((Items(notify, "Environment") != Items(plain, "Environment")));
  BOOST_TEST(notify.user);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::front::compose
