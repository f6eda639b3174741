// config.json of the OCI runtime specification 1.3 as typed values: all of it that concerns Linux.
//
// Plain data, owned by value. Absent and empty differ only where the specification makes a difference (std::optional).
// Values that the specification closes (namespace types, seccomp actions, ...) are enums; the parser has refused the
// others. Lists that it leaves open (capability names, mount options) stay as written.
// Source: https://github.com/opencontainers/runtime-spec, config.md and config-linux.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nucleus::oci {

using StringMap = std::map<std::string, std::string>;

struct IdMapping {
  std::uint32_t container_id = 0;
  std::uint32_t host_id = 0;
  std::uint32_t size = 0;
};

// ---- process

struct ConsoleSize {
  std::uint32_t height = 0;
  std::uint32_t width = 0;
};

struct User {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::optional<std::uint32_t> umask;
  std::vector<std::uint32_t> additional_gids;
};

// Names as written ("CAP_CHOWN"); an unknown name is a warning, not an error.
struct Capabilities {
  std::vector<std::string> bounding;
  std::vector<std::string> effective;
  std::vector<std::string> inheritable;
  std::vector<std::string> permitted;
  std::vector<std::string> ambient;
};

struct Rlimit {
  std::string type;  // "RLIMIT_NOFILE"
  int resource = 0;  // RLIMIT_NOFILE of <sys/resource.h>
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};
// Those that have a name in config.json.
struct RlimitName {
  std::string_view name;
  int resource;
};
std::span<const RlimitName> RlimitNames();

enum class SchedulerPolicy { kOther, kFifo, kRr, kBatch, kIso, kIdle, kDeadline };

struct Scheduler {
  SchedulerPolicy policy = SchedulerPolicy::kOther;
  std::int32_t nice = 0;
  std::int32_t priority = 0;
  std::uint64_t flags = 0;     // SCHED_FLAG_* of <linux/sched.h>, or-ed
  std::uint64_t runtime = 0;   // ns
  std::uint64_t deadline = 0;  // ns
  std::uint64_t period = 0;    // ns
};

enum class IoPriorityClass { kRealTime = 1, kBestEffort = 2, kIdle = 3 };

struct IoPriority {
  IoPriorityClass io_class = IoPriorityClass::kBestEffort;
  int priority = 0;
};

// CPU lists as written ("0-3,7"), syntax checked by the parser. Empty: not set.
struct ExecCpuAffinity {
  std::string initial;
  std::string final_;
};

struct Process {
  bool terminal = false;
  std::optional<ConsoleSize> console_size;
  User user;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::string cwd;
  std::optional<Capabilities> capabilities;
  std::vector<Rlimit> rlimits;
  bool no_new_privileges = false;
  std::string apparmor_profile;
  std::string selinux_label;
  std::optional<int> oom_score_adj;
  std::optional<Scheduler> scheduler;
  std::optional<IoPriority> io_priority;
  std::optional<ExecCpuAffinity> exec_cpu_affinity;
};

// ---- root, mounts, hooks

struct Root {
  std::string path;
  bool readonly = false;
};

struct Mount {
  std::string destination;
  std::string type;
  std::string source;
  std::vector<std::string> options;
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;
};

struct Hook {
  std::string path;
  std::vector<std::string> args;
  std::vector<std::string> env;
  std::optional<int> timeout;  // seconds, > 0
};

struct Hooks {
  std::vector<Hook> prestart;
  std::vector<Hook> create_runtime;
  std::vector<Hook> create_container;
  std::vector<Hook> start_container;
  std::vector<Hook> poststart;
  std::vector<Hook> poststop;
};

// ---- linux

enum class NamespaceType { kPid, kNetwork, kMount, kIpc, kUts, kUser, kCgroup, kTime };

struct Namespace {
  NamespaceType type = NamespaceType::kPid;
  std::string path;  // empty: make a new one
};

struct TimeOffset {
  std::int64_t secs = 0;
  std::uint32_t nanosecs = 0;
};

struct Device {
  char type = 'c';  // c, b, u (as c) or p
  std::string path;
  std::int64_t major = 0;
  std::int64_t minor = 0;
  std::optional<std::uint32_t> file_mode;
  std::optional<std::uint32_t> uid;
  std::optional<std::uint32_t> gid;
};

struct NetDevice {
  std::string name;  // the name inside; empty: unchanged
};

struct DeviceRule {
  bool allow = false;
  char type = 'a';                    // a, c or b
  std::optional<std::int64_t> major;  // absent or -1: any
  std::optional<std::int64_t> minor;
  std::string access;  // of r, w, m; empty: all
};

struct MemoryResources {
  std::optional<std::int64_t> limit;
  std::optional<std::int64_t> reservation;
  std::optional<std::int64_t> swap;  // memory + swap
  std::optional<std::int64_t> kernel;
  std::optional<std::int64_t> kernel_tcp;
  std::optional<std::uint64_t> swappiness;
  std::optional<bool> disable_oom_killer;
  std::optional<bool> use_hierarchy;
  std::optional<bool> check_before_update;
};

