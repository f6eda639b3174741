#include "runtime/telemetry/otlp.h"

#include <boost/test/unit_test.hpp>

using namespace nucleus::telemetry;

namespace {
TraceContext Context() {
  return *ParseTraceParent("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "v=1");
}
}  // namespace

BOOST_AUTO_TEST_SUITE(otlp)

BOOST_AUTO_TEST_CASE(a_request) {
  Span span{.name = "nucleus create", .id = {1, 2, 3, 4, 5, 6, 7, 8}};
  span.start_ns = 1'700'000'000'123'456'789U;
  span.end_ns = span.start_ns + 5;
  span.parent = Context().span;
  span.remote_parent = true;
  span.attributes = {{"container.id", "a\"b"}, {"process.exit.code", std::int64_t{-1}}};
  BOOST_TEST(
      EncodeSpans({{"service.name", "nucleus"}}, "0.1.0", Context(), {span}) ==
      R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"nucleus"}}]},)"
      R"("scopeSpans":[{"scope":{"name":"nucleus","version":"0.1.0"},"spans":[{)"
      R"("traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"0102030405060708","traceState":"v=1",)"
      R"("parentSpanId":"00f067aa0ba902b7","flags":769,"name":"nucleus create","kind":1,)"
      R"("startTimeUnixNano":"1700000000123456789","endTimeUnixNano":"1700000000123456794",)"
      R"("attributes":[{"key":"container.id","value":{"stringValue":"a\"b"}},)"
      R"({"key":"process.exit.code","value":{"intValue":"-1"}}],"status":{}}]}]}]})");
}

BOOST_AUTO_TEST_CASE(a_failure) {
  const Span span{.name = "plan", .id = {1}, .failed = true, .error = "no"};
  TraceContext context = Context();
  context.state.clear();
  const std::string text = EncodeSpans({}, "0", context, {span});
  BOOST_TEST(text.find(R"("flags":257)") != std::string::npos, text);
  BOOST_TEST(text.find(R"("status":{"code":2,"message":"no"})") != std::string::npos, text);
  BOOST_TEST(text.find("parentSpanId") == std::string::npos, text);
  BOOST_TEST(text.find("traceState") == std::string::npos, text);
}

BOOST_AUTO_TEST_SUITE_END()
