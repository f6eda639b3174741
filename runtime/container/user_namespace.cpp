#include "runtime/container/user_namespace.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "runtime/container/process.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

std::string FormatMap(const std::vector<oci::IdMapping>& mappings) {
  std::string text;
  for (const oci::IdMapping& mapping : mappings) {
    text += std::to_string(mapping.container_id) + " " + std::to_string(mapping.host_id) + " " +
            std::to_string(mapping.size) + "\n";
  }
  return text;
}

Result<> WriteProcFile(pid_t pid, const char* name, std::string_view text) {
  const std::string path = "/proc/" + std::to_string(pid) + "/" + name;
  const Fd file = TRY(sys::Open(path, O_WRONLY));
  return WriteAll(file.get(), text, path);
}

// newuidmap PID CONTAINER HOST SIZE..., found in PATH as every setuid program is; what it says on stderr is the error.
Result<> RunIdMapHelper(const char* program, pid_t pid, const std::vector<oci::IdMapping>& mappings) {
  std::vector<std::string> words = {program, std::to_string(pid)};
  for (const oci::IdMapping& mapping : mappings) {
    words.push_back(std::to_string(mapping.container_id));
    words.push_back(std::to_string(mapping.host_id));
    words.push_back(std::to_string(mapping.size));
  }
  const std::vector<char*> argv = sys::Pointers(words);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::unexpected(SysError("pipe", ""));
  }
  const Fd read_end{ends[0]};
  Fd write_end{ends[1]};
  const pid_t helper = TRY(sys::Clone3({}));
  constexpr int kNotFound = 127;
  if (helper == 0) {
    ResetSignals();
    ::dup2(write_end.get(), STDERR_FILENO);
    ::execvp(program, argv.data());
    ::_exit(kNotFound);
  }
  write_end.Reset();
  constexpr std::size_t kMaxText = 4096;
  std::string said = ReadAll(read_end.get(), kMaxText, program).value_or("");
  int status = 0;
  while (::waitpid(helper, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    return {};
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotFound && said.empty()) {
    return std::unexpected(Failure(
        std::string{"more than one's own id takes "} + program + ", which is not in $PATH (package uidmap)", ENOENT));
  }
  while (!said.empty() && said.back() == '\n') {
    said.pop_back();
  }
  return std::unexpected(Failure(said.starts_with(program) ? said : program + (": " + said), EPERM));
}

// A process that does nothing but be in a new user namespace while this lives.
class Holder {
 public:
  static Result<Holder> Make() {
    Holder holder;
    holder.pid_ = TRY(sys::Clone3({.flags = CLONE_NEWUSER}));
    if (holder.pid_ == 0) {
      for (;;) {
        ::pause();
      }
    }
    return holder;
  }
  Holder(Holder&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {
  }
  Holder& operator=(Holder&&) = delete;
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;
  ~Holder() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
      }
    }
  }
  [[nodiscard]] pid_t pid() const {
    return pid_;
  }

 private:
  Holder() = default;
  pid_t pid_ = 0;
};

// The user namespace whose mapping a mount gets: a new one with the mount's own mappings, or the one that the container
// joins.
Result<Fd> MappingNamespace(const plan::BindMount& mount, const plan::Plan& plan) {
  if (mount.uid_mappings.empty()) {
    for (const plan::NamespaceJoin& join : plan.namespaces.join) {
      if (join.type == CLONE_NEWUSER) {
        return sys::Open(join.path, O_RDONLY);
      }
    }
  }
  const bool own = !mount.uid_mappings.empty();
  const Holder holder = TRY(Holder::Make());
  TRY(WriteProcFile(holder.pid(), "uid_map", FormatMap(own ? mount.uid_mappings : plan.uid_mappings)));
  TRY(WriteProcFile(holder.pid(), "gid_map", FormatMap(own ? mount.gid_mappings : plan.gid_mappings)));
  return sys::Open("/proc/" + std::to_string(holder.pid()) + "/ns/user", O_RDONLY);
}

Result<Fd> OpenOne(const plan::BindMount& mount, const plan::Plan& plan) {
  Fd tree = TRY(sys::CloneTree(AT_FDCWD, mount.source, mount.recursive, mount.source));
  // What is mounted below it in the container must not come back to the host.
  if (plan.rootfs.host_propagation != 0) {
    TRY(sys::SetMountAttributes(tree.get(), 0, 0, plan.rootfs.host_propagation, true, mount.source));
  }
  if (mount.idmap) {
    const Fd mapping = TRY(MappingNamespace(mount, plan));
    TRY(sys::SetIdMapping(tree.get(), mapping.get(), mount.recursive_idmap, mount.source));
  }
  return tree;
}

}  // namespace

Result<> WriteIdMappings(pid_t pid, const plan::Plan& plan) {
  if (plan.deny_setgroups) {
    TRY(WriteProcFile(pid, "setgroups", "deny"));
  }
  TRY_IN("linux.uidMappings", plan.uid_map_helper ? RunIdMapHelper("newuidmap", pid, plan.uid_mappings)
                                                  : WriteProcFile(pid, "uid_map", FormatMap(plan.uid_mappings)));
  TRY_IN("linux.gidMappings", plan.gid_map_helper ? RunIdMapHelper("newgidmap", pid, plan.gid_mappings)
                                                  : WriteProcFile(pid, "gid_map", FormatMap(plan.gid_mappings)));
  return {};
}

Result<std::vector<Fd>> OpenIdmappedSources(const plan::Plan& plan) {
  std::vector<Fd> sources;
  for (const plan::MountStep& step : plan.rootfs.mounts) {
    const auto* mount = std::get_if<plan::BindMount>(&step);
    if (mount == nullptr || !(mount->idmap || mount->private_source)) {
      continue;
    }
    sources.resize(plan.rootfs.mounts.size());
    const auto index = static_cast<std::size_t>(&step - plan.rootfs.mounts.data());
    sources[index] =
        TRY_IN("mount \"" + mount->source + "\" at \"" + mount->target + (mount->idmap ? "\": idmap" : "\""),
               OpenOne(*mount, plan));
  }
  return sources;
}

}  // namespace nucleus::container
