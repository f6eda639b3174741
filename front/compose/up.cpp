#include "front/compose/up.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>
#include <memory>
#include <set>

#include "base/fd.h"
#include "base/sha256.h"
#include "front/compose/graph.h"
#include "front/compose/launch.h"
#include "front/compose/spec_file.h"
#include "front/compose/work.h"
#include "front/sandbox/tree.h"
#include "front/service/log_file.h"
#include "shim/cli/log.h"

namespace nucleus::front::compose {
namespace {

constexpr std::size_t kMaxSpec = std::size_t{1} << 20;
constexpr const char* kSpecEnd = ".spec";

void Say(const std::string& text) {
  (void)WriteAll(STDOUT_FILENO, text + "\n", "stdout");
}

void Warn(const std::string& text) {
  shim::Log(shim::Level::kWarning, "compose: " + text);
}

std::set<std::string> Words(const std::string& list) {
  std::set<std::string> words;
  std::string_view rest{list};
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    words.emplace(word);
  }
  return words;
}

const std::string& Label(const ServiceStatus& status, const char* name) {
  static const std::string none;
  const auto found = status.labels.find(name);
  return found == status.labels.end() ? none : found->second;
}

Graph GraphOf(const std::map<std::string, ServiceStatus>& services) {
  Graph graph;
  for (const auto& [name, status] : services) {
    graph[name];
    for (const std::string& other : Words(Label(status, kAfterLabel))) {
      if (services.contains(other)) {
        graph[name].insert(other);
      }
    }
  }
  return graph;
}

// Who depends on another one first, all others at once. The first error, of all that could not be ended.
Result<> Stop(const Globals& globals, const std::map<std::string, ServiceStatus>& services) {
  Result<> result;
  for (const std::vector<std::string>& layer : Layers(Reversed(GraphOf(services)))) {
    Work work;
    for (const std::string& name : layer) {
      const std::string id = services.at(name).id;
      TRY(work.Begin(name, [&](const Work::Tell&) { return StopService(globals, id, {}); }));
    }
    while (!work.empty()) {
      for (const Work::News& news : TRY(work.Await())) {
        if (!news.over) {
          continue;
        }
        if (news.error.empty()) {
          Say("- " + news.name + ": ended");
        } else if (result) {
          result = std::unexpected(Failure(news.name + ": " + news.error));
        }
      }
    }
  }
  return result;
}

void Wait() {
  constexpr long kStep = 50'000'000;  // nothing tells of a status that changes but the file itself
  const timespec time{.tv_sec = 0, .tv_nsec = kStep};
  ::nanosleep(&time, nullptr);
}

// In a worker: until it is well, or has done what it had to.
Result<> Watch(const Globals& globals, const std::string& id, bool health, bool completion, const Work::Tell& tell) {
  // Who waits for this has gone.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (bool well = !health; !well || completion; Wait()) {
    const ServiceStatus status = TRY(ReadService(globals, id));
    const bool over = status.Over();
    if (!well && status.health == Health::kHealthy) {
      well = true;
      tell("healthy");
    }
    if (over && status.phase != Phase::kEnded) {
      return std::unexpected(Failure("its supervisor was killed"));
    }
    if (over && (!well || status.exit_status != 0)) {
      return std::unexpected(Failure("ended with status " + std::to_string(status.exit_status) +
                                     (well ? "" : " before it was healthy") +
                                     (status.error.empty() ? "" : ": " + status.error)));
    }
    if (over) {
      tell("completed");
      return {};
    }
    if (!well && status.health == Health::kUnhealthy) {
      const std::string output = status.health_results.empty() ? "" : status.health_results.back().output;
      return std::unexpected(Failure("is not healthy" + (output.empty() ? "" : ": " + output)));
    }
  }
  return {};
}

// What a service has been through in this `up`.
struct Progress {
  bool begun = false;
  bool started = false;
  bool healthy = false;
  bool completed = false;
};

class Raising {
 public:
  Raising(const Globals& globals, const Project& project, const Topology& topology, const Numbers& numbers,
          const std::vector<Wanted>& wanted, std::map<std::string, ServiceStatus> present)
      : globals_(globals), project_(project), topology_(topology), numbers_(numbers), present_(std::move(present)) {
    for (const Wanted& one : wanted) {
      wanted_.emplace(one.service, &one);
    }
  }

  Result<> Run(const std::vector<Step>& steps) {
    std::map<std::string, ServiceStatus> gone;
    for (const Step& step : steps) {
      if (step.action == Action::kRemove) {
        gone.emplace(step.service, present_.at(step.service));
      } else if (step.action != Action::kKeep) {
        to_start_.insert(step.service);
      } else {
        const ServiceStatus& status = present_.at(step.service);
        progress_[step.service] = {
            .begun = false, .started = true, .healthy = status.health == Health::kHealthy, .completed = status.Over()};
      }
    }
    Result<> done = Stop(globals_, gone);
    stopped_.merge(gone);
    if (done) {
      done = Start();
    }
    return done ? Clean() : Undo(done.error());
  }

