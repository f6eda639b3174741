// What is asked for of the program whose spans they are. The exporter's part: exporter.cpp.
#include "runtime/telemetry/environment.h"

#include <algorithm>
#include <string_view>

#include "runtime/telemetry/pairs.h"
#include "runtime/telemetry/variables.h"

namespace nucleus::telemetry {
namespace {

// Its members are separated by commas.
bool Lists(std::string_view text, std::string_view wanted) {
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    if (text.substr(0, comma) == wanted) {
      return true;
    }
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
  }
  return false;
}

// In letters of either case.
bool IsTrue(std::string_view text) {
  constexpr unsigned kLowerCase = 0x20;
  return std::ranges::equal(text, std::string_view{"true"}, [](char is, char wanted) {
    return (static_cast<unsigned char>(is) | kLowerCase) == static_cast<unsigned char>(wanted);
  });
}

void Put(Attributes& attributes, std::string_view name, std::string value) {
  const auto found = std::ranges::find_if(attributes, [name](const auto& entry) { return entry.first == name; });
  if (found != attributes.end()) {
    found->second = std::move(value);
  } else {
    attributes.emplace_back(name, std::move(value));
  }
}

}  // namespace

Wish ReadWish(Lookup lookup) {
  Wish wish;
  const std::string_view exporter = Value(lookup, "OTEL_TRACES_EXPORTER");
  if (OfTraces(lookup, "ENDPOINT").empty() || IsTrue(Value(lookup, "OTEL_SDK_DISABLED")) || exporter == "none") {
    return wish;
  }
  const std::string_view protocol = OfTraces(lookup, "PROTOCOL");
  if (!exporter.empty() && !Lists(exporter, "otlp")) {
    wish.remarks.emplace_back("OTEL_TRACES_EXPORTER: there is no exporter but otlp; no spans are sent");
  } else if (protocol == "grpc") {
    wish.remarks.emplace_back("OTEL_EXPORTER_OTLP_PROTOCOL grpc: only http/json is spoken; no spans are sent");
  } else {
    wish.sends = true;
    if (!protocol.empty() && protocol != "http/json") {
      wish.remarks.emplace_back("OTEL_EXPORTER_OTLP_PROTOCOL: only http/json is spoken, and spans are sent in it");
    }
  }
  return wish;
}

Attributes ResourceOf(Lookup lookup, Attributes own, std::vector<std::string>& remarks) {
  Result<Pairs> pairs = ParsePairs(Value(lookup, "OTEL_RESOURCE_ATTRIBUTES"));
  if (!pairs) {
    remarks.push_back("OTEL_RESOURCE_ATTRIBUTES is left out: " + pairs.error().message);
  } else {
    for (auto& [name, value] : *pairs) {
      Put(own, name, std::move(value));
    }
  }
  if (const std::string_view name = Value(lookup, "OTEL_SERVICE_NAME"); !name.empty()) {
    Put(own, "service.name", std::string{name});
  }
  return own;
}

}  // namespace nucleus::telemetry
