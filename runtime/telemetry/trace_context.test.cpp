#include "runtime/telemetry/trace_context.h"

#include <boost/test/unit_test.hpp>

using namespace nucleus::telemetry;

namespace {
const std::string kTrace = "4bf92f3577b34da6a3ce929d0e0e4736";
const std::string kSpan = "00f067aa0ba902b7";
const std::string kParent = "00-" + kTrace + "-" + kSpan + "-01";
}  // namespace

BOOST_AUTO_TEST_SUITE(trace_context)

BOOST_AUTO_TEST_CASE(a_parent) {
  const auto context = ParseTraceParent(kParent, "vendor=value,other=1");
  BOOST_REQUIRE(context);
  BOOST_TEST(HexOf(context->trace) == kTrace);
  BOOST_TEST(HexOf(context->span) == kSpan);
  BOOST_TEST(context->sampled);
  BOOST_TEST(context->state == "vendor=value,other=1");
  BOOST_TEST(FormatTraceParent(*context) == kParent);
}

BOOST_AUTO_TEST_CASE(sampled_or_not) {
  for (const auto& [flags, sampled] : {std::pair{"00", false}, {"02", false}, {"03", true}, {"ff", true}}) {
    const auto context = ParseTraceParent("00-" + kTrace + "-" + kSpan + "-" + flags, "");
    BOOST_REQUIRE(context);
    BOOST_TEST(context->sampled == sampled, flags);
    BOOST_TEST(FormatTraceParent(*context).ends_with(sampled ? "-01" : "-00"));
  }
}

BOOST_AUTO_TEST_CASE(later_versions_may_say_more) {
  BOOST_TEST(ParseTraceParent("01-" + kTrace + "-" + kSpan + "-01", "").has_value());
  BOOST_TEST(ParseTraceParent("cc-" + kTrace + "-" + kSpan + "-01-what-comes", "").has_value());
  BOOST_TEST(!ParseTraceParent("cc-" + kTrace + "-" + kSpan + "-01.what", "").has_value());
  BOOST_TEST(!ParseTraceParent(kParent + "-more", "").has_value());
  BOOST_TEST(!ParseTraceParent("ff-" + kTrace + "-" + kSpan + "-01", "").has_value());
}

BOOST_AUTO_TEST_CASE(malformed) {
  std::string upper = kParent;
  upper[3] = 'A';
  std::string dash = kParent;
  dash[35] = '_';
  std::string digit = kParent;
  digit[40] = 'g';
  for (const std::string& text :
       {std::string{}, std::string{"00"}, kParent.substr(1), kParent.substr(0, 54), kParent + "0", upper, dash, digit,
        "00-" + std::string(32, '0') + "-" + kSpan + "-01", "00-" + kTrace + "-" + std::string(16, '0') + "-01",
        "00-" + kTrace + "-" + kSpan + "-1g"}) {
    BOOST_TEST(!ParseTraceParent(text, "").has_value(), text);
  }
}

BOOST_AUTO_TEST_CASE(a_state_that_is_no_text_is_dropped) {
  BOOST_TEST(ParseTraceParent(kParent, "a=\n")->state.empty());
  BOOST_TEST(ParseTraceParent(kParent, "a=\xc3\xa4")->state.empty());
  BOOST_TEST(ParseTraceParent(kParent, std::string(513, 'a'))->state.empty());
  BOOST_TEST(ParseTraceParent(kParent, std::string(512, 'a'))->state.size() == 512);
}

BOOST_AUTO_TEST_CASE(new_ids_differ) {
  const auto trace = NewTraceId();
  const auto span = NewSpanId();
  BOOST_REQUIRE((trace && span));
  BOOST_TEST(HexOf(*trace).size() == 32);
  BOOST_TEST(HexOf(*span).size() == 16);
  BOOST_TEST(HexOf(*trace) != HexOf(*NewTraceId()));
  BOOST_TEST(HexOf(*span) != HexOf(*NewSpanId()));
}

BOOST_AUTO_TEST_SUITE_END()