 private:
  [[nodiscard]] bool IsMet(const std::string& other, Condition condition) const {
    const auto found = progress_.find(other);
    if (found == progress_.end()) {
      return false;
    }
    const Progress& progress = found->second;
    return condition == Condition::kHealthy     ? progress.healthy
           : condition == Condition::kCompleted ? progress.completed
                                                : progress.started;
  }
  [[nodiscard]] bool IsAwaited(const std::string& name, Condition condition) const {
    return std::ranges::any_of(to_start_, [&](const std::string& other) {
      const auto& all = topology_.services.at(other).depends_on;
      const auto found = all.find(name);
      return found != all.end() && found->second.condition == condition;
    });
  }

  // Those that nothing keeps back any more, and those that somebody waits for.
  Result<> BeginWhatCan() {
    for (const auto& [name, service] : topology_.services) {
      Progress& progress = progress_[name];
      const bool start = to_start_.contains(name);
      const bool health =
          !progress.healthy && (start ? !service.options.health.command.empty() : IsAwaited(name, Condition::kHealthy));
      const bool completion = !progress.completed && IsAwaited(name, Condition::kCompleted);
      const bool ready = !start || std::ranges::all_of(service.depends_on, [this](const auto& entry) {
        return IsMet(entry.first, entry.second.condition);
      });
      if (progress.begun || !ready || (!start && !health && !completion)) {
        continue;
      }
      progress.begun = true;
      if (start && present_.contains(name)) {
        stopped_.emplace(name, present_.at(name));
      }
      if (start) {
        raised_.insert(name);
      }
      TRY(work_.Begin(name, [&, start, health, completion](const Work::Tell& tell) {
        return RaiseOne(name, start, health, completion, tell);
      }));
    }
    return {};
  }

  Result<> RaiseOne(const std::string& name, bool start, bool health, bool completion, const Work::Tell& tell) {
    const Wanted& wanted = *wanted_.at(name);
    if (start) {
      if (present_.contains(name)) {
        (void)StopService(globals_, wanted.spec.id, {});  // whatever it has to say of its end, it has ended
      }
      TRY(Launch(globals_, wanted.spec, SpecPath(name, wanted.digest),
                 [&] { return MakeBundle(project_, topology_, numbers_, wanted); }));
      tell("started");
    }
    return Watch(globals_, wanted.spec.id, health, completion, tell);
  }

  [[nodiscard]] std::string SpecPath(const std::string& service, const std::string& digest) const {
    constexpr std::size_t kDigits = 16;
    return project_.directory() + "/" + service + "." + digest.substr(0, kDigits) + kSpecEnd;
  }

  Result<> Start() {
    TRY(BeginWhatCan());
    while (!work_.empty()) {
      for (const Work::News& news : TRY(work_.Await())) {
        Heed(news);
      }
      if (failed_.empty()) {
        TRY(BeginWhatCan());
      } else {
        // What is being made is waited for: it has to be taken away again. What is only waited for is not.
        for (const auto& [name, progress] : progress_) {
          if (progress.begun && progress.started) {
            work_.End(name);
          }
        }
      }
    }
    if (!failed_.empty()) {
      return std::unexpected(Failure(failed_ + ": " + why_));
    }
    return {};
  }

  void Heed(const Work::News& news) {
    Progress& progress = progress_[news.name];
    for (const std::string& word : news.words) {
      progress.started = progress.started || word == "started";
      progress.healthy = progress.healthy || word == "healthy";
      progress.completed = progress.completed || word == "completed";
      Say("+ " + news.name + ": " + word);
    }
    if (news.over && !news.error.empty() && failed_.empty()) {
      failed_ = news.name;
      why_ = news.error;
    }
  }

  // ---- where it fails

  void ShowLog(const std::string& name) const {
    constexpr std::int64_t kLines = 10;
    const Result<std::string> services = ServicesDirectory(globals_);
    if (!services) {
      return;
    }
    Result<LogReader> reader = LogReader::Open(*services + "/" + project_.ServiceId(name), kLines);
    if (reader) {
      (void)reader->Read([&](std::string_view line) -> Result<> {
        if (const std::optional<LogRecord> record = ParseRecord(line)) {
          return WriteAll(STDERR_FILENO, name + " | " + ForTerminal(record->text, false) + "\n", "stderr");
        }
        return {};
      });
    }
  }

  Result<> Undo(const Error& error) {
    if (!failed_.empty()) {
      ShowLog(failed_);
    }
    std::map<std::string, ServiceStatus> raised;
    for (const std::string& name : raised_) {
      Result<ServiceStatus> status = ReadService(globals_, wanted_.at(name)->spec.id);
      if (status && Label(*status, kDigestLabel) == wanted_.at(name)->digest) {
        raised.emplace(name, *std::move(status));
      }
    }
    std::string left;
    if (const Result<> stopped = Stop(globals_, raised); !stopped) {
      left = "; what could not be ended: " + stopped.error().message;
    }
    // In the order of then.
    for (const std::vector<std::string>& layer : Layers(GraphOf(stopped_))) {
      for (const std::string& name : layer) {
        if (const Result<> back = BringBack(name); !back) {
          left += "; " + name + " could not be brought back: " + back.error().message;
        }
      }
    }
    return std::unexpected(Failure(error.message + (left.empty() ? "; all is as it was before" : left), error.code));
  }

