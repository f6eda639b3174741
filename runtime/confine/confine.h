// Takes a process's powers away: the one way from the runtime's own privileges to the workload's, for the init of
// `create` and for every `exec` alike.
//
// Two phases in the child. Prepare() does all that can fail early (so that `create` reports it): keyring, scheduler,
// rlimits, umask, groups and ids, capabilities. Finish() is the last thing before execve: seccomp; Landlock
// (landlock.h) comes right before it. Where no_new_privileges is off and one of these is asked for, CAP_SYS_ADMIN stays
// permitted and effective between the two (the kernel demands it for both); the bounding set keeps it from surviving
// execve.
#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/spec.h"
#include "policies/landlock_policy.h"
#include "policies/mode.h"

namespace nucleus::confine {

// Bit n is capability n of <linux/capability.h>.
struct CapabilitySets {
  std::uint64_t bounding = 0;
  std::uint64_t effective = 0;
  std::uint64_t inheritable = 0;
  std::uint64_t permitted = 0;
  std::uint64_t ambient = 0;
};

// Names → bits. Unknown names, and those that `available` (the runtime's own bounding set) lacks, are left out with a
// warning each, as the specification says. Absent capabilities: all sets empty.
CapabilitySets PlanCapabilities(const std::optional<oci::Capabilities>& capabilities, std::uint64_t available,
                                std::vector<std::string>& warnings);

// The runtime's own bounding set, from the kernel.
std::uint64_t BoundingSet();

// All capability names the kernel and libcap know, "CAP_CHOWN" first: for `features`.
std::vector<std::string> KnownCapabilities();

// A compiled filter.
struct SeccompProgram {
  std::vector<sock_filter> filter;
  unsigned flags = 0;     // SECCOMP_FILTER_FLAG_*
  bool listener = false;  // load with SECCOMP_FILTER_FLAG_NEW_LISTENER
};

// linux.seccomp → classic BPF through libseccomp. A syscall newer than the newest that the profile names for its
// architecture answers ENOSYS where the default action would answer an errno other than that, so that libc falls back.
Result<SeccompProgram> CompileSeccomp(const oci::Seccomp& seccomp);

// Where the parent hands the child what it only knows after clone: in memory shared by both (MAP_SHARED), so that the
// filter is compiled while the child mounts. Bounded by the kernel's BPF_MAXINSNS.
class SharedProgram {
 public:
  static Result<std::unique_ptr<SharedProgram>> Create();
  ~SharedProgram();
  SharedProgram(const SharedProgram&) = delete;
  SharedProgram& operator=(const SharedProgram&) = delete;
  Result<> Set(const SeccompProgram& program);  // parent
  [[nodiscard]] SeccompProgram Get() const;     // child, once it was told that the program is there

 private:
  SharedProgram() = default;
  void* memory_ = nullptr;
};

// Everything that Prepare and Finish need; made by the Plan before clone.
struct Confinement {
  std::string session_keyring;  // name of a new session keyring; empty: none
  std::optional<oci::Scheduler> scheduler;
  std::optional<oci::IoPriority> io_priority;
  std::optional<oci::PersonalityDomain> personality;
  std::optional<oci::MemoryPolicy> memory_policy;
  std::string apparmor_profile;  // empty: unchanged
  std::string selinux_label;     // empty: unchanged
  std::vector<oci::Rlimit> rlimits;
  std::uint32_t umask = 0022;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::vector<std::uint32_t> additional_gids;
  bool set_groups = true;  // false where the user namespace denies setgroups and none are asked for
  // In a user namespace that somebody else made, whose word on setgroups only the kernel knows: none asked for is then
  // none to be set.
  bool may_deny_groups = false;
  CapabilitySets capabilities;
  bool no_new_privileges = false;
  bool has_seccomp = false;
  std::optional<policies::LandlockPolicy> landlock;
  int landlock_abi = 0;               // of this kernel; at least what the policy needs
  std::string seccomp_listener_path;  // AF_UNIX socket of the agent; empty: none
  std::string seccomp_listener_metadata;
};

// The child's first phase. Runs with the runtime's privileges inside the container's namespaces.
Result<> Prepare(const Confinement& confinement);

// What becomes of a stage that failed: the error as it is, or nothing where the mode goes on without it (and somebody
// has been told).
using OnFailure = std::function<Result<>(policies::Stage stage, Error error)>;

struct LastSteps {
  const SeccompProgram* program = nullptr;  // when has_seccomp
  int listener_socket = -1;                 // gets the listener; connected before the root was changed
  std::string listener_state;               // the text of that message
};

// The child's last phase: loads the filter. The caller has entered Landlock (where the confinement has it) and marked
// its descriptors close-on-exec; nothing but execve may follow.
Result<> Finish(const Confinement& confinement, const LastSteps& steps, const OnFailure& on_failure);

}  // namespace nucleus::confine
