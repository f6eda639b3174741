#include "shim/gvisor/stage.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "runtime/rootfs/own_root.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::gvisor {
namespace {

constexpr auto kStages = std::to_array<const char*>({"/mnt", "/srv", "/opt", "/media", "/home", "/var/tmp"});

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
  TRY(sys::SetMountAttributes(result.tree.get(), bind.options.set & kHeld, 0, MS_PRIVATE, false, bind.source));
  return result;
}

}  // namespace

Result<std::string> StageDirectory(const std::vector<std::string>& used) {
  for (const char* place : kStages) {
    struct stat status{};
    const std::string below = std::string{place} + "/";
    if (::lstat(place, &status) == 0 && S_ISDIR(status.st_mode) &&
        std::ranges::none_of(used, [&below](const std::string& path) { return (path + "/").starts_with(below); })) {
      return std::string{place};
    }
  }
  return std::unexpected(
      Failure("no directory of the host can be covered for runsc: none of /mnt, /srv, /opt", ENOENT));
}

Places PlacesIn(const std::string& stage, const plan::Rootfs& plan, int root) {
  Places places;
  const auto on_tmp = [](const plan::MountStep& step) {
    return std::visit([](const auto& mount) { return mount.target == "/tmp"; }, step);
  };
  if (std::ranges::none_of(plan.mounts, on_tmp) && OpenTmp(root)) {
    places.tmp = stage + "/tmp";
  }
  places.root = stage + "/root";
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
    const bool bind = std::holds_alternative<plan::BindMount>(plan.mounts[i]);
    places.binds.push_back(bind ? stage + "/bind-" + std::to_string(i) : "");
  }
  return places;
}

Result<> Stage(const std::string& stage, const plan::Rootfs& plan, const Places& places,
               rootfs::VerifiedRoot verified) {
  TRY(CutPropagation());
  std::vector<Source> sources(plan.mounts.size());
  verified.made.resize(plan.mounts.size());
  for (std::size_t i = 0; i < plan.mounts.size(); ++i) {
    if (const auto* bind = std::get_if<plan::BindMount>(&plan.mounts[i])) {
      sources[i] = TRY_IN("mount \"" + bind->source + "\" at \"" + bind->target + "\"",
                          OpenSource(*bind, std::move(verified.made[i])));
    }
  }
  // All that lies below the stage is opened before that is covered.
  Fd tree = verified.detached ? std::move(verified.tree) : TRY(RootTree(plan));
  const Fd tmpfs = TRY(NewTmpfs());
  const Fd place = TRY(sys::Open(stage, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  TRY(sys::MoveMount(tmpfs.get(), place.get(), stage));
  const auto make = [&tmpfs](const std::string& name, bool directory) -> Result<Fd> {
    if (directory ? ::mkdirat(tmpfs.get(), name.c_str(), 0755) != 0
                  : ::mknodat(tmpfs.get(), name.c_str(), S_IFREG | 0644, 0) != 0) {
      return std::unexpected(SysError("create", name));
    }
    return sys::OpenAt2(tmpfs.get(), name, O_PATH | O_NOFOLLOW, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  };
  const Fd root = TRY(make("root", true));
  TRY(sys::MoveMount(tree.get(), root.get(), "root"));
  if (plan.mode == oci::RootfsMode::kOverlay) {
    tree = TRY_IN("root.path: overlay", rootfs::OverlayOnRoot(tree.get(), plan));
  }
  if (!places.tmp.empty()) {
    const Fd tmp = TRY_IN("/tmp of the root", OpenTmp(tree.get()));
    const Fd copy = TRY(sys::CloneTree(tmp.get(), "", false, "/tmp"));
    const Fd target = TRY(make("tmp", true));
    TRY(sys::MoveMount(copy.get(), target.get(), "tmp"));
  }
  for (std::size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].tree) {
      const std::string name = "bind-" + std::to_string(i);
      const Fd target = TRY(make(name, sources[i].directory));
      TRY(sys::MoveMount(sources[i].tree.get(), target.get(), name));
    }
  }
  return {};
}

Result<> HideNetSysctls() {
  constexpr const char* kSysctls = "/proc/sys/net";
  TRY(CutPropagation());
  const Fd place = TRY(sys::Open(kSysctls, O_PATH | O_DIRECTORY));
  const Fd empty = TRY(NewTmpfs());
  return sys::MoveMount(empty.get(), place.get(), kSysctls);
}

}  // namespace nucleus::gvisor
