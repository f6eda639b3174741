// The container's place in the cgroup tree: v1, hybrid and v2 with the cgroupfs driver.
//
// Order of use: ReadHost (facts) → Locate (pure, for the Plan) → Create → Apply → OpenDoors → clone3 → Enter (in the
// child); later commands begin with the entries that state.json kept. Nothing else here runs in the child.
// Source: Documentation/admin-guide/cgroup-v1/, Documentation/admin-guide/cgroup-v2.rst, config-linux.md "Control
// groups".
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/spec.h"
#include "oci-config/state.h"

namespace nucleus::cgroup {

// One mounted hierarchy, as this process sees it.
struct Hierarchy {
  std::string name;                      // as /proc/self/cgroup: "cpu,cpuacct", "name=systemd"; "" is v2
  std::vector<std::string> controllers;  // v1: of the name; v2: of cgroup.controllers at the mount's root
  std::string mount_point;               // "/sys/fs/cgroup/memory"
  std::string mount_root;                // what of the hierarchy is mounted there, "/" as a rule
  std::string own_path;                  // this process's cgroup in it
  [[nodiscard]] bool v2() const {
    return name.empty();
  }
};

struct Host {
  std::vector<Hierarchy> hierarchies;
  // Not the host's root: cgroups are used as far as they were delegated, and device rules cannot be had (nor device
  // nodes).
  bool rootless = false;
  // v2 alone carries the controllers: no v1 hierarchy is mounted.
  [[nodiscard]] bool unified() const;
};

// From the texts of /proc/self/mountinfo and /proc/self/cgroup (and, for v2, the controllers file of its mount).
Result<Host> ParseHost(std::string_view mountinfo, std::string_view self_cgroup);
Result<Host> ReadHost();

// Where the container's cgroups are to be: one entry per hierarchy, `created` false. `cgroups_path` is
// linux.cgroupsPath: absolute is below each mount's root; relative, or empty (then the id), is below the runtime's own.
Result<std::vector<oci::StateCgroup>> Locate(const Host& host, const std::string& cgroups_path, const std::string& id);

// The same for a container that is in a cgroup already: `path` is as /proc/PID/cgroup has it. All count as made for it.
std::vector<oci::StateCgroup> At(const Host& host, const std::string& path);

// Makes the directories (parents too) and marks those that it made. On error removes what it made. Rootless, a
// hierarchy in which nothing may be made is left out of `cgroups`, unless `required` (the bundle names its place); a
// limit that is asked of it is an error then. v1 cpuset inherits cpus and mems; v2 enables the controllers on the way
// down.
Result<> Create(const Host& host, std::vector<oci::StateCgroup>& cgroups, bool required);

// Writes linux.resources. A limit whose controller is absent is an error naming the property; v1 values are converted
// for v2. `warnings` gets what is deprecated and has no effect. Device rules: v1 files, v2 an eBPF program.
// `default_devices`: the rules that every container gets on top (null, zero, full, random, urandom, tty, ptmx, console,
// pts).
Result<> Apply(const Host& host, const std::vector<oci::StateCgroup>& cgroups, const oci::Resources& resources,
               std::vector<std::string>& warnings);

// The same but for the device rules, which stay as they are: for a container that runs.
Result<> Update(const Host& host, const std::vector<oci::StateCgroup>& cgroups, const oci::Resources& resources,
                std::vector<std::string>& warnings);

// What `resources` leaves open and is needed to say it in systemd's words, as it is now: the quota or the period that
// belongs to the other, the limit that swap is counted from.
Result<oci::Resources> WithCurrent(const Host& host, const std::vector<oci::StateCgroup>& cgroups,
                                   oci::Resources resources);

// The files that systemd writes when it is told of any one limit, as they are; and what has become another since then
// is put back.
struct Kept {
  std::string directory;
  std::string file;
  std::string value;
};
std::vector<Kept> Keep(const std::vector<oci::StateCgroup>& cgroups);
Result<> PutBack(const std::vector<Kept>& kept);

// Moves a process into the v1 hierarchies from outside.
Result<> Attach(const std::vector<oci::StateCgroup>& cgroups, pid_t pid);

// v2 alone: gives the cgroups that Create() made to `owner`, with the files that the kernel lets a delegate have. No
// limit is among them.
Result<> Delegate(const Host& host, const std::vector<oci::StateCgroup>& cgroups, uid_t owner);

// v2 takes no process in a cgroup that hands controllers down. A workload that has divided its own so (systemd does)
// has its init in one below: there further processes go as well.
Result<> FollowInit(std::vector<oci::StateCgroup>& cgroups, pid_t init);

// The ways into the container's cgroups, opened by the runtime with its own rights.
struct Doors {
  Fd v2;                             // the directory, for CLONE_INTO_CGROUP; empty where there is no v2 entry
  std::vector<Fd> v1;                // each hierarchy's `tasks`
  std::vector<std::string> v1_path;  // for messages
};
Result<Doors> OpenDoors(const std::vector<oci::StateCgroup>& cgroups);

// Moves the calling process into every v1 hierarchy: the child, first of all and while it has one thread. For a thread
// that moves itself the kernel need not hold up every fork and exit of the host, as it must when somebody else moves a
// process by cgroup.procs: 0.2 ms instead of one or two RCU grace periods (8 to 15 ms).
Result<> Enter(const Doors& doors);

// cgroup.freeze or the freezer controller; waits until it has happened. Error where neither serves.
Result<> Freeze(const std::vector<oci::StateCgroup>& cgroups);
Result<> Thaw(const std::vector<oci::StateCgroup>& cgroups);
Result<bool> IsFrozen(const std::vector<oci::StateCgroup>& cgroups);

// All processes in the container's cgroups and those below, each once, sorted.
Result<std::vector<pid_t>> Processes(const std::vector<oci::StateCgroup>& cgroups);

// SIGKILLs everything in them (cgroup.kill where there is one, else freeze, kill, thaw) and waits until they are empty.
Result<> KillAll(const std::vector<oci::StateCgroup>& cgroups);
// The usual case at a container's end: all cgroups are its own and empty, and are removed. False where one is not:
// there may be something to kill first.
bool RemoveEmpty(const std::vector<oci::StateCgroup>& cgroups);

// Removes the entries marked `created`, children first. A directory that is gone already is no error; one that stays
// busy is retried for a bounded time, then "container's cgroup is not empty".
Result<> Remove(const std::vector<oci::StateCgroup>& cgroups);

// Was a process of it killed for want of memory (memory.oom_control, memory.events)?
Result<bool> WasOomKilled(const std::vector<oci::StateCgroup>& cgroups);

}  // namespace nucleus::cgroup
