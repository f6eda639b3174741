#include "runtime/container/degrade.h"

#include <algorithm>

namespace nucleus::container {
namespace {

bool Has(const oci::State& state, std::string_view stage) {
  return std::ranges::any_of(state.degradations,
                             [stage](const oci::Degradation& degradation) { return degradation.stage == stage; });
}

}  // namespace

confine::OnFailure OrDegrade(std::optional<oci::Mode> mode, std::function<int()> channel) {
  return [mode, channel = std::move(channel)](policies::Stage stage, Error error) -> Result<> {
    if (!policies::MayDegrade(mode, stage)) {
      return std::unexpected(std::move(error));
    }
    // Who cannot be told does not record it: then it is an error after all.
    return Send(channel(), Tag::kDegraded, std::string{policies::Row(stage).name} + ":" + error.message);
  };
}

oci::Degradation TakeDegradation(const Message& message) {
  const std::size_t colon = message.text.find(':');
  return {.stage = message.text.substr(0, colon),
          .reason = colon == std::string::npos ? "" : message.text.substr(colon + 1)};
}

std::string DegradedText(const oci::Degradation& degradation) {
  return degradation.stage + " is not in force: " + degradation.reason;
}

void Record(void (*warn)(const std::string&), oci::Degradation degradation, oci::State& state) {
  if (!Has(state, degradation.stage)) {
    warn(DegradedText(degradation));
    state.degradations.push_back(std::move(degradation));
  }
}

bool IsDegraded(const oci::State& state, policies::Stage stage) {
  return Has(state, policies::Row(stage).name);
}

}  // namespace nucleus::container
