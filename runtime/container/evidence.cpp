#include "runtime/container/evidence.h"

#include <charconv>

#include "base/fd.h"
#include "base/sha256.h"
#include "runtime/container/degrade.h"
#include "runtime/container/record.h"
#include "runtime/container/state_dir.h"
#include "runtime/evidence/event_log.h"
#include "runtime/evidence/readback.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

constexpr std::string_view kPrefix = "dev.nucleus.";
constexpr const char* kNever = "never";  // of `read`

std::string Bounded(std::string_view text) {
  return std::string{text.substr(0, evidence::kMostOfAValue)};
}

std::vector<evidence::Event> Degradations(const oci::State& state, std::size_t known) {
  std::vector<evidence::Event> events;
  for (std::size_t i = known; i < state.degradations.size(); ++i) {
    events.push_back({.kind = "degraded",
                      .id = state.id,
                      .words = {{"stage", state.degradations[i].stage}, {"reason", state.degradations[i].reason}},
                      .numbers = {},
                      .evidence = nullptr});
  }
  return events;
}

// With an init of the runtime's own it is that one's child: the first, orphans come behind it.
pid_t Workload(const oci::State& state) {
  pid_t pid = state.pid;
  if (state.init) {
    const std::string name = std::to_string(state.pid);
    const Result<std::string> children = ReadRecord("/proc/" + name + "/task/" + name + "/children");
    if (children) {
      std::from_chars(children->data(), children->data() + children->size(), pid);
    }
  }
  return pid;
}

// Of the process that has executed.
void ReadExecuted(const oci::State& state, const oci::Spec& spec, oci::StringMap& out) {
  evidence::ReadProcess(Workload(state), spec.process ? spec.process->rlimits : std::vector<oci::Rlimit>{}, out);
  if (out.contains("landlock.abi")) {
    // The kernel shows no domains. The process could not have executed without having entered it.
    out["landlock.domain"] = IsDegraded(state, policies::Stage::kLandlock) ? "0" : "1";
  }
}

bool IsUnread(const oci::State& state) {
  const auto read = state.evidence.find("read");
  return read != state.evidence.end() && read->second == kNever;
}

}  // namespace

bool WantsEvidence(const Settings& settings, const oci::StringMap& annotations) {
  const auto first = annotations.lower_bound(std::string{kPrefix});
  return settings.events != nullptr || (first != annotations.end() && first->first.starts_with(kPrefix));
}

std::string FilterDigest(const confine::SeccompProgram& program) {
  return "sha256:" +
         Sha256Hex({reinterpret_cast<const char*>(program.filter.data()), program.filter.size() * sizeof(sock_filter)});
}

void GatherCreated(const Bundle& bundle, const plan::Plan& plan, int pidfd, bool now, oci::State& state) {
  oci::StringMap& out = state.evidence;
  out["read"] = now ? "created" : kNever;
  out["config"] = "sha256:" + Sha256Hex(bundle.text);
  for (const policies::Document& document : bundle.policies.documents) {
    out["policy." + document.kind] = "sha256:" + document.file.digest;
  }
  if (bundle.policies.rootfs_manifest) {
    out["manifest"] = "sha256:" + bundle.policies.rootfs_manifest->file.digest;
  }
  if (plan.rootfs.audit != plan::Audit::kNone) {
    out["mount-audit"] = IsDegraded(state, policies::Stage::kMountAudit) ? "failed" : "passed";
  }
  if (const auto mode = state.annotations.find("dev.nucleus.mode"); mode != state.annotations.end()) {
    out["mode"] = mode->second;
  }
  if (plan.confinement.landlock) {
    out["landlock.abi"] = std::to_string(plan.confinement.landlock_abi);
  }
  if (plan.init) {
    out["init"] = "1";
  }
  if (!now) {
    return;
  }
  evidence::ReadProcess(state.pid, plan.confinement.rlimits, out);
  evidence::ReadNamespaces(state.pid, pidfd, out);
  // Neither is loaded before `start`.
  out.erase("seccomp.mode");
  out.erase("seccomp.filters");
  evidence::ReadCgroups(state.cgroups, out);
}

Result<> TellCreated(const Settings& settings, const oci::State& state) {
  if (settings.events == nullptr) {
    return {};
  }
  for (const evidence::Event& event : Degradations(state, 0)) {
    TRY(settings.events->Append(event));
  }
  const oci::StringMap whole = WholeEvidence(state);
  return settings.events->Append({.kind = "created",
                                  .id = state.id,
                                  .words = {{"bundle", state.bundle}},
                                  .numbers = {{"pid", state.pid}},
                                  .evidence = &whole});
}

void GatherStarted(const Settings& settings, const oci::Spec& spec, int pidfd, oci::State& state) {
  if (!WantsEvidence(settings, state.annotations) || IsUnread(state)) {
    return;
  }
  evidence::ReadCgroups(state.cgroups, state.evidence);
  // Of a process that has ended already nothing more can be told.
  const auto alive = [pidfd, &state] { return pidfd < 0 ? IsAlive(state) : !sys::PidfdWait(pidfd, 0).value_or(true); };
  if (!alive()) {
    return;
  }
  oci::StringMap fresh = state.evidence;
  fresh["read"] = "started";
  ReadExecuted(state, spec, fresh);
  if (alive()) {
    state.evidence = std::move(fresh);
  }
}

void TellStarted(const Settings& settings, const oci::State& state, std::size_t known) {
  if (settings.events == nullptr) {
    return;
  }
  for (const evidence::Event& event : Degradations(state, known)) {
    Tell(settings, event);
  }
  const oci::StringMap whole = WholeEvidence(state);
  Tell(settings, {.kind = "started", .id = state.id, .words = {}, .numbers = {{"pid", state.pid}}, .evidence = &whole});
}

oci::StringMap WholeEvidence(const oci::State& state) {
  oci::StringMap whole = state.evidence;
  for (const oci::Degradation& degradation : state.degradations) {
    whole["degraded." + Bounded(degradation.stage)] = Bounded(degradation.reason);
  }
  return whole;
}

oci::StringMap EvidenceOf(const Settings& settings, const Snapshot& snapshot) {
  oci::StringMap whole = WholeEvidence(snapshot.state);
  const bool executed = snapshot.status == Status::kRunning || snapshot.status == Status::kPaused;
  if (!IsUnread(snapshot.state) || !executed) {
    return whole;
  }
  const Result<Fd> init = OpenInit(snapshot.state);
  const Result<StateDir> directory = StateDir::Open(settings.root, snapshot.state.id);
  const auto spec = directory ? directory->ReadSpec() : std::unexpected(directory.error());
  if (!init || !spec) {
    return whole;
  }
  oci::StringMap fresh = whole;
  fresh["read"] = "asked";
  evidence::ReadNamespaces(snapshot.state.pid, init->get(), fresh);
  ReadExecuted(snapshot.state, **spec, fresh);
  evidence::ReadCgroups(snapshot.state.cgroups, fresh);
  // What was read of a process that has ended meanwhile may be another's.
  return sys::PidfdWait(init->get(), 0).value_or(true) ? whole : fresh;
}

}  // namespace nucleus::container
