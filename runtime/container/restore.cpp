// restore: a container's processes, made anew by criu from what checkpoint has written.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "runtime/container/bundle.h"
#include "runtime/container/channel.h"
#include "runtime/container/checkpoint.h"
#include "runtime/container/criu_options.h"
#include "runtime/container/filter_cache.h"
#include "runtime/container/filter_file.h"
#include "runtime/container/hooks.h"
#include "runtime/container/host.h"
#include "runtime/container/outputs.h"
#include "runtime/container/rollback.h"
#include "runtime/container/scope_unit.h"
#include "runtime/container/state_dir.h"
#include "runtime/criu/session.h"
#include "runtime/plan/cgroup_owner.h"
#include "runtime/plan/plan.h"
#include "runtime/resctrl/resctrl.h"
#include "runtime/rootfs/resolver.h"
#include "runtime/rootfs/rootfs.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/process_stat.h"
#include "runtime/sys/syscalls.h"
#include "runtime/systemd/client.h"

namespace nucleus::container {
namespace {

// The strings of a JSON array of strings. Only names of pipes matter, which have nothing escaped.
std::vector<std::string> Strings(std::string_view json) {
  std::vector<std::string> strings;
  for (std::size_t at = json.find('"'); at != std::string_view::npos; at = json.find('"', at)) {
    std::string text;
    for (++at; at < json.size() && json[at] != '"'; ++at) {
      at += json[at] == '\\' ? 1 : 0;
      text += at < json.size() ? json[at] : '\0';
    }
    strings.push_back(std::move(text));
    at += at < json.size() ? 1 : 0;
  }
  return strings;
}

// The places to mount on, as create makes them: criu takes them for given. What is mounted here for a moment, so that
// places in it are found, goes again.
class MountPoints {
 public:
  explicit MountPoints(const rootfs::Handles& handles) : resolver_(handles.root.get()) {
  }
  MountPoints(const MountPoints&) = delete;
  MountPoints& operator=(const MountPoints&) = delete;
  ~MountPoints() {
    while (!mounted_.empty()) {
      ::umount2(("/proc/self/fd/" + std::to_string(mounted_.back().get())).c_str(), MNT_DETACH);
      mounted_.pop_back();
    }
  }

  Result<> operator()(const plan::BindMount& mount) {
    if (IsRestored(mount.target)) {
      return {};
    }
    Fd tree = TRY(sys::CloneTree(AT_FDCWD, mount.source, mount.recursive, mount.source));
    const struct stat status = TRY(sys::Fstat(tree.get(), mount.source));
    const Fd target =
        TRY(S_ISDIR(status.st_mode) ? resolver_.MakeDirectory(mount.target) : resolver_.MakeFile(mount.target));
    TRY(sys::MoveMount(tree.get(), target.get(), mount.target));
    mounted_.push_back(std::move(tree));
    return {};
  }
  Result<> operator()(const plan::FilesystemMount& mount) {
    if (IsRestored(mount.target)) {
      return {};
    }
    restored_.push_back(mount.target + "/");
    TRY(resolver_.MakeDirectory(mount.target));
    return {};
  }
  Result<> operator()(const plan::CgroupMount& mount) {
    if (!IsRestored(mount.target)) {
      TRY(resolver_.MakeDirectory(mount.target));
    }
    return {};
  }
  Result<> operator()(const plan::Remount& /*mount*/) {
    return {};
  }

 private:
  // In a filesystem of the container's own, which comes back with all that was in it.
  [[nodiscard]] bool IsRestored(const std::string& target) const {
    for (const std::string& prefix : restored_) {
      if (target.starts_with(prefix)) {
        return true;
      }
    }
    return false;
  }

