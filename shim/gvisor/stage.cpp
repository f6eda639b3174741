#include "shim/gvisor/stage.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "runtime/rootfs/own_root.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::gvisor {
namespace {

constexpr const char* kPlace = "/.container";

Result<Fd> NewTmpfs() {
  const Fd filesystem = TRY(sys::FsOpen("tmpfs"));
  // Whoever the sandbox's processes are has to get through it: their user may be one of a user namespace.
  TRY(sys::FsConfigString(filesystem.get(), "mode", "0755"));
  TRY(sys::FsConfigString(filesystem.get(), "size", "1m"));
  TRY(sys::FsConfigCreate(filesystem.get()));
  return sys::FsMount(filesystem.get(), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
}

Result<> CutPropagation() {
  const Fd slash = TRY(sys::Open("/", O_PATH | O_DIRECTORY));
  // A mount that the host takes away later is not held.
  return sys::SetMountAttributes(slash.get(), 0, 0, MS_SLAVE, true, "/");
}

Result<Fd> RootTree(const plan::Rootfs& plan) {
  const Fd directory = TRY_IN("root.path", sys::Open(plan.path, O_PATH | O_DIRECTORY));
  return sys::CloneTree(directory.get(), "", plan.mode == oci::RootfsMode::kBind, plan.path);
}

// A link would lead runsc nowhere either.
Result<Fd> OpenTmp(int root) {
  return rootfs::Resolver{root}.OpenNoSymlinks("/tmp", O_PATH | O_DIRECTORY);
}

struct Source {
  Fd tree;
  bool directory = false;
};

// `made`: what the runtime has made for it already; empty: nothing.
Result<Source> OpenSource(const plan::BindMount& bind, Fd made) {
  Source result{.tree = std::move(made)};
  if (!result.tree) {
    const Fd source = TRY(sys::Open(bind.source, O_PATH));
    result.tree = TRY(sys::CloneTree(source.get(), "", bind.recursive, bind.source));
  }
  result.directory = S_ISDIR(TRY(sys::Fstat(result.tree.get(), bind.source)).st_mode);
  // The host holds what the options say as well, whatever the sandbox becomes.
  constexpr std::uint64_t kHeld = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  TRY(sys::SetMountAttributes(result.tree.get(), bind.options.set & kHeld, bind.options.clear & kHeld, MS_PRIVATE,
                              false, bind.source));
  return result;
}

// What of the host is found in the new root; opened while that is not there yet.
class HostParts {
 public:
  static Result<HostParts> Open(const OwnRoot& own) {
    HostParts parts;
    TRY(parts.Add("/proc", 0));
    TRY(parts.Add("/proc/sys", kReadOnly));
    TRY(parts.AddIfThere("/proc/sysrq-trigger", kReadOnly));
    // A user namespace may mount a procfs where one can be seen that nothing covers.
    TRY(parts.Add("/proc", kReadOnly, std::string{kPlace} + "/proc"));
    TRY(parts.Add("/sys", kReadOnly));
    for (const char* device : {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty"}) {
      TRY(parts.AddIfThere(device, 0));
    }
    TRY(parts.AddIfThere("/dev/pts", 0));
    if (own.kvm) {
      TRY(parts.Add("/dev/kvm", 0));
    }
    TRY(parts.Add(own.directory, 0));
    TRY(parts.AddProgram(own.program));
    if (own.netns >= 0) {
      Fd netns = TRY(sys::CloneTree(own.netns, "", false, "network namespace"));
      TRY(parts.AddTree(std::string{kPlace} + "/netns", std::move(netns)));
    }
    return parts;
  }

  // Into the tree of `root`, in the order of opening: what lies in another comes later.
  Result<> Attach(int root) const {
    for (const Part& part : parts_) {
      const Fd target = TRY(MakePath(root, part.path, part.directory));
      TRY(sys::MoveMount(part.tree.get(), target.get(), part.path));
    }
    return {};
  }

  // Every directory on the way too. Where `path` lies in what is attached already, it is there.
  static Result<Fd> MakePath(int root, const std::string& path, bool directory) {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
      const std::string part = path.substr(1, end == std::string::npos ? end : end - 1);
      const bool last = end == std::string::npos;
      const int made =
          last && !directory ? ::mknodat(root, part.c_str(), S_IFREG | 0644, 0) : ::mkdirat(root, part.c_str(), 0755);
      if (made != 0 && errno != EEXIST && errno != EPERM && errno != EROFS && errno != EACCES && errno != ENOENT) {
        return std::unexpected(SysError("create", path));
      }
      if (last) {
        return sys::OpenAt2(root, part, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
      }
    }
  }

 private:
  struct Part {
    std::string path;
    Fd tree;
    bool directory = false;
  };

  static constexpr std::uint64_t kReadOnly =
      MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;

  // At `target`; where that is empty, at the path that it has.
  Result<> Add(const std::string& path, std::uint64_t attributes, const std::string& target = {}) {
    const Fd there = TRY(sys::Open(path, O_PATH));
    Fd tree = TRY(sys::CloneTree(there.get(), "", false, path));
    if (attributes != 0) {
      TRY(sys::SetMountAttributes(tree.get(), attributes, 0, 0, false, path));
    }
    return AddTree(target.empty() ? path : target, std::move(tree));
  }
  Result<> AddIfThere(const char* path, std::uint64_t attributes) {
    return ::access(path, F_OK) == 0 ? Add(path, attributes) : Result<>{};
  }
  // runsc looks at its own file by name. What lies there by now is left out where that is another one.
  Result<> AddProgram(int program) {
    const std::string path = TRY(sys::ReadLinkAt(AT_FDCWD, "/proc/self/fd/" + std::to_string(program)));
    const Result<Fd> there = sys::Open(path, O_PATH | O_NOFOLLOW);
    const struct stat wanted = TRY(sys::Fstat(program, path));
    const Result<struct stat> found = there ? sys::Fstat(there->get(), path) : std::unexpected(there.error());
    if (!found || found->st_dev != wanted.st_dev || found->st_ino != wanted.st_ino) {
      return {};
    }
    Fd tree = TRY(sys::CloneTree(there->get(), "", false, path));
    return AddTree(path, std::move(tree));
  }
  Result<> AddTree(std::string path, Fd tree) {
    const bool directory = S_ISDIR(TRY(sys::Fstat(tree.get(), path)).st_mode);
    parts_.push_back({.path = std::move(path), .tree = std::move(tree), .directory = directory});
    return {};
  }

  std::vector<Part> parts_;
};

// The container's own, opened while the host's paths lead somewhere.
struct ContainerParts {
  Fd root;
  std::vector<Source> sources;
};

Result<ContainerParts> OpenContainerParts(const plan::Rootfs& plan, rootfs::VerifiedRoot verified) {
  ContainerParts parts;
  parts.sources.resize(plan.mounts.size());
  verified.made.resize(plan.mounts.size());
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
    if (const auto* bind = std::get_if<plan::BindMount>(&plan.mounts[i])) {
      parts.sources[i] = TRY_IN("mount \"" + bind->source + "\" at \"" + bind->target + "\"",
                                OpenSource(*bind, std::move(verified.made[i])));
    }
  }
  parts.root = verified.detached ? std::move(verified.tree) : TRY(RootTree(plan));
  return parts;
}

Result<> AttachContainer(int slash, const plan::Rootfs& plan, const Places& places, ContainerParts parts) {
  const auto make = [slash](const std::string& path, bool directory) {
    return HostParts::MakePath(slash, path, directory);
  };
  const Fd root = TRY(make(places.root, true));
  TRY(sys::MoveMount(parts.root.get(), root.get(), "root"));
  if (plan.mode == oci::RootfsMode::kOverlay) {
    parts.root = TRY_IN("root.path: overlay", rootfs::OverlayOnRoot(parts.root.get(), plan));
  }
  if (!places.tmp.empty()) {
    const Fd tmp = TRY_IN("/tmp of the root", OpenTmp(parts.root.get()));
    const Fd copy = TRY(sys::CloneTree(tmp.get(), "", false, "/tmp"));
    const Fd target = TRY(make(places.tmp, true));
    TRY(sys::MoveMount(copy.get(), target.get(), "tmp"));
  }
  for (std::size_t i = 0; i < parts.sources.size(); ++i) {
    if (parts.sources[i].tree) {
      const Fd target = TRY(make(places.binds[i], parts.sources[i].directory));
      TRY(sys::MoveMount(parts.sources[i].tree.get(), target.get(), places.binds[i]));
    }
  }
  return {};
}

Result<> HideNetSysctls(int slash) {
  const Fd place = TRY(sys::OpenAt2(slash, "proc/sys/net", O_PATH | O_DIRECTORY, RESOLVE_BENEATH));
  const Fd empty = TRY(NewTmpfs());
  return sys::MoveMount(empty.get(), place.get(), "/proc/sys/net");
}

Result<> Enter(const OwnRoot& own, Fd slash) {
  plan::Rootfs entered;
  entered.path = "runsc's root";
  entered.pivot = own.pivot;
  entered.host_propagation = MS_SLAVE;
  return rootfs::EnterRoot(entered, {.root = std::move(slash), .ledger = {}});
}

// Attached where nothing is looked for while it is filled.
Result<Fd> NewRoot() {
  constexpr const char* kMeanwhile = "/sys";
  Fd tmpfs = TRY(NewTmpfs());
  const Fd place = TRY(sys::Open(kMeanwhile, O_PATH | O_DIRECTORY));
  TRY(sys::MoveMount(tmpfs.get(), place.get(), kMeanwhile));
  if (::mkdirat(tmpfs.get(), "tmp", 0755) != 0 || ::mkdirat(tmpfs.get(), "dev", 0755) != 0 ||
      ::symlinkat("pts/ptmx", tmpfs.get(), "dev/ptmx") != 0) {
    return std::unexpected(SysError("create", "runsc's root"));
  }
  return tmpfs;
}

Result<Fd> FillRoot(const OwnRoot& own, const HostParts& parts) {
  Fd slash = TRY(NewRoot());
  TRY(parts.Attach(slash.get()));
  if (own.hides_net_sysctls) {
    TRY(HideNetSysctls(slash.get()));
  }
  return slash;
}

}  // namespace

namespace {

std::uint64_t KeptFlags(const plan::BindMount& bind) {
  struct statvfs status{};
  const Fd source{::open(bind.source.c_str(), O_PATH | O_CLOEXEC)};
  const bool forbidden = source && ::fstatvfs(source.get(), &status) == 0 && (status.f_flag & ST_NOEXEC) != 0;
  return forbidden ? MOUNT_ATTR_NOEXEC & ~bind.options.clear : 0;
}

}  // namespace

Places PlacesIn(const plan::Rootfs& plan, int root, bool netns) {
  const std::string place = kPlace;
  Places places;
  const auto on_tmp = [](const plan::MountStep& step) {
    return std::visit([](const auto& mount) { return mount.target == "/tmp"; }, step);
  };
  if (std::ranges::none_of(plan.mounts, on_tmp) && OpenTmp(root)) {
    places.tmp = place + "/tmp";
  }
  places.root = place + "/root";
  places.netns = netns ? place + "/netns" : "";
  utsname host{};
  if (::uname(&host) == 0) {
    places.hostname = host.nodename;
  }
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
    const auto* bind = std::get_if<plan::BindMount>(&plan.mounts[i]);
    places.binds.push_back(bind != nullptr ? place + "/bind-" + std::to_string(i) : "");
    places.kept_flags.push_back(bind != nullptr ? KeptFlags(*bind) : 0);
  }
  return places;
}

Result<> Stage(const OwnRoot& own, const plan::Rootfs& plan, const Places& places, rootfs::VerifiedRoot verified) {
  TRY(CutPropagation());
  const HostParts parts = TRY(HostParts::Open(own));
  ContainerParts container = TRY(OpenContainerParts(plan, std::move(verified)));
  Fd slash = TRY(FillRoot(own, parts));
  TRY(AttachContainer(slash.get(), plan, places, std::move(container)));
  return Enter(own, std::move(slash));
}

Result<> EnterOwnRoot(const OwnRoot& own) {
  TRY(CutPropagation());
  const HostParts parts = TRY(HostParts::Open(own));
  Fd slash = TRY(FillRoot(own, parts));
  return Enter(own, std::move(slash));
}

}  // namespace nucleus::gvisor
