// Values of variables. Inside runtime/telemetry only.
#pragma once

#include <string>
#include <string_view>

#include "runtime/telemetry/environment.h"

namespace nucleus::telemetry {

// "" where it is not set.
inline std::string_view Value(Lookup lookup, const char* name) {
  const char* value = lookup(name);
  return value != nullptr ? value : "";
}

// OTEL_EXPORTER_OTLP_TRACES_`name`, else OTEL_EXPORTER_OTLP_`name`.
inline std::string_view OfTraces(Lookup lookup, const std::string& name) {
  const std::string_view own = Value(lookup, ("OTEL_EXPORTER_OTLP_TRACES_" + name).c_str());
  return own.empty() ? Value(lookup, ("OTEL_EXPORTER_OTLP_" + name).c_str()) : own;
}

}  // namespace nucleus::telemetry
