// What the runtime and its helper say to each other.

#include "runtime/systemd/request.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::systemd {
namespace {

Request Full() {
  return {.operation = Operation::kSet,
          .user = true,
          .unit = "a.scope",
          .properties = {Text("Description", "a\nb"),
                         Flag("Delegate", true),
                         {.name = "PIDs", .signature = "au", .items = {"1", "2"}},
                         {.name = "Before", .signature = "as", .items = {}},
                         Text("Empty", "")}};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(systemd_request)

BOOST_AUTO_TEST_CASE(round_trip) {
  for (const Operation operation :
       {Operation::kStart, Operation::kSet, Operation::kAttach, Operation::kLaunch, Operation::kStop}) {
    Request before = Full();
    before.operation = operation;
    before.user = operation == Operation::kStop;
    const Result<Request> after = Decode(Encode(before).value());
    BOOST_REQUIRE(after.has_value());
    BOOST_TEST((after->operation == operation));
    BOOST_TEST(after->user == before.user);
    BOOST_TEST(after->unit == before.unit);
    BOOST_TEST((after->properties == before.properties));
  }
}

BOOST_AUTO_TEST_CASE(bounds) {
  Request request = Full();
  request.properties.push_back(Text("Description", std::string(kMaxRequest, 'x')));
  BOOST_TEST(!Encode(request).has_value());
}

BOOST_AUTO_TEST_CASE(no_part_is_taken_for_the_whole) {
  const std::string whole = Encode(Full()).value();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const Result<Request> part = Decode(std::string_view{whole}.substr(0, length));
    // Only between two properties may one end: the runtime writes all of it before the helper runs.
    BOOST_TEST((!part.has_value() || part->properties.size() < Full().properties.size()));
  }
  using namespace std::string_view_literals;
  BOOST_TEST(!Decode("begin\0system\0a.scope\0"sv).has_value());
  BOOST_TEST(!Decode("start\0root\0a.scope\0"sv).has_value());
  BOOST_TEST(!Decode("start\0system\0a.scope\0N\0s\0x\0v\0"sv).has_value());
  BOOST_TEST(!Decode("start\0system\0a.scope\0N\0s\0999999999999\0v\0"sv).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::systemd
