// Process 1 of a container whose plan says so (plan.init): not the workload, but nucleus-init (runtime/init/main.cpp),
// which reaps orphans, forwards signals, and ends as the workload ends. Inside runtime/container only.
//
// What it is, and why. A process that stays in the container for all its life must not be the runtime's own image, with
// some megabytes of the host's file mapped, a heap that has read config.json, and powers that end with an execve which
// never comes. So it executes: a static program of two kilobytes, embedded in the runtime and copied to a sealed memfd
// of this container's own. By that execve it gets the labels, loses the capabilities and forgets the memory as the
// workload does by its own; /proc/1/exe is a file that nobody can write to and that is nothing of the host's.
//
// Confined no less than the workload: it is the process that has gone the workload's way up to the fork, with identity,
// groups, limits, keyring, labels, and the same Landlock domain (a domain beside it could not signal the workload where
// that scopes signals). What the workload's seccomp filter allows does not matter to it: that one is loaded by the
// workload's process alone, and the init loads one of its own, of seven system calls, of which none opens, maps or
// executes anything. no_new_privs is on. Of its capabilities it keeps CAP_KILL, where the workload's first process has
// it: a workload that has become another user could not be signalled otherwise. It has no descriptor at all, so that a
// reader of the container's output sees its end when the workload closes it; its environment is empty; and it is not
// dumpable: only with CAP_SYS_PTRACE can it be traced, which gives nothing that the same process does not have over the
// workload.
//
// The workload is a session leader as it would be as process 1, and the terminal, where there is one, is its own. It
// waits until the init is confined and serves, so that what it answers to execve is the last that can go wrong.
#pragma once

#include <sys/types.h>

#include <functional>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::container {

class Init {
 public:
  // Makes the memfd: in the container's cgroup, and before limits are set.
  static Result<Init> Make();

  // Makes the process that is to become the workload, which waits for the init to be confined and then runs `workload`:
  // that executes, or reports and ends. No signal is blocked in it. `terminal`: its descriptor 0 is the controlling
  // terminal, and stays that. The caller of this goes on as the init, so this returns only an error from before there
  // was another process; `failed` is told of later ones in that process, while the init waits for its end.
  //
  // Until the init has executed, both have the same memory: nothing is copied, and nobody but the workload's process
  // allocates.
  Error Fork(bool terminal, const std::function<void()>& workload, const std::function<void(const Error&)>& failed);

 private:
  explicit Init(Fd image) : image_(std::move(image)) {
  }
  Fd image_;
};

}  // namespace nucleus::container