struct CpuResources {
  std::optional<std::uint64_t> shares;
  std::optional<std::int64_t> quota;    // us
  std::optional<std::uint64_t> burst;   // us
  std::optional<std::uint64_t> period;  // us
  std::optional<std::int64_t> realtime_runtime;
  std::optional<std::uint64_t> realtime_period;
  std::string cpus;
  std::string mems;
  std::optional<std::int64_t> idle;
};

struct WeightDevice {
  std::int64_t major = 0;
  std::int64_t minor = 0;
  std::optional<std::uint16_t> weight;
  std::optional<std::uint16_t> leaf_weight;
};

struct ThrottleDevice {
  std::int64_t major = 0;
  std::int64_t minor = 0;
  std::uint64_t rate = 0;
};

struct BlockIoResources {
  std::optional<std::uint16_t> weight;
  std::optional<std::uint16_t> leaf_weight;
  std::vector<WeightDevice> weight_device;
  std::vector<ThrottleDevice> throttle_read_bps_device;
  std::vector<ThrottleDevice> throttle_write_bps_device;
  std::vector<ThrottleDevice> throttle_read_iops_device;
  std::vector<ThrottleDevice> throttle_write_iops_device;
};

struct HugepageLimit {
  std::string page_size;  // "2MB"
  std::uint64_t limit = 0;
};

struct InterfacePriority {
  std::string name;
  std::uint32_t priority = 0;
};

struct NetworkResources {
  std::optional<std::uint32_t> class_id;
  std::vector<InterfacePriority> priorities;
};

struct RdmaLimit {
  std::optional<std::uint32_t> hca_handles;
  std::optional<std::uint32_t> hca_objects;
};

struct Resources {
  std::vector<DeviceRule> devices;
  std::optional<MemoryResources> memory;
  std::optional<CpuResources> cpu;
  std::optional<std::int64_t> pids_limit;  // 0 is a real limit, -1 is max
  std::optional<BlockIoResources> block_io;
  std::vector<HugepageLimit> hugepage_limits;
  std::optional<NetworkResources> network;
  std::map<std::string, RdmaLimit> rdma;
  StringMap unified;
};

enum class SeccompAction { kKillThread, kKillProcess, kTrap, kErrno, kTrace, kAllow, kLog, kNotify };
enum class SeccompOperator { kNe, kLt, kLe, kEq, kGe, kGt, kMaskedEq };
enum class SeccompFlag { kTsync, kLog, kSpecAllow, kWaitKillableRecv };

struct SeccompArg {
  std::uint32_t index = 0;  // 0 to 5
  std::uint64_t value = 0;
  std::uint64_t value_two = 0;
  SeccompOperator op = SeccompOperator::kEq;
};

struct SeccompSyscall {
  std::vector<std::string> names;
  SeccompAction action = SeccompAction::kAllow;
  std::optional<std::uint32_t> errno_ret;
  std::vector<SeccompArg> args;
};

struct Seccomp {
  SeccompAction default_action = SeccompAction::kErrno;
  std::optional<std::uint32_t> default_errno_ret;
  std::vector<std::string> architectures;         // "SCMP_ARCH_X86_64", one of the specification's 23
  std::optional<std::vector<SeccompFlag>> flags;  // absent: the default, SPEC_ALLOW
  std::string listener_path;
  std::string listener_metadata;
  std::vector<SeccompSyscall> syscalls;
};

enum class RootfsPropagation { kShared, kSlave, kPrivate, kUnbindable };

enum class PersonalityDomain { kLinux, kLinux32 };

enum class MemoryPolicyMode { kDefault, kPreferred, kBind, kInterleave, kLocal, kPreferredMany, kWeightedInterleave };
enum class MemoryPolicyFlag { kNumaBalancing, kRelativeNodes, kStaticNodes };

struct MemoryPolicy {
  MemoryPolicyMode mode = MemoryPolicyMode::kDefault;
  std::string nodes;
  std::vector<MemoryPolicyFlag> flags;
};

struct IntelRdt {
  std::string clos_id;
  std::string l3_cache_schema;
  std::string mem_bw_schema;
  std::vector<std::string> schemata;
  bool enable_monitoring = false;
};

struct Linux {
  std::vector<Namespace> namespaces;
  std::vector<IdMapping> uid_mappings;
  std::vector<IdMapping> gid_mappings;
  std::map<std::string, TimeOffset> time_offsets;  // "monotonic", "boottime"
  std::vector<Device> devices;
  std::map<std::string, NetDevice> net_devices;
  std::string cgroups_path;
  std::optional<RootfsPropagation> rootfs_propagation;
  std::optional<Seccomp> seccomp;
  std::optional<Resources> resources;
  std::vector<std::string> masked_paths;
  std::vector<std::string> readonly_paths;
  std::string mount_label;
  StringMap sysctl;
  std::optional<PersonalityDomain> personality;
  std::optional<MemoryPolicy> memory_policy;
  std::optional<IntelRdt> intel_rdt;
};

struct Spec {
  std::string oci_version;
  Root root;
  std::optional<Process> process;
  std::string hostname;
  std::string domainname;
  std::vector<Mount> mounts;
  Hooks hooks;
  StringMap annotations;
  Linux linux_;  // `linux` is a macro of gcc
};

// The specification's names of seccomp architectures, all accepted: for `features`.
std::vector<std::string> KnownSeccompArchitectures();

}  // namespace nucleus::oci
