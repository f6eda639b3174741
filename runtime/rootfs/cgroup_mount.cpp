#include "runtime/rootfs/cgroup_mount.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/sys/syscalls.h"

namespace nucleus::rootfs {
namespace {

const std::string* ContainerDirectory(const CgroupView& view, const std::string& hierarchy) {
  for (const oci::StateCgroup& entry : *view.cgroups) {
    if (entry.hierarchy == hierarchy) {
      return &entry.path;
    }
  }
  return nullptr;
}

// A new mount of the hierarchy (with a cgroup namespace, its root is the container's cgroup), or a copy of the part of
// the host's that is the container's. Empty where the container has no place in the hierarchy.
Result<Fd> OneHierarchy(const cgroup::Hierarchy& hierarchy, const CgroupView& view, std::uint64_t attributes) {
  if (view.own_namespace) {
    const Fd fs = TRY(sys::FsOpen(hierarchy.v2() ? "cgroup2" : "cgroup"));
    if (!hierarchy.v2()) {
      if (hierarchy.name.starts_with("name=")) {
        TRY(sys::FsConfigFlag(fs.get(), "none"));
        TRY(sys::FsConfigString(fs.get(), "name", hierarchy.name.substr(5)));
      } else {
        for (const std::string& controller : hierarchy.controllers) {
          TRY(sys::FsConfigFlag(fs.get(), controller));
        }
      }
    }
    TRY(sys::FsConfigCreate(fs.get()));
    return sys::FsMount(fs.get(), attributes);
  }
  const std::string* directory = ContainerDirectory(view, hierarchy.name);
  if (directory == nullptr) {
    return Fd{};
  }
  Fd tree = TRY(sys::CloneTree(AT_FDCWD, *directory, false, *directory));
  TRY(sys::SetMountAttributes(tree.get(), attributes, 0, 0, false, *directory));
  return tree;
}

std::string DirectoryName(const cgroup::Hierarchy& hierarchy) {
  return hierarchy.name.starts_with("name=") ? hierarchy.name.substr(5) : hierarchy.name;
}

}  // namespace

Result<Fd> MountCgroups(const plan::CgroupMount& mount, const CgroupView& view, int target, Ledger* ledger) {
  const std::uint64_t attributes = mount.options.set;
  if (view.host->unified()) {
    for (const cgroup::Hierarchy& hierarchy : view.host->hierarchies) {
      if (hierarchy.v2()) {
        Fd made = TRY(OneHierarchy(hierarchy, view, attributes));
        if (!made) {
          break;
        }
        TRY(sys::MoveMount(made.get(), target, mount.target));
        TRY(NoteCopy(ledger, made.get(), {.path = mount.target, .set = attributes}));
        return made;
      }
    }
    return std::unexpected(Failure("no cgroup to mount", ENOENT));
  }

  const Fd fs = TRY(sys::FsOpen("tmpfs"));
  TRY(sys::FsConfigString(fs.get(), "mode", "755"));
  TRY(sys::FsConfigString(fs.get(), "size", "64k"));
  TRY(sys::FsConfigCreate(fs.get()));
  Fd top = TRY(sys::FsMount(fs.get(), attributes & ~std::uint64_t{MOUNT_ATTR_RDONLY}));
  TRY(sys::MoveMount(top.get(), target, mount.target));
  TRY(NoteCopy(ledger, top.get(), {.path = mount.target, .set = attributes}));
  for (const cgroup::Hierarchy& hierarchy : view.host->hierarchies) {
    if (hierarchy.v2()) {
      continue;
    }
    Fd made = TRY_IN(hierarchy.name, OneHierarchy(hierarchy, view, attributes));
    if (!made) {
      continue;
    }
    const std::string name = DirectoryName(hierarchy);
    if (::mkdirat(top.get(), name.c_str(), 0755) != 0) {
      return std::unexpected(SysError("mkdir", name));
    }
    const Fd place = TRY(sys::OpenAt2(top.get(), name, O_PATH | O_DIRECTORY | O_NOFOLLOW, RESOLVE_BENEATH));
    TRY(sys::MoveMount(made.get(), place.get(), name));
    TRY(Note(ledger, std::move(made), {.path = mount.target + "/" + name, .set = attributes}));
    if (hierarchy.controllers.size() > 1) {
      for (const std::string& controller : hierarchy.controllers) {
        if (::symlinkat(name.c_str(), top.get(), controller.c_str()) != 0) {
          return std::unexpected(SysError("symlink", controller));
        }
      }
    }
  }
  if ((attributes & MOUNT_ATTR_RDONLY) != 0) {
    TRY(sys::SetMountAttributes(top.get(), MOUNT_ATTR_RDONLY, 0, 0, false, mount.target));
  }
  return top;
}

}  // namespace nucleus::rootfs
