// The fault switch of debug builds: NUCLEUS_FAULT=STAGE makes that stage fail with EIO as if the kernel had refused,
// NUCLEUS_FAULT=kill:STAGE lets the process that comes there die of SIGKILL, stop:STAGE stops it (SIGSTOP) until
// somebody lets it go on, and the tests walk all stages to see that nothing is left behind. Several may be named, with
// commas between them: a stage that is named twice stops first. While a process is stopped its name (comm) is the
// stage's first 15 characters. NUCLEUS_FAULT_TRACE=FILE, which has to be there, gets a line "PID STAGE" for each
// stage that is come to. In release builds the macro is nothing.
#pragma once

#include <array>
#include <string_view>

#include "base/error.h"

namespace nucleus::sys {

// Every stage that can be made to fail, in the order of a container's life.
// clang-format off: one a line, whatever their lengths.
inline constexpr auto kFaultStages = std::to_array<std::string_view>({
    "create.credentials",
    "create.rootfs-verify",
    "root.copy",
    "root.overlay",
    "create.state-open",
    "create.state-lock",
    "create.state-dir",
    "create.config-copy",
    "create.tracer",
    "create.systemd-unit",
    "create.cgroup-make",
    "create.cgroup-limits",
    "create.start-socket",
    "create.clone",
    "runsc.wait",
    "create.id-maps",
    "create.cgroup-attach",
    "create.seccomp-compile",
    "create.net-helper",
    "create.net-setup",
    "net.links",
    "net.image",
    "net.rules",
    "net.read-back",
    "net.outer-rules",
    "net.gate",
    "net.attach",
    "net.swap",
    "create.net-ready",
    "create.net-device-moved",
    "create.net-devices",
    "create.runtime-hooks",
    "create.console-send",
    "create.save-state",
    "create.pid-file",
    "child.namespaces",
    "child.loopback",
    "child.root",
    "child.mounts",
    "child.devices",
    "child.cgroup-namespace",
    "child.container-hooks",
    "child.pivot",
    "child.audit",
    "child.console",
    "child.sysctl",
    "child.hostname",
    "child.masks",
    "child.readonly",
    "child.cwd",
    "child.landlock",
    "init.image",
    "child.confine",
    "child.lookup",
    "container.lock",
    "start.connect",
    "start.save-state",
    "child.start-hooks",
    "child.uplinks",
    "child.broker",
    "child.finish",
    "child.landlock-enter",
    "init.fork",
    "init.exec",
    "child.seccomp",
    "child.exec",
    "exec.attach",
    "kill.signal",
    "delete.again",
    "delete.again-lock",
    "delete.kill",
    "delete.cgroup",
    "remove.files",
    "remove.directory",
    "events.write",
    "restore.cgroup-limits",
    "restore.criu",
    "restore.save-state",
});
// clang-format on

// EIO when `stage` is the one that NUCLEUS_FAULT names. `stage` must stand in kFaultStages.
Result<> InjectedFault(std::string_view stage);

// NUCLEUS_FAULT=list: prints the stages and ends the process.
void ListFaultsIfAsked();

}  // namespace nucleus::sys

#ifdef NUCLEUS_FAULTS
#define FAULT_POINT(stage)                                             \
  do {                                                                 \
    if (auto fault_ = ::nucleus::sys::InjectedFault(stage); !fault_) { \
      return std::unexpected(std::move(fault_).error());               \
    }                                                                  \
  } while (false)
#else
#define FAULT_POINT(stage) \
  do {                     \
  } while (false)
#endif
