// Services: containers that run on when who started them has gone, with a supervisor of their own.
//
// A supervisor is a process that runs `nucleus run` in the foreground, keeps its output (log_file.h) and its exit
// status (record.h), asks for its health (health.h), and answers `stop` and `attach` (control.h). It lives as long as
// the service and starts nothing again unless it is asked to. No daemon: each service has its own, nobody else's end
// matters to it.
//
//   ServiceSpec spec{.id = "db", .runner = {"run", "--bundle", "/srv/db", "db"}};
//   TRY(StartService(globals, spec, {}));              // detached; returns once it runs, or says why not
//   TRY(ReadService(globals, "db")).health             // Health::kHealthy, ...
//   TRY(StopService(globals, "db", {}));               // ends it, removes what is left
//
// RunService is the supervisor itself, for a process that is one already: the main process of a systemd unit, say.
#pragma once

#include <csignal>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "base/error.h"
#include "front/program.h"
#include "front/service/health.h"
#include "front/service/log_file.h"
#include "front/service/record.h"

namespace nucleus::front {

enum class Restart { kNo, kOnFailure, kAlways };

struct ServiceSpec {
  std::string id;  // of the container
  // The words after `nucleus` and the global options: `run`, in the foreground. What it says and its exit status are
  // the service's.
  Words runner;
  HealthOptions health;
  LogLimits log;
  int stop_signal = SIGTERM;
  int stop_timeout_ms = 10000;  // between that and SIGKILL
  int timeout_ms = 0;           // it is ended after this time, with status 124; 0: never
  Restart restart = Restart::kNo;
  int most_restarts = 0;  // in a row; 0: any number. After 1 s, 2 s, 4 s ... up to a minute
  // The bundle's process has one. The supervisor keeps it, and `attach` leads to it.
  bool terminal = false;
  bool keep_input = false;                    // else its input is empty
  bool echo = false;                          // its output goes to the supervisor's own as well
  std::map<std::string, std::string> labels;  // kept in the status, for whoever made it
};

// What else the maker has to do. All of it happens in the supervisor.
struct ServiceHooks {
  // Before the first start, with the caller's standard streams. An error is StartService's.
  std::function<Result<>()> prepare;
  // In the process that is about to become `nucleus run`; false ends it.
  std::function<bool()> before;
  // Once nothing of it runs, however that came. An error is the service's; what `warn` is told stands in its log.
  std::function<Result<>(const std::function<void(const std::string&)>& warn)> finish;
};

// Starts a supervisor that outlives the caller: a process in its own session and, where systemd runs and the caller is
// no service of it already, in a scope `nucleus-ID.scope`. Returns once the workload runs; an error where it does not
// come to that, with nothing left.
Result<> StartService(const Globals& globals, const ServiceSpec& spec, const ServiceHooks& hooks);

// Is the supervisor, until the service has ended; its exit status. `started` is called once, when the workload runs;
// false ends it again. Where a service manager waits (NOTIFY_SOCKET) it is told READY=1 once the service is healthy or,
// without a health command, when the workload says so; and STOPPING=1.
Result<int> RunService(const Globals& globals, const ServiceSpec& spec, const ServiceHooks& hooks,
                       const std::function<bool()>& started);

struct StopOptions {
  int timeout_ms = -1;    // -1: as the service has it
  bool keep_log = false;  // and the status
};
// Ends it and waits for its end. Without a supervisor (it was killed) the container is deleted by force. An error: it
// has ended, but not all went well (a workspace's conflict); the log is kept then.
Result<> StopService(const Globals& globals, const std::string& id, const StopOptions& options);

}  // namespace nucleus::front
