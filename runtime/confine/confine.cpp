// The order in which powers are taken away.

#include "runtime/confine/confine.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/confine/capabilities.h"
#include "runtime/confine/labels.h"
#include "runtime/confine/memory_policy.h"
#include "runtime/confine/scheduling.h"
#include "runtime/confine/seccomp_load.h"
#include "runtime/sys/fault.h"

namespace nucleus::confine {
namespace {

Result<> JoinSessionKeyring(const std::string& name) {
  constexpr int kJoinSessionKeyring = 1;  // KEYCTL_JOIN_SESSION_KEYRING
  constexpr int kSetPermissions = 5;      // KEYCTL_SETPERM
  constexpr int kDescribe = 6;            // KEYCTL_DESCRIBE
  if (name.empty()) {
    return {};
  }
  const long keyring = ::syscall(SYS_keyctl, kJoinSessionKeyring, name.c_str());
  if (keyring < 0) {
    // A kernel without keyrings has none to keep apart.
    return errno == ENOSYS ? Result<>{} : std::unexpected(SysError("join session keyring", name));
  }
  // Its owner, the runtime's own identity, may search it: else `exec` would not find it by its name and make another.
  constexpr unsigned kUserSearch = 0x00080000;
  char description[512];
  if (::syscall(SYS_keyctl, kDescribe, keyring, description, sizeof description) > 0) {
    unsigned permissions = 0;
    if (std::sscanf(description, "%*[^;];%*[^;];%*[^;];%x", &permissions) == 1) {
      (void)::syscall(SYS_keyctl, kSetPermissions, keyring, permissions | kUserSearch);
    }
  }
  return {};
}

Result<> SetRlimits(const std::vector<oci::Rlimit>& rlimits) {
  for (const oci::Rlimit& limit : rlimits) {
    const struct rlimit value{.rlim_cur = limit.soft, .rlim_max = limit.hard};
    if (::setrlimit(static_cast<__rlimit_resource>(limit.resource), &value) != 0) {
      return std::unexpected(
          Failure("error setting rlimit type " + std::to_string(limit.resource) + ": " + ErrnoText(errno), errno));
    }
  }
  return {};
}

// Raw system calls: the C library's wrappers would look for other threads to bring along.
Result<> ChangeIdentity(const Confinement& confinement) {
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_KEEPCAPS"));
  }
  if (confinement.set_groups || !confinement.additional_gids.empty()) {
    static_assert(sizeof(gid_t) == sizeof(std::uint32_t));
    const bool denial_is_fine = confinement.may_deny_groups && confinement.additional_gids.empty();
    if (::syscall(SYS_setgroups, confinement.additional_gids.size(), confinement.additional_gids.data()) != 0 &&
        !(errno == EPERM && denial_is_fine)) {
      return std::unexpected(SysError("setgroups", ""));
    }
  }
  if (::syscall(SYS_setresgid, confinement.gid, confinement.gid, confinement.gid) != 0) {
    return std::unexpected(SysError("setresgid", std::to_string(confinement.gid)));
  }
  if (::syscall(SYS_setresuid, confinement.uid, confinement.uid, confinement.uid) != 0) {
    return std::unexpected(SysError("setresuid", std::to_string(confinement.uid)));
  }
  if (::prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_KEEPCAPS"));
  }
  // A change of identity may have reset it; nobody inside may trace this process before execve.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_DUMPABLE"));
  }
  return {};
}

Result<> LoadSeccomp(const LastSteps& steps) {
  FAULT_POINT("child.seccomp");
  if (steps.program == nullptr || steps.program->filter.empty()) {
    return std::unexpected(Failure("seccomp: no filter was compiled", EINVAL));
  }
  // The capability that loading may have needed is not given back by a syscall, which the filter might answer with
  // death: execve makes the new sets of the bounding, inheritable and ambient ones alone, and none of these has it
  // unasked.
  return LoadFilter(*steps.program, steps.listener_socket, steps.listener_state);
}

bool NeedsAdmin(const Confinement& confinement) {
  return (confinement.has_seccomp || confinement.landlock) && !confinement.no_new_privileges;
}

}  // namespace

Result<> Prepare(const Confinement& confinement) {
  TRY(JoinSessionKeyring(confinement.session_keyring));
  TRY(SetScheduling(confinement));
  if (confinement.memory_policy) {
    TRY(SetMemoryPolicy(*confinement.memory_policy));
  }
  TRY(SetLabels(confinement));
  TRY(SetRlimits(confinement.rlimits));
  ::umask(static_cast<mode_t>(confinement.umask));
  TRY(DropBounding(confinement.capabilities.bounding));
  TRY(ChangeIdentity(confinement));
  const std::uint64_t until_execve = NeedsAdmin(confinement) ? std::uint64_t{1} << CAP_SYS_ADMIN : std::uint64_t{0};
  TRY(SetCapabilities(confinement.capabilities, until_execve));
  if (confinement.no_new_privileges && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    return std::unexpected(SysError("prctl", "PR_SET_NO_NEW_PRIVS"));
  }
  return {};
}

Result<> Finish(const Confinement& confinement, const LastSteps& steps, const OnFailure& on_failure) {
  if (confinement.has_seccomp) {
    if (Result<> loaded = LoadSeccomp(steps); !loaded) {
      return on_failure(policies::Stage::kSeccomp, std::move(loaded).error());
    }
  }
  return {};
}

}  // namespace nucleus::confine
