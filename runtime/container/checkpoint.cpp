// checkpoint: a container's processes, written to files by criu.

#include "runtime/container/checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json_writer.h"
#include "oci-config/annotations.h"
#include "runtime/container/criu_options.h"
#include "runtime/container/lifecycle.h"
#include "runtime/container/query.h"
#include "runtime/container/teardown.h"
#include "runtime/criu/session.h"
#include "runtime/plan/plan.h"
#include "runtime/rootfs/resolver.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

// Makes the directory for the images, and takes it away again as long as nothing is in it.
class ImageDirectory {
 public:
  explicit ImageDirectory(const std::string& path) : path_(path) {
  }
  ImageDirectory(const ImageDirectory&) = delete;
  ImageDirectory& operator=(const ImageDirectory&) = delete;
  ~ImageDirectory() {
    if (made_) {
      ::rmdir(path_.c_str());
    }
  }
  Result<> Make() {
    for (std::size_t slash = 0; slash != std::string::npos;) {
      slash = path_.find('/', slash + 1);
      const std::string directory = path_.substr(0, slash);
      const bool made = ::mkdir(directory.c_str(), 0700) == 0;
      if (!made && errno != EEXIST) {
        return std::unexpected(SysError("mkdir", directory));
      }
      made_ = made && slash == std::string::npos;
    }
    return {};
  }

 private:
  const std::string& path_;
  bool made_ = false;
};

Result<> CheckParent(const CriuOptions& options) {
  if (options.parent_path.empty()) {
    return {};
  }
  if (options.parent_path.front() == '/') {
    return std::unexpected(Failure("--parent-path must be relative", EINVAL));
  }
  struct stat status{};
  const std::string parent = options.image_path + "/" + options.parent_path;
  if (::stat(parent.c_str(), &status) != 0) {
    return std::unexpected(SysError("invalid --parent-path:", parent));
  }
  if (!S_ISDIR(status.st_mode)) {
    return std::unexpected(SysError("invalid --parent-path:", parent, ENOTDIR));
  }
  return {};
}

// Where a path of the bundle is in the container, all symbolic links followed; empty where nothing is there.
std::string PlaceInside(const rootfs::Resolver& resolver, const std::string& path) {
  const Result<Fd> place = resolver.Open(path, O_PATH);
  if (!place) {
    return "";
  }
  return sys::ReadLinkAt(AT_FDCWD, "/proc/self/fd/" + std::to_string(place->get())).value_or("");
}

Result<> AddMounts(const Opened& opened, const oci::Spec& spec, criu::Message& options) {
  const cgroup::Host host = TRY(cgroup::ReadHost());
  const Fd root = TRY(sys::Open("/proc/" + std::to_string(opened.state.pid) + "/root", O_PATH | O_DIRECTORY));
  const rootfs::Resolver resolver{root.get()};
  ForEachExternalMount(spec, opened.state.bundle, host, opened.state.cgroups,
                       [&](const std::string& name, const std::string& /*source*/) {
                         const std::string place = PlaceInside(resolver, name);
                         if (!place.empty()) {
                           AddExternalMount(options, place, name);
                         }
                       });
  for (const std::string& path : spec.linux_.masked_paths) {
    const Result<Fd> masked = resolver.Open(path, O_PATH);
    const Result<struct stat> status =
        masked ? sys::Fstat(masked->get(), path) : Result<struct stat>{std::unexpected(masked.error())};
    // Directories are covered by a filesystem of the container's own.
    if (status && !S_ISDIR(status->st_mode)) {
      AddExternalMount(options, PlaceInside(resolver, path), "/dev/null");
    }
  }
  return {};
}

Result<> AddNamespaces(const oci::Spec& spec, criu::Message& options) {
  for (const oci::Namespace& entry : spec.linux_.namespaces) {
    const std::string key = ExternalNamespaceKey(entry.type);
    if (entry.path.empty() || key.empty()) {
      continue;
    }
    struct stat status{};
    if (::stat(entry.path.c_str(), &status) != 0) {
      return std::unexpected(SysError("stat", entry.path));
    }
    const char* type = plan::NamespaceFile(plan::NamespaceFlag(entry.type));
    options.Text(37, std::string{type} + "[" + std::to_string(status.st_ino) + "]:" + key);
  }
  return {};
}

Result<> WriteDescriptors(const Opened& opened, int images) {
  JsonWriter out;
  out.BeginArray();
  for (int fd = 0; fd <= 2; ++fd) {
    const std::string link = "/proc/" + std::to_string(opened.state.pid) + "/fd/" + std::to_string(fd);
    out.String(sys::ReadLinkAt(AT_FDCWD, link).value_or(""));
  }
  out.EndArray();
  const Fd file = TRY(sys::OpenAt2(images, kDescriptorsFile, O_WRONLY | O_CREAT | O_TRUNC, RESOLVE_BENEATH, 0600));
  return WriteAll(file.get(), out.Take(), kDescriptorsFile);
}

