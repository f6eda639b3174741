#include "front/service/health.h"

#include <algorithm>
#include <utility>

#include "oci-config/json_reader.h"

namespace nucleus::front {
namespace {

constexpr int kStartIntervalMs = 1000;

}  // namespace

std::string_view HealthName(Health health) {
  switch (health) {
    case Health::kStarting:
      return "starting";
    case Health::kHealthy:
      return "healthy";
    case Health::kUnhealthy:
      return "unhealthy";
    case Health::kNone:
      break;
  }
  return "none";
}

Health ParseHealth(std::string_view name) {
  for (const Health health : {Health::kStarting, Health::kHealthy, Health::kUnhealthy}) {
    if (name == HealthName(health)) {
      return health;
    }
  }
  return Health::kNone;
}

Result<std::vector<std::string>> ParseHealthCommand(const std::string& text) {
  if (text.empty()) {
    return std::unexpected(Failure("must not be empty", EINVAL));
  }
  if (!text.starts_with('[')) {
    return std::vector<std::string>{"/bin/sh", "-c", text};
  }
  std::vector<std::string> words;
  oci::JsonReader in{text, "health command", oci::JsonReader::Rules::kPolicy};
  oci::Read(in, words);
  TRY(in.Finish());
  if (words.empty() || words[0].empty()) {
    return std::unexpected(Failure("must name a program", EINVAL));
  }
  return words;
}

HealthTracker::HealthTracker(HealthOptions options) : options_(std::move(options)) {
  if (!options_.command.empty()) {
    health_ = Health::kStarting;
  }
}

void HealthTracker::Begin(std::int64_t now_ms) {
  health_ = options_.command.empty() ? Health::kNone : Health::kStarting;
  failing_streak_ = 0;
  begun_ms_ = now_ms;
  next_ms_ = now_ms;
}

bool HealthTracker::Record(std::int64_t now_ms, HealthResult result) {
  const Health before = health_;
  const bool passed = result.exit_code == 0;
  const bool in_start_period = health_ == Health::kStarting && now_ms - begun_ms_ < options_.start_period_ms;
  results_.push_back(std::move(result));
  if (results_.size() > kMostHealthResults) {
    results_.pop_front();
  }
  if (passed) {
    failing_streak_ = 0;
    health_ = Health::kHealthy;
  } else if (!in_start_period) {
    ++failing_streak_;
    if (failing_streak_ >= options_.retries) {
      health_ = Health::kUnhealthy;
    }
  }
  next_ms_ =
      now_ms + (in_start_period && !passed ? std::min(kStartIntervalMs, options_.interval_ms) : options_.interval_ms);
  return health_ != before;
}

}  // namespace nucleus::front
