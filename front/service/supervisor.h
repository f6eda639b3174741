// The loop of a service's supervisor. What it is for: service.h.
#pragma once

#include <poll.h>
#include <sys/types.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "front/service/control.h"
#include "front/service/health_monitor.h"
#include "front/service/log_file.h"
#include "front/service/notify.h"
#include "front/service/service.h"

namespace nucleus::front {

// Blocks all signals that mean something to a supervisor, and reads them.
Result<Fd> SupervisorSignals();

class Supervisor {
 public:
  Supervisor(const Globals& globals, const ServiceSpec& spec, const ServiceHooks& hooks,
             const std::function<bool()>& started);
  Result<int> Run();

 private:
  struct Client {
    Fd socket;
    bool attached = false;
    std::deque<std::string> packets;  // that it has not taken yet
    std::size_t pending = 0;          // bytes of them
    bool gone = false;
  };

  Result<> Prepare();
  Result<int> Supervise();

  // The runner and its streams.
  Result<> StartRunner();
  Result<> MakeStreams(std::vector<Fd>& theirs);
  Result<> LookWhetherItRuns();
  Result<> RunnerEnded(int wait_status);
  [[nodiscard]] std::string WhyNotStarted() const;
  void ReadStream(Fd& stream, Stream which);
  void LogBytes(Stream which, std::string_view bytes);
  void FlushLines();
  void WriteInput();

  // Its end.
  void BeginStop(int timeout_ms);
  void Escalate();
  [[nodiscard]] bool WantsRestart() const;
  void Finish();

  // Clients.
  void Accept();
  void Serve(Client& client);
  void Obey(Client& client, const Packet& packet);
  static void Offer(Client& client, std::string packet);
  static void Push(Client& client);
  void TellAttached(Word word, std::string_view bytes);

  void HandleSignals();
  void HandleHealth();
  void SaveStatus();
  void Warn(std::string_view message);
  [[nodiscard]] int PollTimeout() const;

  const Globals& globals_;
  const ServiceSpec& spec_;
  const ServiceHooks& hooks_;
  const std::function<bool()>& started_;

  ServiceStatus status_;
  std::optional<ServiceRecord> record_;
  std::optional<LogWriter> log_;
  Notifier notifier_;
  std::unique_ptr<HealthMonitor> health_;
  Fd signals_;
  Fd listener_;
  std::vector<std::unique_ptr<Client>> clients_;

  Child runner_;
  Fd out_;  // with a terminal its master
  Fd err_;
  Fd input_;
  std::string input_bytes_;
  bool input_ends_ = false;
  LineSplitter out_lines_;
  LineSplitter err_lines_;
  std::string last_error_;  // the line that was written to the error stream last
  std::string runners_log_;
  std::int64_t runners_log_size_ = 0;

  bool told_started_ = false;
  bool told_ready_ = false;
  bool stopping_ = false;
  bool timed_out_ = false;
  bool over_ = false;
  int steps_ = 0;  // of its end by force
  int restarts_in_a_row_ = 0;
  // Milliseconds of CLOCK_MONOTONIC; 0: not at all.
  std::int64_t look_ms_ = 0;
  std::int64_t started_ms_ = 0;
  std::int64_t timeout_ms_ = 0;
  std::int64_t force_ms_ = 0;
  std::int64_t restart_ms_ = 0;
  std::int64_t flush_ms_ = 0;
};

}  // namespace nucleus::front
