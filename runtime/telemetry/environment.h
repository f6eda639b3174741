// What the variables OTEL_* ask for. Pure: the environment is looked at through a function.
// Source: OpenTelemetry specification, "OpenTelemetry Environment Variable Specification", "OpenTelemetry Protocol
// Exporter".
#pragma once

#include <string>
#include <vector>

#include "runtime/telemetry/otlp.h"

namespace nucleus::telemetry {

// The value of a variable; null where it is not set. One that is empty counts as not set.
using Lookup = const char* (*)(const char* name);

// For the program whose spans they are.
struct Wish {
  bool sends = false;
  std::vector<std::string> remarks;  // what was asked for and is not done, or is done otherwise
};
Wish ReadWish(Lookup lookup);

// `own` with what OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME say in their place and beside them. A malformed list
// is left out whole, and remarked on.
Attributes ResourceOf(Lookup lookup, Attributes own, std::vector<std::string>& remarks);

// For the program that sends them.
struct Exporter {
  std::string url;
  std::vector<std::string> headers;  // "name: value"
  int timeout_ms = 0;                // for all tries together
  std::string authority;             // files in PEM; empty: the system's, or none
  std::string certificate;
  std::string key;
  std::vector<std::string> remarks;
};
// An error where there is no endpoint that could be sent to.
Result<Exporter> ReadExporter(Lookup lookup);

// NAME=VALUE of all that ReadExporter, and an HTTP library, want to know.
std::vector<std::string> ExportersEnvironment(Lookup lookup);

}  // namespace nucleus::telemetry
