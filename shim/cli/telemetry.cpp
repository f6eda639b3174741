#include "shim/cli/telemetry.h"

#include <unistd.h>

#include <array>
#include <climits>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <vector>

#include "runtime/telemetry/environment.h"
#include "runtime/telemetry/otlp.h"
#include "runtime/telemetry/send.h"
#include "shim/cli/log.h"
#include "shim/cli/version.h"

namespace nucleus::shim::telemetry {
namespace {

using nucleus::telemetry::Attributes;
using nucleus::telemetry::Span;
using nucleus::telemetry::TraceContext;

std::uint64_t Nanoseconds(clockid_t clock) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * kSecond + static_cast<std::uint64_t>(now.tv_nsec);
}

const char* Look(const char* name) {
  return std::getenv(name);
}

struct Recording {
  pid_t process = 0;
  TraceContext context;
  Span command;
  std::vector<Span> stages;
  std::uint64_t epoch_offset = 0;  // of the monotonic clock: a step of the other one makes no span negative
  std::vector<std::string> remarks;

  [[nodiscard]] std::uint64_t Now() const {
    return Nanoseconds(CLOCK_MONOTONIC) + epoch_offset;
  }
  void EndStage() {
    if (!stages.empty() && stages.back().end_ns == 0) {
      stages.back().end_ns = Now();
    }
  }
};

std::optional<Recording>& TheRecording() {
  static std::optional<Recording> recording;
  return recording;
}

// An endpoint has to be among the variables; their number is all that this costs.
bool MayBeAsked() {
  for (char** entry = environ; *entry != nullptr; ++entry) {
    if (std::string_view{*entry}.starts_with("OTEL_EXPORTER_OTLP_")) {
      return true;
    }
  }
  return false;
}

Result<> Start(Recording& recording, std::string_view name) {
  const char* parent = std::getenv("TRACEPARENT");
  const char* state = std::getenv("TRACESTATE");
  if (const auto given =
          nucleus::telemetry::ParseTraceParent(parent != nullptr ? parent : "", state != nullptr ? state : "")) {
    recording.context = *given;
    recording.command.parent = given->span;
    recording.command.remote_parent = true;
  } else {
    recording.context.trace = TRY(nucleus::telemetry::NewTraceId());
  }
  recording.process = ::getpid();
  recording.command.id = TRY(nucleus::telemetry::NewSpanId());
  recording.command.name = "nucleus " + std::string{name};
  recording.epoch_offset = Nanoseconds(CLOCK_REALTIME) - Nanoseconds(CLOCK_MONOTONIC);
  recording.command.start_ns = recording.Now();
  return {};
}

Attributes Resource(std::vector<std::string>& remarks) {
  std::array<char, HOST_NAME_MAX + 1> host{};
  (void)::gethostname(host.data(), host.size() - 1);
  return nucleus::telemetry::ResourceOf(Look,
                                        {{"service.name", "nucleus"},
                                         {"service.version", Version()},
                                         {"host.name", std::string{host.data()}},
                                         {"telemetry.sdk.name", "nucleus"},
                                         {"telemetry.sdk.language", "cpp"},
                                         {"telemetry.sdk.version", Version()}},
                                        remarks);
}

// What stands in quotation marks, and behind them, is somebody's value, a command's name for one: errno's words stand
// for it.
std::string WithoutValues(const Error& error) {
  const std::size_t quote = error.message.find('"');
  if (quote == std::string::npos) {
    return error.message;
  }
  return error.message.substr(0, quote) + "..." + (error.code != 0 ? ": " + ErrnoText(error.code) : "");
}

void Note(std::string_view key, std::string value) {
  TheRecording()->command.attributes.emplace_back(key, std::move(value));
}

void Fail(Span& span, const std::string& type, const std::string& message) {
  span.failed = true;
  span.error = message;
  span.attributes.emplace_back("error.type", type);
}

}  // namespace

