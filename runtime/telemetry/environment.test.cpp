#include "runtime/telemetry/environment.h"

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <map>

using namespace nucleus::telemetry;

namespace {

std::map<std::string, std::string>& Variables() {
  static std::map<std::string, std::string> variables;
  return variables;
}

const char* Look(const char* name) {
  const auto found = Variables().find(name);
  return found == Variables().end() ? nullptr : found->second.c_str();
}

using Set = std::map<std::string, std::string>;

Wish WishOf(Set more) {
  Variables() = std::move(more);
  Variables().emplace("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
  return ReadWish(Look);
}

nucleus::Result<Exporter> ExporterOf(Set variables) {
  Variables() = std::move(variables);
  return ReadExporter(Look);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(telemetry_environment)

BOOST_AUTO_TEST_CASE(whether_spans_are_sent) {
  BOOST_TEST(WishOf({}).sends);
  BOOST_TEST(WishOf({}).remarks.empty());
  BOOST_TEST(!WishOf({{"OTEL_EXPORTER_OTLP_ENDPOINT", ""}}).sends);
  BOOST_TEST(WishOf({{"OTEL_EXPORTER_OTLP_ENDPOINT", ""}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://h"}}).sends);
  for (const char* value : {"true", "TRUE", "True"}) {
    BOOST_TEST(!WishOf({{"OTEL_SDK_DISABLED", value}}).sends, value);
  }
  for (const char* value : {"", "false", "1", "truee"}) {
    BOOST_TEST(WishOf({{"OTEL_SDK_DISABLED", value}}).sends, value);
  }
  BOOST_TEST(!WishOf({{"OTEL_TRACES_EXPORTER", "none"}}).sends);
  BOOST_TEST(WishOf({{"OTEL_TRACES_EXPORTER", "none"}}).remarks.empty());
  BOOST_TEST(WishOf({{"OTEL_TRACES_EXPORTER", "console,otlp"}}).sends);
  BOOST_TEST(!WishOf({{"OTEL_TRACES_EXPORTER", "zipkin"}}).sends);
  BOOST_TEST(WishOf({{"OTEL_TRACES_EXPORTER", "zipkin"}}).remarks.size() == 1);
}

BOOST_AUTO_TEST_CASE(protocols) {
  BOOST_TEST(WishOf({{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"}}).remarks.empty());
  const Wish protobuf = WishOf({{"OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"}});
  BOOST_TEST(protobuf.sends);
  BOOST_TEST(protobuf.remarks.size() == 1);
  const Wish grpc = WishOf({{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}});
  BOOST_TEST(!grpc.sends);
  BOOST_TEST(grpc.remarks.size() == 1);
  // The variable for traces alone wins.
  BOOST_TEST(WishOf({{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"}})
                 .remarks.empty());
}

BOOST_AUTO_TEST_CASE(resource) {
  const Attributes own = {{"service.name", "nucleus"}, {"host.name", "h"}, {"process.pid", std::int64_t{7}}};
  std::vector<std::string> remarks;
  Variables() = {{"OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,host.name=other,team=a%20b"}};
  const Attributes merged = {
      {"service.name", "shop"}, {"host.name", "other"}, {"process.pid", std::int64_t{7}}, {"team", "a b"}};
  BOOST_TEST((ResourceOf(Look, own, remarks) == merged));
  Variables().emplace("OTEL_SERVICE_NAME", "till");
  BOOST_TEST(std::get<std::string>(ResourceOf(Look, own, remarks)[0].second) == "till");
  BOOST_TEST(remarks.empty());
  Variables() = {{"OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,secret"}};
  BOOST_TEST((ResourceOf(Look, own, remarks) == own));
  BOOST_REQUIRE(remarks.size() == 1);
  BOOST_TEST(remarks[0] == "OTEL_RESOURCE_ATTRIBUTES is left out: member 2 is not NAME=VALUE");
}

BOOST_AUTO_TEST_CASE(urls) {
  const auto url = [](Set variables) {
    const auto exporter = ExporterOf(std::move(variables));
    return exporter ? exporter->url : exporter.error().message;
  };
  BOOST_TEST(url({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318"}}) == "http://h:4318/v1/traces");
  BOOST_TEST(url({{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://h/otlp/"}}) == "https://h/otlp/v1/traces");
  BOOST_TEST(url({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t/x"}}) ==
             "http://t/x");
  for (const char* wrong : {"", "h:4318", "ftp://h", "file:///etc/passwd", "http://", "http:///x", "grpc://h"}) {
    BOOST_TEST(
        url({{"OTEL_EXPORTER_OTLP_ENDPOINT", wrong}}) == "OTEL_EXPORTER_OTLP_ENDPOINT is no URL of http or https",
        wrong);
  }
  BOOST_TEST(url({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"}, {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "h:1"}}) ==
             "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is no URL of http or https");
}

BOOST_AUTO_TEST_CASE(what_is_a_header) {
  const auto headers = [](const char* text) {
    return ExporterOf({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"}, {"OTEL_EXPORTER_OTLP_HEADERS", text}});
  };
  const std::vector<std::string> two = {"api-key: a b", "x: y=z"};
  BOOST_TEST(headers("api-key=a%20b,x=y=z")->headers == two);
  BOOST_TEST(headers("empty=")->headers == std::vector<std::string>{"empty;"});
  // Nobody gets a header of his own in.
  for (const char* text : {"a=b%0d%0aInjected: 1", "a%0d%0aInjected: 1=b", "a b=c", "a%00=b", "a=%00"}) {
    const auto exporter = headers(text);
    BOOST_TEST(exporter->headers.empty(), text);
    BOOST_TEST(exporter->remarks.size() == 1, text);
  }
  BOOST_TEST(headers("good=1,bad")->headers.empty());
  Variables().emplace("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "t=1");
  BOOST_TEST(ReadExporter(Look)->headers == std::vector<std::string>{"t: 1"});
}

BOOST_AUTO_TEST_CASE(timeouts) {
  const auto exporter = [](const char* text) {
    return *ExporterOf({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"}, {"OTEL_EXPORTER_OTLP_TIMEOUT", text}});
  };
  BOOST_TEST(exporter("").timeout_ms == 10000);
  BOOST_TEST(exporter("").remarks.empty());
  BOOST_TEST(exporter("250").timeout_ms == 250);
  BOOST_TEST(exporter("0").timeout_ms == 60000);
  BOOST_TEST(exporter("900000").timeout_ms == 60000);
  for (const char* text : {"-1", "10s", "x", "99999999999"}) {
    BOOST_TEST(exporter(text).timeout_ms == 10000, text);
    BOOST_TEST(exporter(text).remarks.size() == 1, text);
  }
}

BOOST_AUTO_TEST_CASE(the_rest) {
  const auto exporter = ExporterOf({{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"},
                                    {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/ca"},
                                    {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c"},
                                    {"OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "/k"},
                                    {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"}});
  BOOST_TEST(exporter->authority == "/ca");
  BOOST_TEST(exporter->certificate == "/c");
  BOOST_TEST(exporter->key == "/k");
  BOOST_TEST(exporter->remarks.size() == 1);
}

BOOST_AUTO_TEST_CASE(what_the_exporter_is_given) {
  Variables() = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"},
                 {"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b"},
                 {"no_proxy", "h"},
                 {"OTEL_SERVICE_NAME", "shop"},
                 {"PATH", "/bin"},
                 {"LD_PRELOAD", "/x.so"}};
  std::vector<std::string> environment = ExportersEnvironment(Look);
  std::ranges::sort(environment);
  const std::vector<std::string> expected = {"OTEL_EXPORTER_OTLP_ENDPOINT=http://h",
                                             "OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=b", "no_proxy=h"};
  BOOST_TEST(environment == expected);
}

BOOST_AUTO_TEST_SUITE_END()