  rootfs::Resolver resolver_;
  std::vector<std::string> restored_;
  std::vector<Fd> mounted_;
};

// In criu's own mount namespace, which ends with it: nothing of this is seen on the host, but the places themselves.
Result<> PrepareRoot(const plan::Rootfs& plan) {
  const rootfs::Handles handles = TRY(rootfs::OpenRoot(plan));
  MountPoints points{handles};
  for (const plan::MountStep& step : plan.mounts) {
    TRY(std::visit(points, step));
  }
  return {};
}

// criu gives the root mount back without its own flag. The processes do not run yet.
Result<> MakeRootReadonly(pid_t init) {
  const Fd mounts = TRY(sys::Open("/proc/" + std::to_string(init) + "/ns/mnt", O_RDONLY));
  const pid_t child = TRY(sys::Clone3({}));
  if (child == 0) {
    const auto change = [&mounts]() -> Result<> {
      TRY(sys::SetNs(mounts.get(), CLONE_NEWNS, "mount namespace"));
      const Fd root = TRY(sys::Open("/", O_PATH | O_DIRECTORY));
      return sys::SetMountAttributes(root.get(), MOUNT_ATTR_RDONLY, 0, 0, false, "/");
    };
    const Result<> changed = change();
    ::_exit(changed ? 0 : changed.error().code);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return std::unexpected(
        SysError("root.readonly: make read-only", "/", WIFEXITED(status) ? WEXITSTATUS(status) : EIO));
  }
  return {};
}

// What criu may not know to restore, it depends on its version, and what must not be missing.
constexpr std::size_t kMaxStatus = 65536;

Result<> CheckNoNewPrivileges(pid_t init, const oci::Spec& spec) {
  const std::string status = TRY(ReadFile("/proc/" + std::to_string(init) + "/status", kMaxStatus));
  if (spec.process && spec.process->no_new_privileges && status.find("\nNoNewPrivs:\t1\n") == std::string::npos) {
    return std::unexpected(Failure("process.noNewPrivileges: not restored", EPERM));
  }
  return {};
}

// The last that criu restores: to be seen just before the processes go on.
Result<> CheckSeccomp(pid_t init, const oci::Spec& spec) {
  const std::string status = TRY(ReadFile("/proc/" + std::to_string(init) + "/status", kMaxStatus));
  if (spec.linux_.seccomp && status.find("\nSeccomp:\t2\n") == std::string::npos) {
    return std::unexpected(Failure("linux.seccomp: not restored", EPERM));
  }
  return {};
}

class Restoration {
 public:
  Restoration(const Settings& settings, const CreateOptions& options, const CriuOptions& criu)
      : settings_(settings), options_(options), criu_(criu) {
  }