// criu freezes the processes with it, so that none escapes.
const std::string* FreezerOf(const oci::State& state) {
  const std::string* unified = nullptr;
  for (const oci::StateCgroup& cgroup : state.cgroups) {
    if (cgroup.hierarchy == "freezer") {
      return &cgroup.path;
    }
    if (cgroup.hierarchy.empty()) {
      unified = &cgroup.path;
    }
  }
  return unified;
}

Result<> CheckStatusFd(int fd) {
  if (fd < 0) {
    return {};
  }
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) {
    return std::unexpected(SysError("invalid --status-fd argument", std::to_string(fd)));
  }
  if ((flags & O_ACCMODE) == O_RDONLY) {
    return std::unexpected(Failure("invalid --status-fd argument " + std::to_string(fd) + ": not writable", EBADF));
  }
  return {};
}

Result<> Dump(const Opened& opened, const oci::Spec& spec, const CriuOptions& options, const std::string& program) {
  CriuRequest request = TRY(BeginRequest(options, "dump.log"));
  AddDirectories(request);
  criu::Message& message = request.options;
  message.Number(2, static_cast<unsigned>(opened.state.pid))
      .Flag(3, options.leave_running)
      .Text(13, opened.state.rootfs)
      .Flag(18, options.link_remap)
      .Flag(46, options.tcp_skip_in_flight);
  if (!options.parent_path.empty()) {
    message.Text(14, options.parent_path).Flag(15, true);
  }
  if (const std::string* freezer = FreezerOf(opened.state)) {
    message.Text(44, *freezer);
  }
  TRY(AddNamespaces(spec, message));
  if (!options.pre_dump) {
    TRY(AddMounts(opened, spec, message));
    TRY(WriteDescriptors(opened, request.images.get()));
  }
  criu::Session session = TRY(criu::Session::Begin({.program = program, .descriptors = {}, .prepare = {}}));
  const Result<criu::Answer> answer =
      session.Serve(options.pre_dump ? criu::RequestType::kPreDump : criu::RequestType::kDump, message,
                    [&options](const criu::Answer& stage, const Fd& /*descriptor*/) -> Result<> {
                      if (stage.stage == "status-ready" && options.status_fd >= 0) {
                        (void)!::write(options.status_fd, "", 1);
                        ::close(options.status_fd);
                      }
                      return {};
                    });
  if (!answer) {
    return std::unexpected(WithLog(answer.error(), request.log));
  }
  return {};
}

}  // namespace

Result<> Checkpoint(const Settings& settings, const std::string& id, const CriuOptions& options) {
  Opened opened = TRY(OpenContainer(settings, id, true));
  TRY(MayBeSaid(Command::kCheckpoint, opened.status, id));
  if (opened.state.init) {
    return std::unexpected(
        Failure("annotations[\"dev.nucleus.init\"]: a container with an init cannot be checkpointed", ENOTSUP));
  }
  const oci::Annotations annotations = TRY(oci::ParseAnnotations(opened.state.annotations));
  if (annotations.rootfs_mode != oci::RootfsMode::kBind) {
    return std::unexpected(
        Failure("annotations[\"dev.nucleus.rootfs.mode\"]: a container with a root of its own cannot be checkpointed",
                ENOTSUP));
  }
  if (annotations.rootfs_closure) {
    return std::unexpected(Failure(
        "annotations[\"dev.nucleus.rootfs.closure\"]: a container with a closure cannot be checkpointed", ENOTSUP));
  }
  if (!annotations.credentials.empty()) {
    return std::unexpected(Failure(
        "annotations[\"dev.nucleus.credentials\"]: a container with credentials cannot be checkpointed", ENOTSUP));
  }
  if (annotations.network != oci::NetworkMode::kOci) {
    return std::unexpected(
        Failure("annotations[\"dev.nucleus.network\"]: a container with a network of nucleus's cannot be checkpointed",
                ENOTSUP));
  }
  if (opened.state.network.filtered) {
    return std::unexpected(
        Failure("annotations[\"dev.nucleus.policy.egress\"]: a container with an egress policy cannot be checkpointed",
                ENOTSUP));
  }
  TRY(NeedsRoot("checkpoint"));
  if (opened.state.tracer.pid > 0) {
    return std::unexpected(Failure("a container whose system calls are traced cannot be checkpointed", ENOTSUP));
  }
  const std::string program = TRY(criu::FindProgram());
  TRY(CheckStatusFd(options.status_fd));
  const std::shared_ptr<const oci::Spec> spec = TRY(opened.directory.ReadSpec());
  ImageDirectory images{options.image_path};
  TRY(images.Make());
  TRY(CheckParent(options));
  TRY(Dump(opened, *spec, options, program));
  if (options.leave_running || options.pre_dump) {
    return {};
  }
  return TearDown(settings, opened);
}

}  // namespace nucleus::container
