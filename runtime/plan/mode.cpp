#include "runtime/plan/mode.h"

#include <sys/mount.h>

#include <algorithm>
#include <array>

#include "policies/builtin.h"
#include "policies/seccomp_policy.h"
#include "runtime/confine/seccomp_names.h"
#include "runtime/plan/default_paths.h"
#include "runtime/plan/mount_options.h"
#include "runtime/plan/production.h"

namespace nucleus::plan {
namespace {

constexpr int kProductionLandlockAbi = 3;

// The user namespace is the bundle's to list: no mapping of ids can be made up.
constexpr auto kAdded = std::to_array<oci::NamespaceType>(
    {oci::NamespaceType::kPid, oci::NamespaceType::kNetwork, oci::NamespaceType::kMount, oci::NamespaceType::kIpc,
     oci::NamespaceType::kUts, oci::NamespaceType::kCgroup, oci::NamespaceType::kTime});

bool Lists(const oci::Spec& spec, oci::NamespaceType type) {
  return std::ranges::any_of(spec.linux_.namespaces,
                             [type](const oci::Namespace& listed) { return listed.type == type; });
}

template <std::size_t size>
void AddPaths(std::vector<std::string>& paths, const std::array<const char*, size>& defaults) {
  for (const char* path : defaults) {
    if (std::ranges::find(paths, path) == paths.end()) {
      paths.emplace_back(path);
    }
  }
}

// A manifest's may be many.
policies::Document WithoutBytes(const policies::Document& document) {
  return {.kind = document.kind,
          .file = {.path = document.file.path, .bytes = {}, .digest = document.file.digest},
          .pinned = document.pinned};
}

}  // namespace

policies::LandlockPolicy DeriveLandlock(const oci::Spec& spec, int abi) {
  using namespace policies;
  const unsigned truncate = abi >= 3 ? kLandlockTruncate : 0U;
  const unsigned read = kLandlockRead | (abi >= 5 ? kLandlockIoctl : 0U);
  const unsigned write =
      kLandlockWrite | kLandlockCreate | kLandlockRemove | truncate | (abi >= 2 ? kLandlockRefer : 0U);
  LandlockPolicy policy;
  policy.rules.push_back(
      {.path = "/", .access = read | kLandlockExecute | (spec.root.readonly ? 0U : write), .as_it_fits = true});
  // A rule of a directory holds for all below it: of a mount below only what it allows beyond the root's matters.
  for (const oci::Mount& mount : spec.mounts) {
    const MountOptions options = ParseMountOptions(mount.options);
    if (spec.root.readonly && (options.set & MOUNT_ATTR_RDONLY) == 0 && !options.remount) {
      policy.rules.push_back({.path = mount.destination, .access = read | write, .as_it_fits = true});
    }
  }
  return policy;
}

Result<policies::Policies> WithModeDefaults(const oci::Spec& spec, const policies::Policies& policies,
                                            const Host& host) {
  if (!policies.mode) {
    return policies;
  }
  policies::Policies result;
  result.mode = policies.mode;
  result.seccomp = policies.seccomp;
  result.filter_known = policies.filter_known;
  result.capabilities = policies.capabilities;
  result.landlock = policies.landlock;
  result.egress = policies.egress;
  for (const policies::Document& document : policies.documents) {
    result.documents.push_back(WithoutBytes(document));
  }
  if (policies.rootfs_manifest) {
    result.rootfs_manifest = WithoutBytes(*policies.rootfs_manifest);
  }
  if (policies.rootfs_closure) {
    result.rootfs_closure = WithoutBytes(*policies.rootfs_closure);
    result.closure = policies.closure;
  }
  if (!result.capabilities) {
    result.capabilities.emplace();
  }
  if (!result.seccomp && !result.filter_known) {
    result.seccomp = std::make_shared<const oci::Seccomp>(TRY(policies::ParseSeccompPolicy(
        policies::BuiltinAgentSeccomp(), "built-in agent-seccomp.json", confine::IsSyscall)));
  }
  if (!result.landlock) {
    result.landlock = DeriveLandlock(spec, host.landlock_abi);
  }
  if (*policies.mode == oci::Mode::kProduction) {
    result.landlock->min_abi = std::max(result.landlock->min_abi, kProductionLandlockAbi);
  }
  return result;
}

void ConfineByMode(std::optional<oci::Mode> mode, oci::Process& process) {
  if (mode) {
    process.no_new_privileges = true;
  }
}

Result<oci::Spec> ApplyMode(oci::Mode mode, const oci::Spec& spec, const Options& options, const Host& host,
                            bool egress_policy) {
  oci::Spec result = spec;
  const bool strict = mode != oci::Mode::kAgent;
  if (strict && options.traced) {
    return std::unexpected(
        Failure("a trace of the system calls is not for " + std::string{oci::ModeName(mode)} + " mode", EINVAL));
  }
  if (strict && host.euid == 0 && !Lists(spec, oci::NamespaceType::kUser)) {
    return std::unexpected(
        Failure("linux.namespaces: " + std::string{oci::ModeName(mode)} + " mode needs a user namespace", EINVAL));
  }
  for (const oci::NamespaceType type : kAdded) {
    if (!Lists(spec, type)) {
      result.linux_.namespaces.push_back({.type = type, .path = {}});
    }
  }
  AddPaths(result.linux_.masked_paths, kDefaultMaskedPaths);
  AddPaths(result.linux_.readonly_paths, kDefaultReadonlyPaths);
  if (result.process) {
    ConfineByMode(mode, *result.process);
  }
  // Without an egress policy everything is denied; a link that is handed over would be a way out.
  if (!spec.linux_.net_devices.empty() && !egress_policy) {
    return std::unexpected(Failure(
        "linux.netDevices: " + std::string{oci::ModeName(mode)} + " mode without an egress policy denies all", EINVAL));
  }
  return result;
}

Result<> FinishMode(const oci::Spec& spec, const policies::Policies& policies, Plan& plan) {
  plan.mode = policies.mode;
  plan.own_namespaces = *policies.mode != oci::Mode::kAgent;
  plan.rootfs.audit = plan.MayDegrade(policies::Stage::kMountAudit) ? Audit::kWarn : Audit::kError;
  if (*policies.mode == oci::Mode::kProduction) {
    PrepareProduction(plan);
    TRY(CheckProduction(spec, plan, policies));
  }
  return {};
}

}  // namespace nucleus::plan