  Result<Launched> Run() {
    TRY(ValidateId(options_.id));
    TRY(NeedsRoot("restore"));
    program_ = TRY(criu::FindProgram());
    bundle_ = TRY(LoadBundle(options_.bundle, options_.config, {}, settings_.warn));
    if (bundle_.annotations.runtime != oci::Runtime::kNative) {
      return std::unexpected(
          Failure("annotations[\"dev.nucleus.runtime\"]: a container that gVisor carries cannot be restored", ENOTSUP));
    }
    if (!bundle_.annotations.seccomp_trace.empty()) {
      return std::unexpected(
          Failure("annotations[\"dev.nucleus.seccomp.trace\"]: a restored container cannot be traced", ENOTSUP));
    }
    if (!bundle_.policies.documents.empty()) {
      // criu knows nothing of Landlock, and the copies that exec reads would be missing.
      return std::unexpected(Failure("annotations[\"dev.nucleus.policy." + bundle_.policies.documents[0].kind +
                                         "\"]: a container with policies cannot be restored",
                                     ENOTSUP));
    }
    if (bundle_.annotations.rootfs_mode != oci::RootfsMode::kBind) {
      return std::unexpected(Failure(
          "annotations[\"dev.nucleus.rootfs.mode\"]: a container with a root of its own cannot be restored", ENOTSUP));
    }
    if (bundle_.annotations.rootfs_closure) {
      return std::unexpected(Failure(
          "annotations[\"dev.nucleus.rootfs.closure\"]: a container with a closure cannot be restored", ENOTSUP));
    }
    if (!bundle_.annotations.credentials.empty()) {
      return std::unexpected(Failure(
          "annotations[\"dev.nucleus.credentials\"]: a container with credentials cannot be restored", ENOTSUP));
    }
    if (bundle_.annotations.network != oci::NetworkMode::kOci) {
      // Its links, and the rules that a mode loads without a policy, are nucleus-net's to make: criu knows of neither.
      return std::unexpected(Failure(
          "annotations[\"dev.nucleus.network\"]: a container with a network of nucleus's cannot be restored", ENOTSUP));
    }
    if (bundle_.policies.rootfs_manifest) {
      return std::unexpected(
          Failure("annotations[\"dev.nucleus.rootfs.manifest\"]: an attested container cannot be restored", ENOTSUP));
    }
    TRY(CheckTerminalOptions(bundle_.spec->process && bundle_.spec->process->terminal, options_.io));
    TRY(MakePlan());
    if (plan_.init) {
      return std::unexpected(
          Failure("annotations[\"dev.nucleus.init\"]: a container with an init cannot be restored", ENOTSUP));
    }
    request_ = TRY(BeginRequest(criu_, "restore.log"));
    TRY(AddNamespaces());
    TRY(AddStreams());
    Result<Launched> launched = MakeContainer();
    if (!launched && hooks_ran_) {
      rollback_.Undo();
      RunPoststop();
    }
    return launched;
  }

 private:
  Result<> MakePlan() {
    const bool cgroups = settings_.cgroup_manager != CgroupManager::kDisabled;
    host_ = TRY(ReadHost(cgroups, false));
    if (bundle_.annotations.require_lockdown) {
      host_.lockdown = ReadLockdown();
    }
    // Labels are criu's to restore: it has them in its images.
    oci::Spec spec = *bundle_.spec;
    if (spec.process) {
      spec.process->apparmor_profile.clear();
      spec.process->selinux_label.clear();
    }
    spec.linux_.mount_label.clear();
    plan_ = TRY_IN("config.json", plan::MakePlan(spec,
                                                 {.id = options_.id,
                                                  .bundle = bundle_.path,
                                                  .no_pivot = options_.no_pivot,
                                                  .no_new_keyring = true,
                                                  .use_cgroups = cgroups,
                                                  .systemd = settings_.cgroup_manager == CgroupManager::kSystemd,
                                                  .annotations = bundle_.annotations},
                                                 host_));
    if (plan_.scope) {
      TRY(systemd::CheckRunning(plan_.scope->user));
    }
    if (!bundle_.spec->linux_.net_devices.empty()) {
      return std::unexpected(Failure("config.json: linux.netDevices: cannot be restored", ENOTSUP));
    }
    plan_.rootfs.path = TRY(RootDirectory(plan_.rootfs.path));
    for (const std::string& warning : plan_.warnings) {
      settings_.warn(warning);
    }
    return {};
  }

  // Those that are joined: criu finds them by descriptor or by path.
  Result<> AddNamespaces() {
    for (const oci::Namespace& entry : bundle_.spec->linux_.namespaces) {
      if (entry.path.empty()) {
        continue;
      }
      const std::string key = ExternalNamespaceKey(entry.type);
      const char* type = plan::NamespaceFile(plan::NamespaceFlag(entry.type));
      if (!key.empty()) {
        descriptors_.push_back(TRY(sys::Open(entry.path, O_RDONLY)));
        constexpr std::size_t kFirst = 4;
        request_.options.Nested(27, criu::Message{}.Text(1, key).Number(2, kFirst + descriptors_.size() - 1));
      } else if (entry.type == oci::NamespaceType::kCgroup || entry.type == oci::NamespaceType::kTime) {
        return std::unexpected(
            Failure("linux.namespaces: a joined " + std::string{type} + " namespace cannot be restored", ENOTSUP));
      } else {
        request_.options.Nested(39, criu::Message{}.Text(1, type).Text(2, entry.path));
      }
    }
    return {};
  }