  Result<> BringBack(const std::string& name) {
    const ServiceStatus& before = stopped_.at(name);
    if (before.Over() && before.phase == Phase::kEnded) {
      return {};  // it did not run
    }
    const Result<ServiceStatus> now = ReadService(globals_, before.id);
    if (now && !now->Over()) {
      return {};  // it was not its turn yet
    }
    const std::string path = SpecPath(name, Label(before, kDigestLabel));
    const std::string text = TRY(ReadFile(path, kMaxSpec));
    const ServiceSpec spec = TRY(ParseSpec(text, path));
    TRY(Launch(globals_, spec, path, []() -> Result<> { return {}; }));
    Say("+ " + name + ": as before");
    return {};
  }

  // Bundles that nobody has any more.
  Result<> Clean() {
    std::set<std::string> kept;
    for (const auto& [name, wanted] : wanted_) {
      constexpr std::size_t kDigits = 16;
      kept.insert(name + "." + wanted->digest.substr(0, kDigits));
    }
    const std::unique_ptr<DIR, int (*)(DIR*)> stream{::opendir(project_.directory().c_str()), ::closedir};
    while (const dirent* entry =
               stream ? ::readdir(stream.get()) : nullptr) {  // NOLINT(concurrency-mt-unsafe): one thread
      std::string name{entry->d_name};
      const bool spec = name.ends_with(kSpecEnd);
      const std::string bundle = spec ? name.substr(0, name.size() - std::string_view{kSpecEnd}.size()) : name;
      if (name[0] == '.' || bundle.find('.') == std::string::npos || kept.contains(bundle)) {
        continue;
      }
      const std::string path = project_.directory() + "/" + name;
      if (spec) {
        ::unlink(path.c_str());
      } else {
        TRY(RemoveTree(path));
      }
    }
    return {};
  }

  const Globals& globals_;
  const Project& project_;
  const Topology& topology_;
  const Numbers& numbers_;
  std::map<std::string, const Wanted*> wanted_;
  std::map<std::string, ServiceStatus> present_;
  std::set<std::string> to_start_;
  std::map<std::string, Progress> progress_;
  std::map<std::string, ServiceStatus> stopped_;  // as they were
  std::set<std::string> raised_;
  Work work_;
  std::string failed_;
  std::string why_;
};

}  // namespace

Result<std::map<std::string, ServiceStatus>> PresentServices(const Globals& globals, const std::string& project) {
  std::map<std::string, ServiceStatus> services;
  for (ServiceStatus& status : TRY(ListServices(globals))) {
    if (Label(status, kProjectLabel) == project) {
      const std::string name = Label(status, kServiceLabel);
      services.emplace(name, std::move(status));
    }
  }
  return services;
}

Result<std::vector<Step>> PlanOf(const std::map<std::string, ServiceStatus>& present,
                                 const std::vector<Wanted>& wanted) {
  std::map<std::string, std::string> digests;
  for (const Wanted& one : wanted) {
    digests.emplace(one.service, one.digest);
  }
  std::map<std::string, Present> there;
  for (const auto& [name, status] : present) {
    there.emplace(name, Present{.digest = Label(status, kDigestLabel),
                                .over = status.Over(),
                                .ended = status.phase == Phase::kEnded,
                                .exit_status = status.exit_status});
  }
  return MakePlan(digests, there);
}

Result<> Up(const Globals& globals, const Project& project, const Topology& topology) {
  const bool networks =
      std::ranges::any_of(topology.services, [](const auto& entry) { return !entry.second.networks.empty(); });
  if (networks && ::geteuid() != 0) {
    return std::unexpected(Failure("networks take the host's root: bridges are not for everybody", EPERM));
  }
  const Numbers numbers = TRY(project.NumbersOf(topology));
  TRY(project.MakeVolumes(topology));
  TRY(project.KeepNumbers(numbers));
  const std::vector<Wanted> wanted = TRY(WantedServices(project, topology, numbers));
  const std::map<std::string, ServiceStatus> present = TRY(PresentServices(globals, project.name()));
  const std::vector<Step> steps = TRY(PlanOf(present, wanted));
  if (std::ranges::all_of(steps, [](const Step& step) { return step.action == Action::kKeep; })) {
    Say("nothing to do");
    return {};
  }
  return Raising{globals, project, topology, numbers, wanted, present}.Run(steps);
}

Result<> Down(const Globals& globals, Project& project, bool volumes) {
  const std::map<std::string, ServiceStatus> present = TRY(PresentServices(globals, project.name()));
  const Result<> stopped = Stop(globals, present);
  if (!stopped) {
    // Those that ended badly have ended all the same; their logs go as well.
    Warn(stopped.error().message);
    for (const auto& [name, status] : present) {
      const Result<> forgotten = ForgetService(globals, status.id);
      if (!forgotten && forgotten.error().code != ENOENT) {
        return forgotten;
      }
    }
  }
  if (volumes) {
    TRY(project.RemoveVolumes());
  }
  return project.Remove();
}

}  // namespace nucleus::front::compose
