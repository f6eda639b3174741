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
#include "oci-config/annotations.h"
#include "oci-config/publish.h"
#include "oci-config/spec.h"
#include "oci-config/state.h"
#include "policies/mode.h"
#include "policies/policies.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/confine/confine.h"
#include "runtime/plan/mount_options.h"
#include "runtime/systemd/scope.h"

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
  int landlock_abi = 0;  // likewise, where there is a Landlock policy
  std::string lockdown;  // likewise: "none", "integrity", "confidentiality"; empty: not to be read
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
  // The source can be reached by the runtime and not by the container's user, who mounts: the runtime opens it.
  bool private_source = false;
  // What the runtime makes of the source before there is a container, and hands over.
  enum class Made : unsigned char {
    kNot,
    kClosure,      // a path of the closure, verified with the root filesystem
    kCredentials,  // a tmpfs with copies of the credentials
  };
  Made made = Made::kNot;
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

// What is mounted is read back from the kernel once the root is complete, and compared with the plan.
enum class Audit { kNone, kWarn, kError };

struct Rootfs {
  std::string path;  // absolute, on the host
  bool readonly = false;
  bool attested = false;  // the runtime hands over the tree that it has verified: that is mounted, not the path
  bool in_user_namespace = false;
  // What becomes the root: the directory itself, a copy of it in a tmpfs, or an overlay that is written to a tmpfs.
  oci::RootfsMode mode = oci::RootfsMode::kBind;
  std::uint64_t tmpfs_size = 0;        // of that tmpfs, in bytes; 0: the kernel's default, half of the memory
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
  Audit audit = Audit::kNone;
  // What the audit asks for besides: no mount is both writable and executable; every procfs has hidepid.
  bool writable_or_executable = false;
  bool hide_processes = false;
};

// A link of the host that the container gets.
struct NetDevice {
  std::string host_name;
  std::string name;  // in the container; "eth%d" takes the first free number
};

// What nucleus makes of the network: by nucleus-net, once the container's namespaces are there.
struct Network {
  oci::NetworkMode mode = oci::NetworkMode::kOci;
  std::vector<oci::PublishedPort> publish;
  bool filtered = false;       // rules are loaded: of the egress policy, or such that deny everything
  bool names = false;          // the DNS gate answers
  bool log = false;            // refusals are written down
  bool direct = false;         // no place outside of the container for rules
  bool end_with_gate = false;  // where the gate has ended, so does the container; else it is started anew
  std::optional<policies::EgressPolicy::Broker> broker;
};

struct Options {
  std::string id;
  std::string bundle;  // absolute
  bool no_pivot = false;
  bool no_new_keyring = false;
  bool use_cgroups = true;
  bool systemd = false;  // makes them
  bool traced = false;   // a tracer is told of every system call
  // Absolute, on the host: where the container finds a NOTIFY_SOCKET; empty: it gets none.
  std::string notify_directory;
  // Absolute, on the host: CREDENTIALS_DIRECTORY; empty: there is none.
  std::string credentials_directory;
  oci::Annotations annotations;  // the bundle's
  std::string resolv_conf;       // absolute, on the host: what a container whose names the gate answers gets
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
  std::optional<Network> network;
  std::vector<NetDevice> net_devices;     // in the order in which they move: templates last
  std::vector<oci::StateCgroup> cgroups;  // none with a scope: where that is, is systemd's to say
  std::optional<systemd::Scope> scope;
  oci::Resources resources;
  std::optional<oci::IntelRdt> intel_rdt;
  std::optional<oci::Process> process;
  bool notify = false;  // options.notify_directory is mounted
  // Process 1 stays the runtime's: it reaps, forwards signals and passes on the exit status (container/init.h). Only
  // with a new pid namespace.
  bool init = false;
  confine::Confinement confinement;
  std::optional<oci::Seccomp> seccomp;                 // config.json's own filter
  std::shared_ptr<const oci::Seccomp> policy_seccomp;  // and the policy's: the stricter answer counts
  bool traced = false;                                 // what both allow is told to the tracer
  oci::Hooks hooks;
  std::vector<std::string> warnings;
  // What the bundle's mode adds (runtime/plan/mode.h).
  std::optional<oci::Mode> mode;
  bool own_namespaces = false;  // one that is joined must not be the runtime's own: the host's
  bool deny_uplinks = false;    // nothing but loopback in the network namespace, or it does not start
  // Of what the mode asks for, and this host has not.
  std::vector<oci::Degradation> degradations;
  [[nodiscard]] bool MayDegrade(policies::Stage stage) const {
    return policies::MayDegrade(mode, stage);
  }
};

// `policies` narrow what `spec` grants.
Result<Plan> MakePlan(const oci::Spec& spec, const Options& options, const Host& host,
                      const policies::Policies& policies = {});

// The process part alone, for `exec` into a container that `spec` describes. What `policies.mode` lets go stands in
// `degradations` afterwards.
Result<confine::Confinement> PlanConfinement(const oci::Process& process, const oci::Linux& container, const Host& host,
                                             std::vector<std::string>& warnings,
                                             std::vector<oci::Degradation>& degradations,
                                             const policies::Policies& policies = {});

// CLONE_NEW* of a namespace type, and the name that /proc/PID/ns has for it.
int NamespaceFlag(oci::NamespaceType type);
const char* NamespaceFile(int flag);

}  // namespace nucleus::plan
