#include "policies/policies.h"

#include "policies/closure.h"
#include "policies/seccomp_policy.h"

namespace nucleus::policies {

Result<> AddDocument(Policies& policies, Document document, bool (*is_syscall)(std::string_view name)) {
  const std::string_view bytes = document.file.bytes;
  const std::string& path = document.file.path;
  if (document.kind == "seccomp") {
    policies.seccomp = std::make_shared<const oci::Seccomp>(TRY(ParseSeccompPolicy(bytes, path, is_syscall)));
  } else if (document.kind == "capabilities") {
    policies.capabilities = TRY(ParseCapabilityPolicy(bytes, path));
  } else if (document.kind == "landlock") {
    policies.landlock = TRY(ParseLandlockPolicy(bytes, path));
  } else if (document.kind == "egress") {
    policies.egress = TRY(ParseEgressPolicy(bytes, path));
  } else {
    return std::unexpected(Failure("unknown kind of policy \"" + document.kind + "\"", EINVAL));
  }
  policies.documents.push_back(std::move(document));
  return {};
}

std::array<PolicyPin, 4> PolicyPins(const oci::Annotations& annotations) {
  return {{{"seccomp", &annotations.seccomp_policy},
           {"capabilities", &annotations.capabilities_policy},
           {"landlock", &annotations.landlock_policy},
           {"egress", &annotations.egress_policy}}};
}

Result<> CheckMode(const oci::Annotations& annotations) {
  if (!annotations.mode || *annotations.mode == oci::Mode::kAgent) {
    return {};
  }
  const std::string mode{oci::ModeName(*annotations.mode)};
  const auto check = [&mode](const char* key, const std::optional<oci::Pin>& pin) -> Result<> {
    return !pin || !pin->digest.empty()
               ? Result<>{}
               : std::unexpected(Failure(std::string{"annotations[\"dev.nucleus."} + key + "\"]: " + mode +
                                             " mode needs a digest: " + pin->path + "@sha256:HEX",
                                         EINVAL));
  };
  for (const auto& [kind, pin] : PolicyPins(annotations)) {
    TRY(check((std::string{"policy."} + kind).c_str(), *pin));
  }
  TRY(check("rootfs.manifest", annotations.rootfs_manifest));
  TRY(check("rootfs.closure", annotations.rootfs_closure));
  TRY(check("gvisor.runsc", annotations.gvisor_runsc));
  if (!annotations.seccomp_trace.empty()) {
    return std::unexpected(Failure("annotations[\"dev.nucleus.seccomp.trace\"]: not in " + mode + " mode", EINVAL));
  }
  return {};
}

Result<Policies> Load(const oci::Annotations& annotations, const std::string& bundle,
                      bool (*is_syscall)(std::string_view name), const FilterIsKnown& known) {
  Policies policies;
  policies.mode = annotations.mode;
  TRY(CheckMode(annotations));
  PinBase base{bundle};
  for (const auto& [kind, pin] : PolicyPins(annotations)) {
    if (!pin->has_value()) {
      continue;
    }
    const std::string where = std::string{"annotations[\"dev.nucleus.policy."} + kind + "\"]";
    PinnedFile file = TRY_IN(where, ReadPinned(base, **pin));
    Document document{.kind = kind, .file = std::move(file), .pinned = !(*pin)->digest.empty()};
    if (known && document.kind == "seccomp" && known(document.file.digest)) {
      policies.filter_known = true;
      policies.documents.push_back(std::move(document));
      continue;
    }
    TRY_IN(where, AddDocument(policies, std::move(document), is_syscall));
  }
  if (annotations.rootfs_manifest) {
    PinnedFile file = TRY_IN("annotations[\"dev.nucleus.rootfs.manifest\"]",
                             ReadPinned(base, *annotations.rootfs_manifest, kMaxManifestBytes));
    policies.rootfs_manifest = Document{
        .kind = "rootfs.manifest", .file = std::move(file), .pinned = !annotations.rootfs_manifest->digest.empty()};
  }
  if (annotations.rootfs_closure) {
    const char* where = "annotations[\"dev.nucleus.rootfs.closure\"]";
    PinnedFile file = TRY_IN(where, ReadPinned(base, *annotations.rootfs_closure));
    policies.closure = TRY_IN(where, ParseClosure(file.bytes, file.path));
    policies.rootfs_closure = Document{
        .kind = "rootfs.closure", .file = std::move(file), .pinned = !annotations.rootfs_closure->digest.empty()};
  }
  return policies;
}

}  // namespace nucleus::policies
