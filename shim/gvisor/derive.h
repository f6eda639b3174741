// The bundle that runsc is given: config.json, derived from the same Plan that the kernel's own containers are made of.
// Pure.
#pragma once

#include <string>
#include <vector>

#include "oci-config/spec.h"
#include "runtime/plan/plan.h"

namespace nucleus::gvisor {

// Where things lie for runsc: in a mount namespace of its own.
struct Places {
  std::string root;
  std::vector<std::string> binds;  // parallel to plan.rootfs.mounts; empty where that is no bind mount
  // Parallel as well: MOUNT_ATTR_NOEXEC where the source's own mount forbids to execute and the bundle does not say
  // that one may. gVisor reads a program as any file: the host's kernel would not keep it from running.
  std::vector<std::uint64_t> kept_flags;
  // The root's own /tmp, bound where it is: runsc would mount an empty tmpfs there. Empty: it has none.
  std::string tmp;
  std::string hostname;  // the host's, which a container without one of its own has
  std::string netns;     // a path; empty: runsc makes one that leads nowhere, or uses the host's
};

// `filter`: null for none.
std::string DeriveConfig(const plan::Plan& plan, const oci::Seccomp* filter, const Places& places);

// gVisor answers EPERM whatever errno a rule names. ENOSYS it answers where a rule asks for a tracer and there is none:
// the same to a process, as long as the filter lets nobody become one.
bool CanSayEnosys(const oci::Seccomp& filter);

// The sets that the kernel would leave the process by execve: gVisor starts the first one as it is told, with whatever
// is written there. Source: capabilities(7), "Transformation of capabilities during execve()".
confine::CapabilitySets AfterExecve(const confine::Confinement& confinement);

// For exec.
std::string DeriveProcess(const oci::Process& process, const confine::Confinement& confinement);

}  // namespace nucleus::gvisor
