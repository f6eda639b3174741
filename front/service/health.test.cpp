#include "front/service/health.h"

#include <boost/test/unit_test.hpp>

using namespace nucleus;  // NOLINT(google-build-using-namespace): a test

namespace {

front::HealthResult Ended(int code) {
  return {.start = "s", .end = "e", .exit_code = code, .output = {}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(health)

BOOST_AUTO_TEST_CASE(nobody_asks) {
  const front::HealthTracker tracker{{}};
  BOOST_TEST((tracker.health() == front::Health::kNone));
}

BOOST_AUTO_TEST_CASE(failures_in_a_row) {
  front::HealthTracker tracker{{.command = {"x"}, .interval_ms = 100, .retries = 2}};
  tracker.Begin(1000);
  BOOST_TEST((tracker.health() == front::Health::kStarting));
  BOOST_TEST(tracker.next_ms() == 1000);
  BOOST_TEST(!tracker.Record(1000, Ended(1)));
  BOOST_TEST(tracker.next_ms() == 1100);
  BOOST_TEST(tracker.Record(1100, Ended(1)));
  BOOST_TEST((tracker.health() == front::Health::kUnhealthy));
  BOOST_TEST(tracker.failing_streak() == 2);
  BOOST_TEST(tracker.Record(1200, Ended(0)));
  BOOST_TEST((tracker.health() == front::Health::kHealthy));
  BOOST_TEST(!tracker.Record(1300, Ended(1)));
  BOOST_TEST((tracker.health() == front::Health::kHealthy));
  BOOST_TEST(!tracker.Record(1400, Ended(0)));
  BOOST_TEST(!tracker.Record(1500, Ended(-1)));
  BOOST_TEST(tracker.failing_streak() == 1);
}

BOOST_AUTO_TEST_CASE(start_period) {
  front::HealthTracker tracker{{.command = {"x"}, .start_period_ms = 5000, .interval_ms = 30000, .retries = 1}};
  tracker.Begin(0);
  BOOST_TEST(!tracker.Record(10, Ended(1)));
  BOOST_TEST((tracker.health() == front::Health::kStarting));
  BOOST_TEST(tracker.next_ms() == 1010);  // sooner than the interval
  BOOST_TEST(tracker.failing_streak() == 0);
  // Once it was healthy a failure counts, in the start period too.
  BOOST_TEST(tracker.Record(1010, Ended(0)));
  BOOST_TEST(tracker.next_ms() == 31010);
  BOOST_TEST(tracker.Record(1020, Ended(1)));
  BOOST_TEST((tracker.health() == front::Health::kUnhealthy));
  // A restart begins anew.
  tracker.Begin(100000);
  BOOST_TEST((tracker.health() == front::Health::kStarting));
  BOOST_TEST(tracker.Record(105000, Ended(1)));
  BOOST_TEST((tracker.health() == front::Health::kUnhealthy));
}

BOOST_AUTO_TEST_CASE(results_are_bounded) {
  front::HealthTracker tracker{{.command = {"x"}}};
  tracker.Begin(0);
  for (int i = 0; i < 20; ++i) {
    tracker.Record(i, Ended(i));
  }
  BOOST_TEST(tracker.results().size() == front::kMostHealthResults);
  BOOST_TEST(tracker.results().back().exit_code == 19);
}

BOOST_AUTO_TEST_CASE(commands) {
  const std::vector<std::string> shell = {"/bin/sh", "-c", "a | b"};
  BOOST_TEST(front::ParseHealthCommand("a | b").value() == shell);
  const std::vector<std::string> words = {"/a", "b c"};
  BOOST_TEST(front::ParseHealthCommand(R"(["/a", "b c"])").value() == words);
  for (const char* bad : {"", "[]", R"([""])", "[1]", R"(["a")", R"(["a", null])"}) {
    BOOST_TEST(!front::ParseHealthCommand(bad).has_value());
  }
}

BOOST_AUTO_TEST_CASE(names) {
  for (const front::Health one : {front::Health::kStarting, front::Health::kHealthy, front::Health::kUnhealthy}) {
    BOOST_TEST((front::ParseHealth(front::HealthName(one)) == one));
  }
  BOOST_TEST((front::ParseHealth("other") == front::Health::kNone));
}

BOOST_AUTO_TEST_SUITE_END()
