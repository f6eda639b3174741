#include "front/sandbox/bundle.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.h"
#include "base/sha256.h"
#include "front/sandbox/config_json.h"
#include "front/sandbox/egress.h"
#include "front/sandbox/secrets.h"
#include "front/sandbox/toolchain.h"
#include "front/sandbox/tree.h"
#include "runtime/rootfs/resolver.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMaxPolicy = std::size_t{1} << 20;
constexpr mode_t kPass = 0711;
constexpr mode_t kOwner = 0600;

Result<> NewFile(const std::string& path, std::string_view text) {
  const Fd file{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kOwner)};
  if (!file) {
    return std::unexpected(SysError("open", path));
  }
  return WriteAll(file.get(), text, path);
}

Result<> AddPolicy(const BundlePlace& place, const std::string& kind, const std::string& name, const std::string& text,
                   ConfigParts& parts) {
  TRY(NewFile(place.path + "/" + name, text));
  parts.policies.emplace_back(kind, name + "@sha256:" + Sha256Hex(text));
  return {};
}

Result<> AddPolicies(const SandboxOptions& options, const BundlePlace& place, ConfigParts& parts) {
  if (!options.seccomp_policy.empty()) {
    const std::string text = TRY_IN("--seccomp", ReadFile(options.seccomp_policy, kMaxPolicy));
    TRY(AddPolicy(place, "seccomp", "seccomp.json", text, parts));
  }
  if (!options.landlock_policy.empty()) {
    const std::string text = TRY_IN("--landlock", ReadFile(options.landlock_policy, kMaxPolicy));
    TRY(AddPolicy(place, "landlock", "landlock.toml", text, parts));
  }
  std::string egress = TRY(EgressDocument(options));
  if (!options.egress_policy.empty()) {
    if (!egress.empty()) {
      return std::unexpected(Failure("--egress excludes --allow, --dns and --broker", EINVAL));
    }
    egress = TRY_IN("--egress", ReadFile(options.egress_policy, kMaxPolicy));
  }
  const bool linked = !egress.empty() || !options.publish.empty() || !place.members.empty();
  parts.network = options.network;
  if (parts.network.empty()) {
    parts.network = !linked ? "none" : ::geteuid() == 0 ? "bridge" : "userspace";
  } else if (parts.network == "none" && !options.publish.empty()) {
    return std::unexpected(Failure("--network none: nothing can be published", EINVAL));
  }
  return egress.empty() ? Result<>{} : AddPolicy(place, "egress", "egress.toml", egress, parts);
}

Result<> AddCdi(const SandboxOptions& options, ConfigParts& parts) {
  if (options.gpus.empty()) {
    return {};
  }
  // The later directory's description would win (CDI); here two are an error.
  parts.cdi =
      TRY(FindCdiDevices(options.gpus, options.cdi_dirs.empty() ? std::vector<std::string>{"/etc/cdi", "/var/run/cdi"}
                                                                : options.cdi_dirs));
  // A user namespace can make no device; what is at its path on the host need not be the same.
  for (const CdiDevice& device : parts.cdi.devices) {
    parts.mounts.push_back({.destination = device.path,
                            .type = "bind",
                            .source = device.host_path,
                            .options = {"bind", "nosuid", "noexec"},
                            .file = true});
  }
  for (const CdiMount& mount : parts.cdi.mounts) {
    struct stat status{};
    if (::stat(mount.source.c_str(), &status) != 0) {
      return std::unexpected(SysError("--gpu", mount.source));
    }
    // Whatever the description says, nothing of the host is writable.
    parts.mounts.push_back({.destination = mount.destination,
                            .type = "bind",
                            .source = mount.source,
                            .options = {"bind", "ro", "nosuid", "nodev"},
                            .file = !S_ISDIR(status.st_mode)});
  }
  return {};
}

Result<> AddMounts(const SandboxOptions& options, const Ids& ids, const BundlePlace& place, ConfigParts& parts) {
  if (!options.workspace.empty()) {
    const bool writable = options.workspace_mode != WorkspaceMode::kReadOnly;
    const std::string& source = place.workspace.empty() ? options.workspace : place.workspace;
    SandboxMount mount = TRY(BindOf(source, kWorkspace, writable, options.workspace_exec, ids, "--workspace"));
    if (mount.file) {
      return std::unexpected(SysError("--workspace", options.workspace, ENOTDIR));
    }
    if (!place.workspace.empty()) {
      mount.owner.reset();  // a copy is the user's own
    }
    parts.mounts.push_back(std::move(mount));
  }
  for (const Volume& volume : options.volumes) {
    parts.mounts.push_back(TRY(BindOf(volume.source, volume.destination, volume.writable,
                                      !volume.writable || options.workspace_exec, ids, "--volume")));
  }
  for (const Volume& volume : options.config_mounts) {
    parts.mounts.push_back(TRY(BindOf(volume.source, std::string{kHome} + "/" + volume.destination, volume.writable,
                                      false, ids, "--mount-config")));
  }
  parts.mounts.insert(parts.mounts.end(), place.mounts.begin(), place.mounts.end());
  std::vector<SandboxMount> secrets =
      TRY(place.printed || place.described ? ReferToSecrets(options.secrets, ids)
                                           : KeepSecrets(options.secrets, place.path + "/secrets", ids));
  std::move(secrets.begin(), secrets.end(), std::back_inserter(parts.mounts));
  for (std::size_t i = 0; i < parts.mounts.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (parts.mounts[i].destination == parts.mounts[j].destination) {
        return std::unexpected(Failure("sandbox: two things are to be at " + parts.mounts[i].destination, EINVAL));
      }
    }
  }
  return {};
}

