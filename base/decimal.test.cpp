#include "base/decimal.h"

#include <boost/test/unit_test.hpp>

namespace nucleus {

BOOST_AUTO_TEST_SUITE(decimal)

BOOST_AUTO_TEST_CASE(as_far_as_it_goes) {
  const auto parsed = [](std::string_view text) {
    const std::optional<Decimal> found = ParseDecimal(text);
    return found ? std::pair{found->value, found->size} : std::pair{0.0, std::size_t{0}};
  };
  BOOST_TEST((parsed("1.5s") == std::pair{1.5, std::size_t{3}}));
  BOOST_TEST((parsed("-2e3") == std::pair{-2000.0, std::size_t{4}}));
  BOOST_TEST((parsed("1E-1x") == std::pair{0.1, std::size_t{4}}));
  BOOST_TEST((parsed("1em") == std::pair{1.0, std::size_t{1}}));
  BOOST_TEST((parsed("1e+") == std::pair{1.0, std::size_t{1}}));
  BOOST_TEST((parsed(".5") == std::pair{0.5, std::size_t{2}}));
  BOOST_TEST((parsed("5.") == std::pair{5.0, std::size_t{2}}));
  BOOST_TEST((parsed("1.2.3") == std::pair{1.2, std::size_t{3}}));
  BOOST_TEST((parsed("0x10") == std::pair{0.0, std::size_t{1}}));
}

BOOST_AUTO_TEST_CASE(no_numbers) {
  for (const char* text : {"", "-", ".", "-.", "+1", " 1", "inf", "nan", "e5", "x", "1e999", "-1e999"}) {
    BOOST_TEST(!ParseDecimal(text).has_value(), text);
  }
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus
