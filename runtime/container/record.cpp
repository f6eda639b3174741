#include "runtime/container/record.h"

#include "runtime/evidence/event_log.h"

namespace nucleus::container {

void Tell(const Settings& settings, const evidence::Event& event) {
  if (settings.events == nullptr) {
    return;
  }
  if (const Result<> written = settings.events->Append(event); !written) {
    settings.warn(written.error().message);
  }
}

void TellFailure(const Settings& settings, const std::string& id, std::string_view stage, const Error& error,
                 std::string_view kind) {
  if (settings.events != nullptr) {
    Tell(settings, {.kind = kind, .id = id, .words = {{"stage", std::string{stage}}, {"error", error.message}}});
  }
}

}  // namespace nucleus::container