  // Pipes that the standard streams were come back as those of this command.
  Result<> AddStreams() {
    constexpr std::size_t kMaxDescriptors = 65536;
    const Fd file =
        TRY_IN(criu_.image_path, sys::OpenAt2(request_.images.get(), kDescriptorsFile, O_RDONLY, RESOLVE_BENEATH));
    const std::vector<std::string> streams = Strings(TRY(ReadAll(file.get(), kMaxDescriptors, kDescriptorsFile)));
    for (std::size_t i = 0; i < streams.size() && i <= 2; ++i) {
      if (streams[i].starts_with("pipe:")) {
        request_.options.Nested(27, criu::Message{}.Text(1, streams[i]).Number(2, i));
      }
    }
    return {};
  }

  Result<> MakeStateDir() {
    directory_.emplace(TRY(StateDir::Make(settings_.root, options_.id)));
    rollback_.Push([this] { (void)directory_->Remove(); });
    state_.oci_version = bundle_.spec->oci_version;
    state_.id = options_.id;
    state_.bundle = bundle_.path;
    state_.rootfs = plan_.rootfs.path;
    state_.created = Now();
    state_.owner = ::geteuid();
    state_.keyring = false;
    state_.annotations = bundle_.spec->annotations;
    TRY(directory_->WriteFile(kConfigFile, bundle_.text));
    directory_->RememberSpec(bundle_.spec);
    if (plan_.seccomp && plan_.process) {
      const confine::SeccompProgram program =
          TRY_IN("linux.seccomp", CompileCached(FilterCacheDirectory(), *plan_.seccomp));
      TRY(directory_->WriteFile(kFilterFile, FormatFilter(program)));
    }
    return {};
  }

  Result<> MakeCgroups() {
    if (state_.cgroups.empty()) {
      return {};
    }
    oci::State announced = state_;
    for (oci::StateCgroup& cgroup : announced.cgroups) {
      cgroup.created = cgroup.created || ::access(cgroup.path.c_str(), F_OK) != 0;
    }
    TRY(directory_->WriteState(announced));
    TRY(cgroup::Create(host_.cgroups, state_.cgroups, !bundle_.spec->linux_.cgroups_path.empty()));
    FAULT_POINT("restore.cgroup-limits");
    std::vector<std::string> warnings;
    TRY(cgroup::Apply(host_.cgroups, state_.cgroups, plan_.resources, warnings));
    for (const std::string& warning : warnings) {
      settings_.warn(warning);
    }
    const std::optional<uid_t> owner = plan::CgroupOwner(plan_);
    return owner ? cgroup::Delegate(host_.cgroups, state_.cgroups, *owner) : Result<>{};
  }

  // criu is in the container's cgroups itself, and what it forks with it.
  Result<criu::Session> Launch(Fd& gate) {
    Fd theirs;
    TRY(sys::SocketPair(gate, theirs));
    const cgroup::Doors doors = TRY(cgroup::OpenDoors(state_.cgroups));
    criu::Launch launch{.program = program_,
                        .namespaces = CLONE_NEWNS,
                        .cgroup_fd = doors.v2.get(),
                        .own_streams = false,
                        .descriptors = {},
                        .prepare = [this, &doors, &theirs, &gate]() -> Result<> {
                          gate.Reset();
                          TRY(cgroup::Enter(doors));
                          TRY(AwaitGo(theirs.get()));
                          TRY(PrepareRoot(plan_.rootfs));
                          // Not in criu's images before version 4: what it forks has it from here.
                          if (plan_.confinement.no_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
                            return std::unexpected(SysError("prctl", "PR_SET_NO_NEW_PRIVS"));
                          }
                          return SendDirectories(theirs.get());
                        }};
    for (const Fd& descriptor : descriptors_) {
      launch.descriptors.push_back(descriptor.get());
    }
    return criu::Session::Begin(launch);
  }

