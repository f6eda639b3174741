#include "runtime/container/verified_root.h"

#include <fcntl.h>

#include "runtime/attest/attest.h"
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

Result<> CompareWithManifest(int tree, const plan::Rootfs& plan, policies::Policies& policies) {
  policies::PinnedFile& manifest = policies.rootfs_manifest->file;
  TRY_IN("annotations[\"dev.nucleus.rootfs.manifest\"]",
         attest::VerifyTree(tree, manifest.bytes, manifest.path, plan.path));
  std::string{}.swap(manifest.bytes);
  return {};
}

// The copy is compared, not what it was made of: what happened to that meanwhile does not matter.
Result<rootfs::VerifiedRoot> CopyRoot(const plan::Rootfs& plan, policies::Policies& policies) {
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
    TRY(CompareWithManifest(copy->get(), plan, policies));
  }
  return rootfs::VerifiedRoot{.tree = std::move(*copy), .detached = true};
}

}  // namespace

Result<rootfs::VerifiedRoot> VerifyRoot(const plan::Rootfs& plan, policies::Policies& policies) {
  if (plan.mode == oci::RootfsMode::kCopy) {
    return CopyRoot(plan, policies);
  }
  if (!plan.attested) {
    return rootfs::VerifiedRoot{};
  }
  FAULT_POINT("create.rootfs-verify");
  rootfs::VerifiedRoot root = TRY_IN("root.path", TakeHold(plan));
  TRY(CompareWithManifest(root.tree.get(), plan, policies));
  return root;
}

}  // namespace nucleus::container
