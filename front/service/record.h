// What is known of a service, in its directory: `status.json`, the log, and the socket of its supervisor.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/json_writer.h"
#include "front/program.h"
#include "front/service/health.h"

namespace nucleus::front {

enum class Phase { kStarting, kRunning, kStopping, kWaiting /* for a restart */, kEnded };
std::string_view PhaseName(Phase phase);

struct ServiceStatus {
  std::string id;
  Phase phase = Phase::kStarting;
  pid_t supervisor = 0;
  std::uint64_t supervisor_start = 0;         // with the pid it names the process for ever
  std::string unit;                           // of systemd's, that the supervisor is in; empty: none
  std::string started;                        // RFC 3339, of the latest start
  std::string ended;                          // empty while it runs
  int exit_status = 0;                        // of the latest end; 128+N of signal N, 124 after its time
  bool timed_out = false;                     // it was ended after its time
  std::string error;                          // what went wrong at the end; empty: nothing
  int restarts = 0;                           // so far
  bool terminal = false;                      // it has one
  bool keeps_input = false;                   // `attach` can write to it
  std::map<std::string, std::string> labels;  // the maker's own
  Health health = Health::kNone;
  int failing_streak = 0;
  std::vector<HealthResult> health_results;  // the last is the newest

  // Does its supervisor run?
  [[nodiscard]] bool Supervised() const;
  // Is it over, its supervisor or it alone?
  [[nodiscard]] bool Over() const {
    return phase == Phase::kEnded || !Supervised();
  }
};

std::string FormatStatus(const ServiceStatus& status);
// The member `health`: status, failingStreak and log, as podman's inspect has them.
void WriteHealthJson(JsonWriter& out, const ServiceStatus& status);
Result<ServiceStatus> ParseStatus(std::string_view text, std::string_view name);

// Where the services of this state root are: beside it, or for the default one /var/lib/nucleus/services, of an
// ordinary user $XDG_STATE_HOME/nucleus/services. 0700.
Result<std::string> ServicesDirectory(const Globals& globals);

// ENOENT in the error's code: there is no such service.
Result<ServiceStatus> ReadService(const Globals& globals, const std::string& id);
// All of them, by id.
Result<std::vector<ServiceStatus>> ListServices(const Globals& globals);
// Removes what is left of one that is over; its log too. EBUSY where it is not.
Result<> ForgetService(const Globals& globals, const std::string& id);

// Has the container's process been executed, and is it still there?
bool WorkloadRuns(const Globals& globals, const std::string& id);
// For `nucleus state`, which asks nobody.
void TellState(const Globals& globals, const std::string& id, Health health);

// The supervisor's own hold on its service.
class ServiceRecord {
 public:
  // Makes the directory, whole or not at all. What is left of one with this id that is over makes place; EEXIST for one
  // that is not.
  static Result<ServiceRecord> Make(const Globals& globals, const ServiceStatus& status);
  Result<> Write(const ServiceStatus& status) const;
  [[nodiscard]] int directory() const {
    return directory_.get();
  }
  [[nodiscard]] const std::string& path() const {
    return path_;
  }
  Result<> Remove() const;

 private:
  ServiceRecord() = default;
  Fd directory_;
  std::string path_;
};

// In a service's directory.
inline constexpr const char* kStatusFile = "status.json";
inline constexpr const char* kControlSocket = "control";

}  // namespace nucleus::front
