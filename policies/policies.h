// The policies that a bundle's annotations name, read and parsed before anything is made. They only narrow what
// config.json grants.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "oci-config/annotations.h"
#include "oci-config/spec.h"
#include "policies/capability_policy.h"
#include "policies/egress_policy.h"
#include "policies/landlock_policy.h"
#include "policies/pinned_file.h"

namespace nucleus::policies {

// One policy as it was read.
struct Document {
  std::string kind;  // "seccomp", "capabilities", "landlock", "egress"
  PinnedFile file;
  bool pinned = false;  // its digest was given
};

// Of a root filesystem's manifest: some two million entries.
inline constexpr std::size_t kMaxManifestBytes = std::size_t{256} << 20;

struct Policies {
  std::optional<oci::Mode> mode;
  std::shared_ptr<const oci::Seccomp> seccomp;  // shared with what is made of the policies
  // Of the seccomp policy the filter is known, and it has not been parsed: `seccomp` is null.
  bool filter_known = false;
  std::optional<CapabilityPolicy> capabilities;
  std::optional<LandlockPolicy> landlock;
  std::optional<EgressPolicy> egress;
  std::vector<Document> documents;  // in this order
  // "rootfs.manifest": no policy, and not kept; its bytes are let go once the root is verified.
  std::optional<Document> rootfs_manifest;
  // "rootfs.closure": likewise.
  std::optional<Document> rootfs_closure;
  std::vector<std::string> closure;  // what it lists
};

// The kinds, and where the annotations pin each. Points into `annotations`.
struct PolicyPin {
  const char* kind;
  const std::optional<oci::Pin>* pin;
};
std::array<PolicyPin, 4> PolicyPins(const oci::Annotations& annotations);

// What a mode says of the annotations themselves: digests, no trace. An error names the key.
Result<> CheckMode(const oci::Annotations& annotations);

// Has the caller the filter of the seccomp policy with this digest? It has been made of the same bytes before.
using FilterIsKnown = std::function<bool(std::string_view digest)>;

// Reads and parses every policy that `annotations` names, each file once; not that of which `known` says so. `bundle`
// is where relative pins start; `is_syscall` knows the names of system calls. Errors name the annotation, and file,
// line and key.
Result<Policies> Load(const oci::Annotations& annotations, const std::string& bundle,
                      bool (*is_syscall)(std::string_view name), const FilterIsKnown& known = {});

// The same documents again, from text that was kept: for `exec`. Only kinds that Load knows.
Result<> AddDocument(Policies& policies, Document document, bool (*is_syscall)(std::string_view name));

}  // namespace nucleus::policies
