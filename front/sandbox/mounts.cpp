#include "front/sandbox/mounts.h"

#include <sys/stat.h>

namespace nucleus::front {

std::vector<SandboxMount> BasicMounts(const SandboxOptions& options, const Ids& ids, bool sysfs) {
  const auto tmpfs = [](std::string destination, std::vector<std::string> flags) {
    flags.insert(flags.begin(), {"nosuid", "nodev"});
    return SandboxMount{
        .destination = std::move(destination), .type = "tmpfs", .source = "tmpfs", .options = std::move(flags)};
  };
  std::vector<SandboxMount> mounts;
  mounts.push_back(
      {.destination = "/proc", .type = "proc", .source = "proc", .options = {"nosuid", "noexec", "nodev"}});
  mounts.push_back({.destination = "/dev",
                    .type = "tmpfs",
                    .source = "tmpfs",
                    .options = {"nosuid", "noexec", "mode=755", "size=64k"}});
  std::vector<std::string> terminals = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"};
  if (constexpr std::uint32_t kTerminals = 5; ids.HostGid(kTerminals)) {
    terminals.emplace_back("gid=5");
  }
  mounts.push_back({.destination = "/dev/pts", .type = "devpts", .source = "devpts", .options = std::move(terminals)});
  mounts.push_back(tmpfs("/dev/shm", {"noexec", "mode=1777"}));
  if (sysfs) {
    mounts.push_back(
        {.destination = "/sys", .type = "sysfs", .source = "sysfs", .options = {"nosuid", "noexec", "nodev", "ro"}});
  }
  std::vector<std::string> temporary = {"mode=1777"};
  std::vector<std::string> home = {"mode=0700", "uid=" + std::to_string(ids.uid), "gid=" + std::to_string(ids.gid)};
  if (!options.workspace_exec) {
    temporary.emplace_back("noexec");
    home.emplace_back("noexec");
  }
  if (!options.config_mounts.empty()) {
    home.emplace_back("tmpcopyup");  // the directories on the way to them are the user's
  }
  mounts.push_back(tmpfs("/tmp", std::move(temporary)));
  mounts.push_back(tmpfs(kHome, std::move(home)));
  return mounts;
}

Result<SandboxMount> BindOf(const std::string& source, const std::string& destination, bool writable, bool executable,
                            const Ids& ids, const std::string& name) {
  struct stat status{};
  if (::stat(source.c_str(), &status) != 0) {
    return std::unexpected(SysError(name, source));
  }
  SandboxMount mount{
      .destination = destination, .type = "bind", .source = source, .options = {"bind", "nosuid", "nodev"}};
  mount.file = !S_ISDIR(status.st_mode);
  if (!writable) {
    mount.options.emplace_back("ro");
  }
  if (!executable) {
    mount.options.emplace_back("noexec");
  }
  if (ids.privileged) {
    mount.owner.emplace(status.st_uid, status.st_gid);
  }
  return mount;
}

}  // namespace nucleus::front