void Begin(std::string_view name) {
  if (!MayBeAsked()) {
    return;
  }
  nucleus::telemetry::Wish wish = nucleus::telemetry::ReadWish(Look);
  if (!wish.sends && wish.remarks.empty()) {
    return;
  }
  Recording& recording = TheRecording().emplace();
  recording.remarks = std::move(wish.remarks);
  if (!wish.sends) {
    recording.context.sampled = false;
    recording.process = ::getpid();
  } else if (const Result<> started = Start(recording, name); !started) {
    TheRecording().reset();
  }
}

void PassOn() {
  if (!TheRecording()) {
    return;
  }
  if (!Active()) {
    // What there is to be said of that this process says.
    Silence();
    return;
  }
  const Recording& recording = *TheRecording();
  TraceContext context = recording.context;
  context.span = recording.command.id;
  ::setenv("TRACEPARENT", nucleus::telemetry::FormatTraceParent(context).c_str(), 1);
  if (context.state.empty()) {
    ::unsetenv("TRACESTATE");
  }
}

void Silence() {
  ::setenv("OTEL_SDK_DISABLED", "true", 1);
}

bool Active() {
  return TheRecording() && TheRecording()->context.sampled;
}

void NoteContainer(const std::string& id, const std::string& bundle) {
  if (!Active()) {
    return;
  }
  if (!id.empty()) {
    Note("container.id", id);
  }
  if (!bundle.empty()) {
    Note("nucleus.bundle", bundle);
  }
}

void NoteProject(const std::string& name) {
  if (Active()) {
    Note("nucleus.project", name);
  }
}

void NoteMode(const oci::Annotations& annotations) {
  if (Active()) {
    Note("nucleus.backend", annotations.runtime == oci::Runtime::kGvisor ? "gvisor" : "native");
    Note("nucleus.mode", annotations.mode ? std::string{oci::ModeName(*annotations.mode)} : "plain");
  }
}

void NoteState(const oci::State& state) {
  if (!Active()) {
    return;
  }
  const auto mode = state.annotations.find("dev.nucleus.mode");
  NoteContainer("", state.bundle);
  Note("nucleus.backend", state.gvisor.id.empty() ? "native" : "gvisor");
  Note("nucleus.mode", mode != state.annotations.end() ? mode->second : "plain");
}

void Stage(const char* name) {
  if (!Active()) {
    return;
  }
  Recording& recording = *TheRecording();
  recording.EndStage();
  if (Result<nucleus::telemetry::SpanId> id = nucleus::telemetry::NewSpanId()) {
    recording.stages.push_back(
        {.name = name, .id = *id, .parent = recording.command.id, .start_ns = recording.Now(), .attributes = {}});
  }
}

void End(int exit_status, const Error* error) {
  // A process that was forked off has none of its own.
  if (!TheRecording() || TheRecording()->process != ::getpid()) {
    return;
  }
  Recording& recording = *TheRecording();
  if (Active()) {
    recording.EndStage();
    Span& command = recording.command;
    command.end_ns = recording.Now();
    command.attributes.emplace_back("process.pid", std::int64_t{recording.process});
    command.attributes.emplace_back("process.exit.code", std::int64_t{exit_status});
    if (error != nullptr) {
      const std::string type = error->code != 0 ? ErrnoName(error->code) : "_OTHER";
      Fail(command, type, WithoutValues(*error));
      if (!recording.stages.empty()) {
        Fail(recording.stages.back(), type, command.error);
      }
    } else if (exit_status != 0) {
      Fail(command, "exit", "ended with status " + std::to_string(exit_status));
    }
    const Attributes resource = Resource(recording.remarks);
    std::vector<Span> spans = {command};
    spans.insert(spans.end(), recording.stages.begin(), recording.stages.end());
    const Result<> sent =
        nucleus::telemetry::Send(nucleus::telemetry::EncodeSpans(resource, Version(), recording.context, spans),
                                 {.file = LogFile(), .json = LogIsJson()});
    if (!sent) {
      recording.remarks.push_back(sent.error().message);
    }
  }
  for (const std::string& remark : recording.remarks) {
    Log(Level::kWarning, "telemetry: " + remark);
  }
  TheRecording().reset();
}

}  // namespace nucleus::shim::telemetry
