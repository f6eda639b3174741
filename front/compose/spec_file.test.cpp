#include "front/compose/spec_file.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::front::compose {

BOOST_AUTO_TEST_SUITE(compose_spec_file)

BOOST_AUTO_TEST_CASE(comes_back_as_it_was) {
  ServiceSpec spec;
  spec.id = "shop.web";
  spec.runner = {"run", "--bundle", "/x", "shop.web"};
  spec.health = {
      .command = {"/bin/sh", "-c", "true \"\n"}, .start_period_ms = 1, .interval_ms = 2, .timeout_ms = 3, .retries = 4};
  spec.log = {.bytes = 5, .files = 6};
  spec.stop_signal = 7;
  spec.stop_timeout_ms = 8;
  spec.timeout_ms = 9;
  spec.restart = Restart::kAlways;
  spec.most_restarts = 10;
  spec.labels = {{"a", "b"}, {"c", ""}};
  const std::string text = FormatSpec(spec);
  const ServiceSpec again = ParseSpec(text, "x").value();
  BOOST_TEST(FormatSpec(again) == text);
  BOOST_TEST((again.restart == Restart::kAlways));
  BOOST_TEST(again.labels.at("a") == "b");
  BOOST_TEST(!ParseSpec("{\"x\":1}", "x").has_value());
  BOOST_TEST(!ParseSpec("{", "x").has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::front::compose
