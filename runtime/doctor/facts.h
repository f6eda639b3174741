// What this host offers: read from the kernel, or tried in a child that ends at once. Nothing is guessed from a
// version.
#pragma once

#include <string>
#include <vector>

namespace nucleus::doctor {

// What came of a try: `error` is an errno, 0 where it worked.
struct Try {
  const char* name = "";
  int error = 0;
  [[nodiscard]] bool works() const {
    return error == 0;
  }
};

// A program in the places where the runtime looks for it; `path` empty: not there.
struct Program {
  const char* name = "";
  std::string path;
};

struct Facts {
  std::string release;
  bool root = false;       // of the host's first user namespace
  std::vector<Try> calls;  // openat2, clone3, mount_setattr, fsopen, pidfd_open
  std::vector<Try>
      namespaces;  // by the names of /proc/PID/ns, each made in a child; of an ordinary user below a user one
  std::string lsm;
  std::string lockdown;
  bool apparmor = false;
  bool selinux = false;
  int landlock_abi = 0;
  std::string seccomp_actions;  // empty: the kernel has no filters
  bool seccomp_notify = false;
  std::vector<std::string> cgroups;      // "v2 /sys/fs/cgroup cpu memory pids", "memory /sys/fs/cgroup/memory"
  std::vector<std::string> controllers;  // that a container of the caller's could have limits of
  std::string max_user_namespaces;
  std::string restrictions;  // sysctls that keep ordinary users from user namespaces, as they are set
  std::string subuid;        // the caller's ranges
  std::string subgid;
  std::vector<Program> programs;
  Try overlay;
  Try idmapped_mounts;
  Try verity;  // on the filesystem of /usr
  Try tun;
  Try nf_tables;
  Try kvm;
  bool systemd_helper = false;
  bool net_helper = false;
  bool otel_helper = false;
};

Facts Examine();

enum class For { kPlain, kAgent, kStrictAgent, kProduction };

// Why a bundle of that mode could not run here: each a sentence with its remedy. Pure.
std::vector<std::string> Lacks(const Facts& facts, For mode);

// What agent mode would run without.
std::vector<std::string> Degrades(const Facts& facts);

}  // namespace nucleus::doctor
