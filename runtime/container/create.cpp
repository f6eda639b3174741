// create: from a bundle to a process that waits before execve.

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "oci-config/annotations.h"
#include "oci-config/parse.h"
#include "runtime/container/channel.h"
#include "runtime/container/child.h"
#include "runtime/container/container.h"
#include "runtime/container/filter_cache.h"
#include "runtime/container/filter_file.h"
#include "runtime/container/hooks.h"
#include "runtime/container/host.h"
#include "runtime/container/outputs.h"
#include "runtime/container/rollback.h"
#include "runtime/container/spawn.h"
#include "runtime/container/state_dir.h"
#include "runtime/container/user_namespace.h"
#include "runtime/plan/cgroup_owner.h"
#include "runtime/resctrl/resctrl.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

Result<std::string> AbsolutePath(const std::string& path) {
  std::array<char, PATH_MAX> resolved{};
  if (::realpath(path.c_str(), resolved.data()) == nullptr) {
    return std::unexpected(SysError("open", path));
  }
  return std::string{resolved.data()};
}

std::string Now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  std::array<char, 64> text{};
  const int size = std::snprintf(text.data(), text.size(), "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", utc.tm_year + 1900,
                                 utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec);
  return {text.data(), static_cast<std::size_t>(size)};
}

Result<Fd> ListenForStart(const StateDir& directory) {
  FAULT_POINT("create.start-socket");
  Fd socket{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
  if (!socket) {
    return std::unexpected(SysError("socket", ""));
  }
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // Through the descriptor: the state directory's path may be longer than an address can hold.
  std::snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory.fd(), kStartSocket);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(socket.get(), 1) != 0) {
    return std::unexpected(SysError("bind", directory.path() + "/" + kStartSocket));
  }
  return socket;
}

// The bundle, read and typed: what is wrong with it is said before anything is made.
struct Bundle {
  std::string path;
  std::string text;
  std::shared_ptr<const oci::Spec> spec;
};

Result<Bundle> LoadBundle(const CreateOptions& options) {
  Bundle bundle;
  bundle.path = TRY(AbsolutePath(options.bundle));
  const std::string config = options.config.empty() ? bundle.path + "/config.json" : options.config;
  bundle.text = TRY(ReadFile(config, oci::kMaxConfigBytes));
  bundle.spec = std::make_shared<const oci::Spec>(TRY(oci::ParseSpec(bundle.text, "config.json")));
  const oci::Annotations annotations = TRY_IN("config.json", oci::ParseAnnotations(bundle.spec->annotations));
  TRY_IN("config.json", oci::RefuseUnsupported(annotations));
  return bundle;
}

class Creation {
 public:
  Creation(const Settings& settings, const CreateOptions& options) : settings_(settings), options_(options) {
  }

  Result<Launched> Run() {
    TRY(ValidateId(options_.id));
    bundle_ = TRY(LoadBundle(options_));
    const bool terminal = bundle_.spec->process && bundle_.spec->process->terminal;
    TRY(CheckTerminalOptions(terminal, options_.io));
    TRY(MakePlan());
    Result<Launched> launched = MakeContainer();
    if (!launched && hooks_ran_) {
      // The runtime's promise to the hooks that ran: poststop runs as well.
      rollback_.Undo();
      RunPoststop();
    }
    return launched;
  }

