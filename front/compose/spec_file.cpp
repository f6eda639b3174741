#include "front/compose/spec_file.h"

#include "base/json_writer.h"
#include "oci-config/json_reader.h"

namespace nucleus::front::compose {

std::string FormatSpec(const ServiceSpec& spec) {
  JsonWriter out;
  const auto words = [&out](const char* key, const Words& list) {
    out.Key(key).BeginArray();
    for (const std::string& word : list) {
      out.String(word);
    }
    out.EndArray();
  };
  out.BeginObject();
  out.Key("id").String(spec.id);
  words("runner", spec.runner);
  words("health", spec.health.command);
  out.Key("healthStart").Int(spec.health.start_period_ms);
  out.Key("healthInterval").Int(spec.health.interval_ms);
  out.Key("healthTimeout").Int(spec.health.timeout_ms);
  out.Key("healthRetries").Int(spec.health.retries);
  out.Key("logBytes").Int(spec.log.bytes);
  out.Key("logFiles").Int(spec.log.files);
  out.Key("stopSignal").Int(spec.stop_signal);
  out.Key("stopTimeout").Int(spec.stop_timeout_ms);
  out.Key("timeout").Int(spec.timeout_ms);
  out.Key("restart").Int(static_cast<int>(spec.restart));
  out.Key("mostRestarts").Int(spec.most_restarts);
  out.Key("labels").BeginObject();
  for (const auto& [key, value] : spec.labels) {
    out.Key(key).String(value);
  }
  out.EndObject();
  out.EndObject();
  return out.Take();
}

Result<ServiceSpec> ParseSpec(std::string_view text, std::string_view name) {
  oci::JsonReader in{text, name};
  ServiceSpec spec;
  const auto number = [&in](int& target) { target = static_cast<int>(in.Integer(0, INT32_MAX)); };
  const auto words = [&in](Words& target) { in.Array([&](std::size_t) { target.emplace_back(in.Text()); }); };
  in.Map([&](std::string_view key) {
    int restart = 0;
    if (key == "id") {
      spec.id = in.Text();
    } else if (key == "runner") {
      words(spec.runner);
    } else if (key == "health") {
      words(spec.health.command);
    } else if (key == "healthStart") {
      number(spec.health.start_period_ms);
    } else if (key == "healthInterval") {
      number(spec.health.interval_ms);
    } else if (key == "healthTimeout") {
      number(spec.health.timeout_ms);
    } else if (key == "healthRetries") {
      number(spec.health.retries);
    } else if (key == "logBytes") {
      spec.log.bytes = in.Integer(0, INT64_MAX);
    } else if (key == "logFiles") {
      number(spec.log.files);
    } else if (key == "stopSignal") {
      number(spec.stop_signal);
    } else if (key == "stopTimeout") {
      number(spec.stop_timeout_ms);
    } else if (key == "timeout") {
      number(spec.timeout_ms);
    } else if (key == "restart") {
      number(restart);
      spec.restart = restart == 1 ? Restart::kOnFailure : restart == 2 ? Restart::kAlways : Restart::kNo;
    } else if (key == "mostRestarts") {
      number(spec.most_restarts);
    } else if (key == "labels") {
      in.Map([&](std::string_view label) { spec.labels[std::string{label}] = std::string{in.Text()}; });
    } else {
      in.Fail("unknown key");
    }
  });
  TRY(in.Finish());
  return spec;
}

}  // namespace nucleus::front::compose
