// What is asked for of the program that sends spans.
#include <algorithm>
#include <array>
#include <charconv>

#include "runtime/telemetry/environment.h"
#include "runtime/telemetry/pairs.h"
#include "runtime/telemetry/variables.h"

namespace nucleus::telemetry {
namespace {

constexpr int kDefaultTimeoutMs = 10000;
// Nobody waits for it, but it is a process that is there.
constexpr int kLongestTimeoutMs = 60000;

constexpr auto kOfTraces = std::to_array<const char*>(
    {"ENDPOINT", "HEADERS", "TIMEOUT", "CERTIFICATE", "CLIENT_CERTIFICATE", "CLIENT_KEY", "COMPRESSION"});
// As curl(1) knows them.
constexpr auto kOthers =
    std::to_array<const char*>({"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy",
                                "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"});

bool IsHttp(std::string_view url) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (url.starts_with(scheme) && url.size() > scheme.size() && url[scheme.size()] != '/') {
      return true;
    }
  }
  return false;
}

// RFC 9110, section 5.6.2.
bool IsToken(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view{"!#$%&'*+-.^_`|~"}.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

// A line break would be another header.
bool IsFieldValue(std::string_view text) {
  return std::ranges::none_of(text, [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

Result<std::string> Url(Lookup lookup) {
  std::string own{Value(lookup, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")};
  if (!own.empty()) {
    return IsHttp(own) ? Result<std::string>{std::move(own)}
                       : std::unexpected(Failure("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT is no URL of http or https"));
  }
  std::string base{Value(lookup, "OTEL_EXPORTER_OTLP_ENDPOINT")};
  if (!IsHttp(base)) {
    return std::unexpected(Failure("OTEL_EXPORTER_OTLP_ENDPOINT is no URL of http or https"));
  }
  return base + (base.ends_with('/') ? "v1/traces" : "/v1/traces");
}

void ReadHeaders(std::string_view text, Exporter& exporter) {
  const Result<Pairs> pairs = ParsePairs(text);
  if (!pairs) {
    exporter.remarks.push_back("OTEL_EXPORTER_OTLP_HEADERS is left out: " + pairs.error().message);
    return;
  }
  for (const auto& [name, value] : *pairs) {
    if (!IsToken(name) || !IsFieldValue(value)) {
      exporter.remarks.emplace_back("OTEL_EXPORTER_OTLP_HEADERS: a member that is no header is left out");
    } else {
      // With nothing behind the colon an HTTP library would take the header away.
      exporter.headers.push_back(value.empty() ? name + ";" : name + ": " + value);
    }
  }
}

int ReadTimeout(std::string_view text, Exporter& exporter) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size() || value < 0) {
    if (!text.empty()) {
      exporter.remarks.emplace_back("OTEL_EXPORTER_OTLP_TIMEOUT is no number of milliseconds");
    }
    return kDefaultTimeoutMs;
  }
  // 0: as long as it takes.
  return value == 0 ? kLongestTimeoutMs : std::min(value, kLongestTimeoutMs);
}

}  // namespace

Result<Exporter> ReadExporter(Lookup lookup) {
  Exporter exporter;
  exporter.url = TRY(Url(lookup));
  ReadHeaders(OfTraces(lookup, "HEADERS"), exporter);
  exporter.timeout_ms = ReadTimeout(OfTraces(lookup, "TIMEOUT"), exporter);
  exporter.authority = OfTraces(lookup, "CERTIFICATE");
  exporter.certificate = OfTraces(lookup, "CLIENT_CERTIFICATE");
  exporter.key = OfTraces(lookup, "CLIENT_KEY");
  if (const std::string_view compression = OfTraces(lookup, "COMPRESSION");
      !compression.empty() && compression != "none") {
    exporter.remarks.emplace_back("OTEL_EXPORTER_OTLP_COMPRESSION: spans are sent as they are");
  }
  return exporter;
}

std::vector<std::string> ExportersEnvironment(Lookup lookup) {
  std::vector<std::string> environment;
  const auto add = [&](const std::string& name) {
    if (const std::string_view value = Value(lookup, name.c_str()); !value.empty()) {
      environment.push_back(name + "=" + std::string{value});
    }
  };
  for (const char* name : kOfTraces) {
    add(std::string{"OTEL_EXPORTER_OTLP_"} + name);
    add(std::string{"OTEL_EXPORTER_OTLP_TRACES_"} + name);
  }
  for (const char* name : kOthers) {
    add(name);
  }
  return environment;
}

}  // namespace nucleus::telemetry