 private:
  Result<> MakePlan() {
    if (settings_.cgroup_manager == CgroupManager::kSystemd) {
      return std::unexpected(Failure("the systemd cgroup driver is not supported yet"));
    }
    const bool cgroups = settings_.cgroup_manager != CgroupManager::kDisabled;
    host_ = TRY(ReadHost(
        cgroups, AsksForLabels(bundle_.spec->linux_, bundle_.spec->process ? &*bundle_.spec->process : nullptr)));
    plan_ = TRY_IN("config.json", plan::MakePlan(*bundle_.spec,
                                                 {.id = options_.id,
                                                  .bundle = bundle_.path,
                                                  .no_pivot = options_.no_pivot,
                                                  .no_new_keyring = options_.no_new_keyring,
                                                  .use_cgroups = cgroups},
                                                 host_));
    if (plan_.process) {
      plan_.process->env.insert(plan_.process->env.end(), options_.env.begin(), options_.env.end());
    }
    if (plan_.process) {
      TakeCallersSize(options_.io, *plan_.process);
    }
    plan_.rootfs.path = TRY_IN("root.path", AbsolutePath(plan_.rootfs.path));
    struct stat status{};
    if (::stat(plan_.rootfs.path.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
      return std::unexpected(SysError("root.path:", plan_.rootfs.path, ENOTDIR));
    }
    for (const std::string& warning : plan_.warnings) {
      settings_.warn(warning);
    }
    return {};
  }

  Result<> MakeStateDir() {
    directory_.emplace(TRY(StateDir::Make(settings_.root, options_.id)));
    rollback_.Push([this] { (void)directory_->Remove(); });
    FAULT_POINT("create.state-dir");
    state_.oci_version = bundle_.spec->oci_version;
    state_.id = options_.id;
    state_.bundle = bundle_.path;
    state_.rootfs = plan_.rootfs.path;
    state_.created = Now();
    state_.owner = ::geteuid();
    state_.keyring = !options_.no_new_keyring;
    state_.annotations = bundle_.spec->annotations;
    FAULT_POINT("create.config-copy");
    TRY(directory_->WriteFile(kConfigFile, bundle_.text));
    directory_->RememberSpec(bundle_.spec);
    return {};
  }

  // The cgroups of v1 are made while the init builds its root, and it moves itself there before it mounts any and
  // before anything of the bundle runs. That takes the host's paths and rights: not where it joins a mount namespace or
  // is in a user namespace. v2's is made first in any case: the init is born in it.
  [[nodiscard]] bool CgroupsComeFirst() const {
    const bool v1 = std::ranges::any_of(plan_.cgroups, [](const auto& cgroup) { return !cgroup.hierarchy.empty(); });
    return !v1 || host_.rootless() || plan_.namespaces.Has(CLONE_NEWUSER) || !plan_.namespaces.Creates(CLONE_NEWNS);
  }

  // On disk before they are there: a crash of this command must not leave what `delete` does not know.
  Result<> AnnounceCgroups() {
    announced_ = state_.cgroups;
    for (oci::StateCgroup& cgroup : announced_) {
      cgroup.created = ::access(cgroup.path.c_str(), F_OK) != 0;
    }
    return WriteAnnounced();
  }

  Result<> WriteAnnounced() {
    oci::State announced = state_;
    announced.cgroups = announced_;
    return directory_->WriteState(announced);
  }

  Result<> MakeUnifiedCgroup() {
    for (oci::StateCgroup& cgroup : state_.cgroups) {
      if (cgroup.hierarchy.empty()) {
        std::vector<oci::StateCgroup> alone = {cgroup};
        TRY(cgroup::Create(host_.cgroups, alone, true));
        cgroup = alone[0];
      }
    }
    return {};
  }

  Result<> MakeCgroups() {
    if (state_.cgroups.empty()) {
      return {};
    }
    FAULT_POINT("create.cgroup-make");
    TRY(cgroup::Create(host_.cgroups, state_.cgroups, !bundle_.spec->linux_.cgroups_path.empty()));
    FAULT_POINT("create.cgroup-limits");
    std::vector<std::string> warnings;
    TRY(cgroup::Apply(host_.cgroups, state_.cgroups, plan_.resources, warnings));
    for (const std::string& warning : warnings) {
      settings_.warn(warning);
    }
    const std::optional<uid_t> owner = plan::CgroupOwner(plan_);
    return owner && !host_.rootless() ? cgroup::Delegate(host_.cgroups, state_.cgroups, *owner) : Result<>{};
  }

  Result<> MakeResctrlGroup() {
    if (!plan_.intel_rdt) {
      return {};
    }
    const std::string mount = TRY(resctrl::ReadMount());
    state_.resctrl = TRY(resctrl::Create(mount, *plan_.intel_rdt, options_.id));
    rollback_.Push([this] { (void)resctrl::Remove(state_.resctrl); });
    return {};
  }

  Result<> Clone() {
    start_listener_ = TRY(ListenForStart(*directory_));
    Fd child_channel;
    TRY(sys::SocketPair(channel_, child_channel));
    std::vector<Fd> joins = TRY(OpenJoins(plan_.namespaces));
    TRY_IN("config.json", CheckJoinedSysctls(plan_, joins));
    if (plan_.seccomp && plan_.process) {
      program_ = TRY(confine::SharedProgram::Create());
    }
    std::vector<Fd> idmapped = TRY(OpenIdmappedSources(plan_));
    std::vector<oci::StateCgroup> enter = state_.cgroups;
    if (!CgroupsComeFirst()) {
      std::erase_if(enter, [](const oci::StateCgroup& cgroup) { return !cgroup.hierarchy.empty(); });
    }
    const cgroup::Doors doors = TRY(cgroup::OpenDoors(enter));
    FAULT_POINT("create.clone");
    spawned_ = TRY(Spawn(plan_.namespaces, std::move(joins), doors.v2.get(), [&](std::vector<Fd> left) {
      if (const Result<> entered = cgroup::Enter(doors); !entered) {
        FailChild(child_channel.get(), entered.error());
      }
      ChildInput input{.plan = &plan_,
                       .cgroup_host = &host_.cgroups,
                       .joins = std::move(left),
                       .idmapped_sources = std::move(idmapped),
                       .channel = child_channel.get(),
                       .start_listener = start_listener_.get(),
                       .program = program_.get(),
                       .preserve_fds = options_.io.preserve_fds,
                       .enter_v1_cgroups = !CgroupsComeFirst(),
                       .state = state_};
      RunChild(input);
    }));
    rollback_.Push([this] {
      (void)sys::PidfdSendSignal(spawned_.pidfd.get(), SIGKILL);
      while (::waitpid(spawned_.pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    });
    state_.pid = spawned_.pid;
    state_.start_time = TRY(sys::ReadProcessStat(spawned_.pid)).start_time;
    return {};
  }

  // While the child builds its root: everything that the runtime has to do about it.
  Result<> ServeChild() {
    if (plan_.namespaces.Creates(CLONE_NEWUSER)) {
      const Message request = TRY(ReceiveFromChild());
      if (request.tag != Tag::kUserNamespace) {
        return std::unexpected(Failure("unexpected message from the container's init", EPROTO));
      }
      FAULT_POINT("create.id-maps");
      TRY(WriteIdMappings(spawned_.pid, plan_));
      TRY(SetOomScore());
      TRY(Send(channel_.get(), Tag::kGo));
    }
    if (!CgroupsComeFirst()) {
      TRY(MakeCgroups());
    }
    FAULT_POINT("create.cgroup-attach");
    if (plan_.intel_rdt) {
      TRY(resctrl::Attach(state_.resctrl, spawned_.pid));
    }
    if (!plan_.namespaces.Creates(CLONE_NEWUSER)) {
      TRY(SetOomScore());
    }
    if (program_) {
      FAULT_POINT("create.seccomp-compile");
      const confine::SeccompProgram program =
          TRY_IN("linux.seccomp", CompileCached(FilterCacheDirectory(), *plan_.seccomp));
      TRY(program_->Set(program));
      TRY(directory_->WriteFile(kFilterFile, FormatFilter(program)));
    }
    for (;;) {
      Message message = TRY(ReceiveFromChild());
      switch (message.tag) {
        case Tag::kCgroup:
          TRY(Send(channel_.get(), Tag::kGo, std::to_string(spawned_.pid)));
          break;
        case Tag::kRuntimeHooks:
          TRY(RunRuntimeHooks());
          TRY(Send(channel_.get(), Tag::kGo));
          break;
        case Tag::kConsole:
          FAULT_POINT("create.console-send");
          if (options_.io.foreground) {
            console_ = std::move(message.fd);
          } else {
            TRY(SendConsole(options_.io.console_socket, message.fd.get()));
          }
          break;
        case Tag::kWarning:
          settings_.warn(message.text);
          break;
        case Tag::kReady:
          return {};
        default:
          return std::unexpected(Failure("unexpected message from the container's init", EPROTO));
      }
    }
  }

  Result<Message> ReceiveFromChild() {
    Result<Message> message = Receive(channel_.get());
    if (!message) {
      if (cgroup::WasOomKilled(state_.cgroups).value_or(false)) {
        return std::unexpected(Failure("container init was OOM-killed (memory limit too low?)", ENOMEM));
      }
      return std::unexpected(Failure("the container's init ended before it was ready", ECHILD));
    }
    if (message->tag == Tag::kError) {
      return std::unexpected(Failure("unable to start container process: " + message->text, message->code));
    }
    return message;
  }

  Result<> SetOomScore() {
    if (!plan_.process || !plan_.process->oom_score_adj) {
      return {};
    }
    const std::string path = "/proc/" + std::to_string(spawned_.pid) + "/oom_score_adj";
    const Fd file = TRY_IN("process.oomScoreAdj", sys::Open(path, O_WRONLY));
    TRY_IN("process.oomScoreAdj", WriteAll(file.get(), std::to_string(*plan_.process->oom_score_adj), path));
    return {};
  }

  Result<> RunRuntimeHooks() {
    hooks_ran_ = true;
    FAULT_POINT("create.runtime-hooks");
    const std::string state = oci::FormatOciState(state_, "creating");
    TRY(RunHooks("prestart", plan_.hooks.prestart, state));
    return RunHooks("createRuntime", plan_.hooks.create_runtime, state);
  }

  void RunPoststop() {
    state_.pid = 0;
    for (const Error& error :
         RunHooksToTheEnd("poststop", plan_.hooks.poststop, oci::FormatOciState(state_, "stopped"))) {
      settings_.warn(error.message);
    }
  }

  Result<Launched> MakeContainer() {
    TRY(MakeStateDir());
    state_.cgroups = plan_.cgroups;
    // Removed once the process is gone, whenever they are made.
    rollback_.Push([this] { (void)cgroup::Remove(state_.cgroups); });
    TRY(AnnounceCgroups());
    TRY(CgroupsComeFirst() ? MakeCgroups() : MakeUnifiedCgroup());
    TRY(MakeResctrlGroup());
    hooks_ran_ = !plan_.hooks.create_container.empty();
    TRY(Clone());
    // From here a crash of this command leaves a process: the state that names it is on disk before it does anything.
    TRY(CgroupsComeFirst() ? directory_->WriteState(state_) : WriteAnnounced());
    TRY(ServeChild());
    state_.phase = oci::Phase::kCreated;
    FAULT_POINT("create.save-state");
    TRY(directory_->WriteState(state_));
    FAULT_POINT("create.pid-file");
    if (!options_.io.pidfd_socket.empty()) {
      TRY(SendPidfd(options_.io.pidfd_socket, spawned_.pidfd.get()));
    }
    TRY(WritePidFile(options_.io.pid_file, spawned_.pid));
    rollback_.Commit();
    return Launched{.pid = spawned_.pid, .pidfd = std::move(spawned_.pidfd), .console = std::move(console_)};
  }

  const Settings& settings_;
  const CreateOptions& options_;
  Bundle bundle_;
  plan::Host host_;
  plan::Plan plan_;
  std::optional<StateDir> directory_;
  oci::State state_;
  std::vector<oci::StateCgroup> announced_;
  Fd start_listener_;
  Fd channel_;
  std::unique_ptr<confine::SharedProgram> program_;
  bool hooks_ran_ = false;
  Spawned spawned_;
  Fd console_;
  // Last, so that it runs while the rest is still there.
  Rollback rollback_;
};

}  // namespace

Result<Launched> Create(const Settings& settings, const CreateOptions& options) {
  return Creation{settings, options}.Run();
}

}  // namespace nucleus::container