  // criu mounts below the directories that it works in: they have to be of its own mount namespace.
  Result<> SendDirectories(int gate) const {
    const Fd images = TRY(sys::Open(criu_.image_path, O_RDONLY | O_DIRECTORY));
    TRY(SendWithFd(gate, Tag::kReady, images.get()));
    if (request_.work) {
      const Fd work = TRY(sys::Open(criu_.work_path, O_RDONLY | O_DIRECTORY));
      TRY(SendWithFd(gate, Tag::kReady, work.get()));
    }
    return {};
  }

  // Where they do not come criu's process says itself what is wrong, in the place of criu's answer.
  void TakeDirectories(int gate) {
    for (Fd* directory : {&request_.images, &request_.work}) {
      Result<Message> message = *directory ? Receive(gate) : Result<Message>{std::unexpected(Error{})};
      if (message && message->fd) {
        *directory = std::move(message->fd);
      }
    }
    AddDirectories(request_);
  }

  Result<> EnterScope(pid_t pid) {
    const std::string path = TRY(StartUnit(*plan_.scope, host_.cgroups.unified(), pid, state_.systemd));
    state_.cgroups = cgroup::At(host_.cgroups, path);
    TRY(MakeCgroups());
    return cgroup::Attach(state_.cgroups, pid);
  }

  // Where criu is, is where the container was: the paths in its images begin there.
  Result<> AddCgroupRoots(pid_t pid) {
    constexpr std::size_t kMax = 65536;
    const std::string text = TRY(ReadFile("/proc/" + std::to_string(pid) + "/cgroup", kMax));
    std::string_view rest = text;
    while (!rest.empty() && !state_.cgroups.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      const std::size_t first = line.find(':');
      const std::size_t second = line.find(':', first + 1);
      if (second != std::string_view::npos) {
        request_.options.Nested(
            25, criu::Message{}.Text(1, line.substr(first + 1, second - first - 1)).Text(2, line.substr(second + 1)));
      }
    }
    return {};
  }

  void AddRest() {
    request_.options.Flag(6, true).Flag(26, true).Text(13, plan_.rootfs.path);
    if (!criu_.lsm_profile.empty()) {
      request_.options.Text(53, criu_.lsm_profile);
    }
    if (!criu_.lsm_mount_context.empty()) {
      request_.options.Text(63, criu_.lsm_mount_context);
    }
    ForEachExternalMount(*bundle_.spec, bundle_.path, host_.cgroups, state_.cgroups,
                         [this](const std::string& name, const std::string& source) {
                           AddExternalMount(request_.options, name, source);
                         });
    if (!bundle_.spec->linux_.masked_paths.empty()) {
      AddExternalMount(request_.options, "/dev/null", "/dev/null");
    }
  }

  Result<> OnStage(const criu::Answer& stage, Fd descriptor) {
    if (stage.stage == "setup-namespaces") {
      oci::State state = state_;
      state.pid = stage.pid;
      const std::string text = oci::FormatOciState(state, "creating");
      hooks_ran_ = true;
      TRY(RunHooks("prestart", plan_.hooks.prestart, text));
      return RunHooks("createRuntime", plan_.hooks.create_runtime, text);
    }
    if (stage.stage == "orphan-pts-master") {
      if (options_.io.foreground) {
        console_ = std::move(descriptor);
        return {};
      }
      return SendConsole(options_.io.console_socket, descriptor.get());
    }
    if (stage.stage == "post-restore") {
      return TakeInit(stage.pid);
    }
    if (stage.stage == "pre-resume" && pidfd_) {
      checked_ = true;
      return CheckSeccomp(state_.pid, *bundle_.spec);
    }
    if (stage.stage == "status-ready" && criu_.status_fd >= 0) {
      (void)!::write(criu_.status_fd, "", 1);
    }
    return {};
  }

