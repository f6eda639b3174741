// dev.nucleus.* annotations, typed. The keys and values are those of the product's annotation table
// (docs/annotations.md).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "oci-config/members.h"
#include "oci-config/publish.h"
#include "oci-config/spec.h"

namespace nucleus::oci {

enum class Mode { kAgent, kStrictAgent, kProduction };
enum class Runtime { kNative, kGvisor };
enum class RootfsMode { kBind, kCopy, kOverlay };
enum class NetworkMode { kOci, kNone, kBridge, kUserspace };
enum class GvisorPlatform { kSystrap, kKvm, kPtrace };
enum class GvisorNetwork { kNone, kSandbox, kHost };
enum class Lockdown { kIntegrity, kConfidentiality };

// PATH@sha256:HEX. The digest may be absent (empty) where the mode allows.
struct Pin {
  std::string path;
  std::string digest;  // 64 lower-case hex digits, or empty
};

struct Annotations {
  std::optional<Mode> mode;
  Runtime runtime = Runtime::kNative;
  std::optional<Pin> seccomp_policy;
  std::optional<Pin> capabilities_policy;
  std::optional<Pin> landlock_policy;
  std::optional<Pin> egress_policy;
  std::optional<Pin> rootfs_manifest;
  std::optional<Pin> rootfs_closure;
  RootfsMode rootfs_mode = RootfsMode::kBind;
  NetworkMode network = NetworkMode::kOci;
  std::vector<PublishedPort> publish;
  Members members;
  std::string seccomp_trace;
  std::optional<GvisorPlatform> gvisor_platform;
  GvisorNetwork gvisor_network = GvisorNetwork::kNone;
  std::optional<Pin> gvisor_runsc;
  std::optional<Lockdown> require_lockdown;
  std::string credentials;   // the directory in the container for those of CREDENTIALS_DIRECTORY; empty: none
  std::optional<bool> init;  // a process 1 of the runtime's own; absent: as the mode has it
};

// "strict-agent"
std::string_view ModeName(Mode mode);
std::string_view RootfsModeName(RootfsMode mode);

// Reads the keys under dev.nucleus. out of a bundle's annotations; other keys are left alone. An unknown key under the
// prefix, or a malformed value, is an error naming the key: `annotations["dev.nucleus.mod"]: unknown key`.
Result<Annotations> ParseAnnotations(const StringMap& annotations);

// An error naming the first key that was asked for (with a value other than its default) and that this build does not
// carry out yet: `annotations["dev.nucleus.mode"]: not supported yet`. A policy must never be silently absent.
Result<> RefuseUnsupported(const Annotations& annotations);

// All keys, for `features`.
std::vector<std::string> KnownAnnotations();

}  // namespace nucleus::oci