// The places to mount on, in a tree that may be hostile: the container's own root may not make them in what belongs to
// the host's.
Result<> MakePlaces(const std::string& root, const Ids& ids, const std::vector<SandboxMount>& mounts) {
  const Fd directory = TRY(sys::Open(root, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  const rootfs::Resolver resolver{directory.get()};
  for (const SandboxMount& mount : mounts) {
    // /dev and /proc are tmpfs and procfs by then, and the container's root makes what it needs there.
    if (mount.destination.starts_with("/dev/") || mount.destination.starts_with("/proc/")) {
      continue;
    }
    TRY(mount.file ? resolver.MakeFile(mount.destination) : resolver.MakeDirectory(mount.destination));
    const std::string home = std::string{kHome} + "/";
    if (!ids.privileged || !mount.destination.starts_with(home)) {
      continue;
    }
    // What leads to a file of the home, and is copied into its tmpfs, is the user's.
    for (std::size_t end = mount.destination.find('/', home.size()); end != std::string::npos;
         end = mount.destination.find('/', end + 1)) {
      const Fd parent = TRY(resolver.Open(mount.destination.substr(0, end), O_PATH));
      if (::fchownat(parent.get(), "", *ids.HostUid(ids.uid), *ids.HostGid(ids.gid), AT_EMPTY_PATH) != 0) {
        return std::unexpected(SysError("chown", mount.destination));
      }
    }
  }
  return {};
}

Result<std::string> MakeRoot(const BundlePlace& place) {
  std::string root = place.path + "/rootfs";
  constexpr mode_t kMode = 0755;
  if (::mkdir(root.c_str(), kMode) != 0) {
    return std::unexpected(SysError("mkdir", root));
  }
  return root;
}

// Are the places of all mounts in every toolchain's root, or in what is mounted on it?
bool HasPlaces(const std::vector<SandboxMount>& mounts, std::size_t first) {
  return std::all_of(mounts.begin() + static_cast<std::ptrdiff_t>(first), mounts.end(), [](const SandboxMount& mount) {
    const std::string& path = mount.destination;
    return path == kWorkspace || path.starts_with("/workspace/") || path.starts_with("/tmp/") ||
           path.starts_with("/dev/");
  });
}

// The host's programs. Making the tree costs more than all else here, and it is read-only: one in memory is for all
// sandboxes, until the host's files are others. It is made in the bundle and moved, so that it is there whole or not at
// all; who is late uses the other's.
Result<> AddToolchain(const SandboxOptions& options, const Ids& ids, const BundlePlace& place, ConfigParts& parts) {
  Toolchain toolchain = TRY(DescribeToolchain(ids, options.hostname));
  std::move(toolchain.mounts.begin(), toolchain.mounts.end(), std::back_inserter(parts.mounts));
  const std::size_t first = parts.mounts.size();
  TRY(AddCdi(options, parts));
  TRY(AddMounts(options, ids, place, parts));
  if (place.described) {
    parts.root = "toolchain-" + toolchain.key;
    return {};
  }
  const bool shared = !place.printed && options.gpus.empty() && HasPlaces(parts.mounts, first);
  const std::string path = place.path.substr(0, place.path.rfind('/')) + "/.toolchain-" + toolchain.key;
  if (shared && ::access(path.c_str(), F_OK) == 0) {
    parts.root = path;
    return {};
  }
  const std::string root = TRY(MakeRoot(place));
  TRY(MakeToolchain(toolchain, root));
  TRY(MakePlaces(root, ids, parts.mounts));
  if (shared) {
    TRY(MakePlaces(root, ids, {{.destination = kWorkspace}}));
    if (::rename(root.c_str(), path.c_str()) != 0 && errno != ENOTEMPTY && errno != EEXIST) {
      return std::unexpected(SysError("rename", path));
    }
    parts.root = path;
  }
  return {};
}

Result<> AddRootfs(const SandboxOptions& options, const Ids& ids, const BundlePlace& place, ConfigParts& parts) {
  parts.readonly_root = false;
  TRY(AddCdi(options, parts));
  TRY(AddMounts(options, ids, place, parts));
  // A bundle that is kept runs more than once, and the same each time.
  parts.rootfs_mode = options.overlay_rootfs || place.printed ? "overlay" : "";
  if (options.overlay_rootfs || place.described) {
    parts.root = options.rootfs;
    return {};
  }
  const std::string root = TRY(MakeRoot(place));
  TRY_IN("--rootfs", CopyForSandbox(options.rootfs, root, ids, true));
  TRY(MakePlaces(root, ids, {{.destination = "/run/notify"}}));  // create's, where a service manager waits
  return MakePlaces(root, ids, parts.mounts);
}

}  // namespace

Result<> WriteBundle(const SandboxOptions& options, const Ids& ids, const BundlePlace& place) {
  ConfigParts parts;
  parts.terminal = place.terminal;
  parts.mode = place.mode;
  parts.members = place.members;
  if (options.overlay_rootfs && options.rootfs.empty()) {
    return std::unexpected(Failure("--rootfs-overlay: no --rootfs", EINVAL));
  }
  TRY(AddPolicies(options, place, parts));
  parts.mounts = BasicMounts(options, ids, !options.gpus.empty());
  TRY(options.rootfs.empty() ? AddToolchain(options, ids, place, parts) : AddRootfs(options, ids, place, parts));
  TRY(NewFile(place.path + "/config.json", ConfigText(options, ids, parts)));
  return ::chmod(place.path.c_str(), kPass) == 0 ? Result<>{} : std::unexpected(SysError("chmod", place.path));
}

}  // namespace nucleus::front