  Result<> TakeInit(pid_t pid) {
    FAULT_POINT("restore.save-state");
    pidfd_ = TRY(sys::PidfdOpen(pid));
    TRY(CheckNoNewPrivileges(pid, *bundle_.spec));
    if (plan_.rootfs.readonly) {
      TRY(MakeRootReadonly(pid));
    }
    state_.pid = pid;
    state_.start_time = TRY(sys::ReadProcessStat(pid)).start_time;
    state_.phase = oci::Phase::kRunning;
    if (plan_.intel_rdt) {
      TRY(resctrl::Attach(state_.resctrl, pid));
    }
    return directory_->WriteState(state_);
  }

  void KillInit() {
    if (pidfd_) {
      (void)sys::PidfdSendSignal(pidfd_.get(), SIGKILL);
      while (::waitpid(state_.pid, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
    if (!state_.cgroups.empty()) {
      (void)cgroup::KillAll(state_.cgroups);
    }
  }

  void RunPoststop() {
    state_.pid = 0;
    for (const Error& error :
         RunHooksToTheEnd("poststop", plan_.hooks.poststop, oci::FormatOciState(state_, "stopped"))) {
      settings_.warn(error.message);
    }
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

  Result<Launched> MakeContainer() {
    TRY(MakeStateDir());
    state_.cgroups = plan_.cgroups;
    rollback_.Push([this] { (void)cgroup::Remove(state_.cgroups); });
    if (plan_.scope) {
      state_.systemd = PlannedUnit(*plan_.scope);
      rollback_.Push([this] { (void)StopUnit(state_); });
    }
    TRY(directory_->WriteState(state_));
    TRY(MakeCgroups());
    TRY(MakeResctrlGroup());
    rollback_.Push([this] { KillInit(); });
    TRY(RunCriu());
    TRY(WritePidFile(options_.io.pid_file, state_.pid));
    rollback_.Commit();
    return Launched{.pid = state_.pid, .pidfd = std::move(pidfd_), .console = std::move(console_)};
  }

  Result<> RunCriu() {
    FAULT_POINT("restore.criu");
    Fd gate;
    criu::Session session = TRY(Launch(gate));
    if (plan_.scope) {
      TRY(EnterScope(session.pid()));
    }
    TRY(Send(gate.get(), Tag::kGo));
    TakeDirectories(gate.get());
    TRY(AddCgroupRoots(session.pid()));
    AddRest();
    const Result<criu::Answer> answer = session.Serve(
        criu::RequestType::kRestore, request_.options,
        [this](const criu::Answer& stage, Fd descriptor) { return OnStage(stage, std::move(descriptor)); });
    if (!answer) {
      return std::unexpected(WithLog(answer.error(), request_.log));
    }
    if (!pidfd_) {
      TRY(TakeInit(answer->pid));
    }
    return checked_ ? Result<>{} : CheckSeccomp(state_.pid, *bundle_.spec);
  }

  const Settings& settings_;
  const CreateOptions& options_;
  const CriuOptions& criu_;
  std::string program_;
  Bundle bundle_;
  plan::Host host_;
  plan::Plan plan_;
  CriuRequest request_;
  std::vector<Fd> descriptors_;
  std::optional<StateDir> directory_;
  oci::State state_;
  bool hooks_ran_ = false;
  bool checked_ = false;
  Fd pidfd_;
  Fd console_;
  // Last, so that it runs while the rest is still there.
  Rollback rollback_;
};

}  // namespace

Result<Launched> Restore(const Settings& settings, const CreateOptions& options, const CriuOptions& criu) {
  return Restoration{settings, options, criu}.Run();
}

}  // namespace nucleus::container
