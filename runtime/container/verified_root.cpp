#include "runtime/container/verified_root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/attest/attest.h"
#include "runtime/container/credentials.h"
#include "runtime/rootfs/own_root.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

static_assert(policies::kMaxManifestBytes == attest::kManifestLimit);

Result<rootfs::VerifiedRoot> TakeHold(const plan::Rootfs& plan) {
  Fd directory = TRY(sys::Open(plan.path, O_PATH | O_DIRECTORY));
  Result<Fd> mount = rootfs::MakeVerifiedMount(directory.get(), plan);
  if (mount) {
    return rootfs::VerifiedRoot{.tree = std::move(*mount), .detached = true};
  }
  // An ordinary user mounts nothing here; the child can, in its own namespaces.
  if (mount.error().code != EPERM) {
    return std::unexpected(std::move(mount).error());
  }
  return rootfs::VerifiedRoot{.tree = std::move(directory), .detached = false};
}

// A mount of one path of the closure. The path may not be a link: what it leads to would be mounted.
Result<Fd> OpenClosurePath(const std::string& path) {
  const Fd place = TRY(sys::OpenAt2(AT_FDCWD, path, O_PATH | O_NOFOLLOW, RESOLVE_NO_MAGICLINKS));
  const struct stat status = TRY(sys::Fstat(place.get(), path));
  if (!S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode)) {
    return std::unexpected(Failure(path + ": neither a directory nor a file", EINVAL));
  }
  Fd tree = TRY(sys::CloneTree(place.get(), "", false, path));
  TRY(sys::SetMountAttributes(tree.get(), MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV, 0, MS_PRIVATE,
                              false, path));
  return tree;
}

Result<std::vector<Fd>> MakeSources(const plan::Plan& plan) {
  std::vector<Fd> made;
  for (std::size_t i = 0; i < plan.rootfs.mounts.size(); ++i) {
    const auto* mount = std::get_if<plan::BindMount>(&plan.rootfs.mounts[i]);
    if (mount == nullptr || mount->made == plan::BindMount::Made::kNot) {
      continue;
    }
    made.resize(plan.rootfs.mounts.size());
    made[i] = mount->made == plan::BindMount::Made::kClosure
                  ? TRY_IN("annotations[\"dev.nucleus.rootfs.closure\"]", OpenClosurePath(mount->source))
                  : TRY_IN("annotations[\"dev.nucleus.credentials\"]", CopyCredentials(mount->source, plan));
  }
  return made;
}

// The closure belongs to the tree: the manifest has it at the places where it is going to be.
attest::TreeRoot WithClosure(int tree, const plan::Rootfs& plan, const std::vector<Fd>& made) {
  attest::TreeRoot result{.root = tree, .grafts = {}};
  for (std::size_t i = 0; i < made.size(); ++i) {
    const auto* mount = std::get_if<plan::BindMount>(&plan.mounts[i]);
    if (mount != nullptr && mount->made == plan::BindMount::Made::kClosure) {
      result.grafts.emplace(mount->target, made[i].get());
    }
  }
  return result;
}

Result<> CompareWithManifest(int tree, const plan::Rootfs& plan, const std::vector<Fd>& made,
                             policies::Policies& policies) {
  policies::PinnedFile& manifest = policies.rootfs_manifest->file;
  TRY_IN("annotations[\"dev.nucleus.rootfs.manifest\"]",
         attest::VerifyTree(WithClosure(tree, plan, made), manifest.bytes, manifest.path, plan.path));
  std::string{}.swap(manifest.bytes);
  return {};
}

// The copy is compared, not what it was made of: what happened to that meanwhile does not matter.
Result<rootfs::VerifiedRoot> CopyRoot(const plan::Rootfs& plan, const std::vector<Fd>& made,
                                      policies::Policies& policies) {
  Fd directory = TRY_IN("root.path", sys::Open(plan.path, O_PATH | O_DIRECTORY));
  Result<Fd> copy = rootfs::CopyOfRoot(directory.get(), plan);
  if (!copy && copy.error().code == EPERM && plan.in_user_namespace) {
    // An ordinary user mounts nothing here; the child can, where ids are others than the manifest's.
    if (plan.attested) {
      return std::unexpected(Failure(
          "annotations[\"dev.nucleus.rootfs.mode\"]: a copy that is attested can be made by root alone", EPERM));
    }
    return rootfs::VerifiedRoot{};
  }
  if (!copy) {
    return std::unexpected(Context("root.path: copy", std::move(copy).error()));
  }
  if (plan.attested) {
    FAULT_POINT("create.rootfs-verify");
    TRY(CompareWithManifest(copy->get(), plan, made, policies));
  }
  return rootfs::VerifiedRoot{.tree = std::move(*copy), .detached = true};
}

Result<rootfs::VerifiedRoot> VerifyDirectory(const plan::Rootfs& plan, const std::vector<Fd>& made,
                                             policies::Policies& policies) {
  if (!plan.attested) {
    return rootfs::VerifiedRoot{};
  }
  FAULT_POINT("create.rootfs-verify");
  rootfs::VerifiedRoot root = TRY_IN("root.path", TakeHold(plan));
  TRY(CompareWithManifest(root.tree.get(), plan, made, policies));
  return root;
}

}  // namespace

Result<rootfs::VerifiedRoot> VerifyRoot(const plan::Plan& plan, policies::Policies& policies) {
  std::vector<Fd> made = TRY(MakeSources(plan));
  rootfs::VerifiedRoot root =
      TRY(plan.rootfs.mode == oci::RootfsMode::kCopy ? CopyRoot(plan.rootfs, made, policies)
                                                     : VerifyDirectory(plan.rootfs, made, policies));
  root.made = std::move(made);
  return root;
}

void TakeMadeSources(rootfs::VerifiedRoot& root, std::vector<Fd>& sources) {
  sources.resize(std::max(sources.size(), root.made.size()));
  for (std::size_t i = 0; i < root.made.size(); ++i) {
    if (root.made[i]) {
      sources[i] = std::move(root.made[i]);
    }
  }
  root.made.clear();
}

}  // namespace nucleus::container
