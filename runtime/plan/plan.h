// What create is going to do, decided before anything is cloned. A value: the child carries it out and has nothing left
// to decide; `explain` can print it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "oci-config/spec.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/confine/confine.h"
#include "runtime/plan/mount_options.h"

namespace nucleus::plan {

// What of the host the plan depends on; read once by the caller, so that planning itself is pure.
struct Host {
  uid_t euid = 0;
  gid_t egid = 0;
  bool in_initial_user_namespace = true;
  // Neither root of the host: what takes privilege over the host itself cannot be had.
  [[nodiscard]] bool rootless() const {
    return euid != 0 || !in_initial_user_namespace;
  }
  std::uint64_t capability_bounding = 0;
  bool apparmor = false;  // these two are looked up only where a bundle asks for a label
  bool selinux = false;
  cgroup::Host cgroups;
};

// ---- namespaces

struct NamespaceJoin {
  int type = 0;  // CLONE_NEW*
  std::string path;
};

struct Namespaces {
  std::uint64_t create = 0;  // CLONE_NEW* to make
  std::vector<NamespaceJoin> join;
  [[nodiscard]] bool Creates(int type) const {
    return (create & static_cast<std::uint64_t>(type)) != 0;
  }
  [[nodiscard]] bool Joins(int type) const;
  [[nodiscard]] bool Has(int type) const {
    return Creates(type) || Joins(type);
  }
};

// ---- the root filesystem, step by step

struct BindMount {
  std::string source;
  std::string target;  // inside the container
  bool recursive = false;
  MountOptions options;
  // With the mappings of the mount itself, or, where it has none, those of the container's user namespace.
  bool idmap = false;
  bool recursive_idmap = false;
  std::vector<oci::IdMapping> uid_mappings;
  std::vector<oci::IdMapping> gid_mappings;
};

struct FilesystemMount {
  std::string type;
  std::string source;
  std::string target;
  MountOptions options;
};

// The cgroup filesystem of the container: v2, or the v1 hierarchies side by side on a tmpfs.
struct CgroupMount {
  std::string target;
  MountOptions options;
};

// Changes the flags of what is mounted at target.
struct Remount {
  std::string target;
  MountOptions options;
};

using MountStep = std::variant<BindMount, FilesystemMount, CgroupMount, Remount>;

struct DeviceNode {
  char type = 'c';  // c, b or p
  std::string path;
  dev_t number = 0;
  mode_t mode = 0666;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct Rootfs {
  std::string path;  // absolute, on the host
  bool readonly = false;
  std::uint64_t host_propagation = 0;  // MS_SLAVE or MS_PRIVATE for the copy of the host's mounts; 0: left as it is
  std::uint64_t root_propagation = 0;  // for the container's root at the end; 0: as it comes
  bool pivot = true;
  std::vector<MountStep> mounts;
  // /dev is the container's own (not a bind mount of something): default nodes and links are made there.
  bool populate_dev = true;
  std::vector<DeviceNode> devices;
  bool bind_devices = false;  // mknod is not to be had in a user namespace: the host's nodes are bound instead
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
};

struct Options {
  std::string id;
  std::string bundle;  // absolute
  bool no_pivot = false;
  bool no_new_keyring = false;
  bool use_cgroups = true;
};

struct Plan {
  std::string id;
  Namespaces namespaces;
  std::vector<oci::IdMapping> uid_mappings;
  std::vector<oci::IdMapping> gid_mappings;
  // An ordinary user may map itself alone; more takes newuidmap(1) and newgidmap(1) and the ranges of /etc/subuid.
  bool uid_map_helper = false;
  bool gid_map_helper = false;
  bool deny_setgroups = false;  // the kernel's condition for an ordinary user that maps its own group
  std::map<std::string, oci::TimeOffset> time_offsets;
  Rootfs rootfs;
  std::string hostname;
  std::string domainname;
  oci::StringMap sysctl;
  std::vector<oci::StateCgroup> cgroups;
  oci::Resources resources;
  std::optional<oci::IntelRdt> intel_rdt;
  std::optional<oci::Process> process;
  confine::Confinement confinement;
  std::optional<oci::Seccomp> seccomp;
  oci::Hooks hooks;
  std::vector<std::string> warnings;
};

Result<Plan> MakePlan(const oci::Spec& spec, const Options& options, const Host& host);

// The process part alone, for `exec` into a container that `spec` describes.
Result<confine::Confinement> PlanConfinement(const oci::Process& process, const oci::Linux& container, const Host& host,
                                             std::vector<std::string>& warnings);

// CLONE_NEW* of a namespace type, and the name that /proc/PID/ns has for it.
int NamespaceFlag(oci::NamespaceType type);
const char* NamespaceFile(int flag);

}  // namespace nucleus::plan
