#include "runtime/container/criu_options.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>

#include "runtime/container/host.h"
#include "runtime/criu/session.h"
#include "runtime/plan/mount_options.h"
#include "runtime/plan/plan.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

constexpr const char* kDefaultDevices[] = {"/dev/null", "/dev/zero",   "/dev/full",
                                           "/dev/tty",  "/dev/random", "/dev/urandom"};

// criu_cg_mode.
Result<unsigned> CgroupsMode(const std::string& mode) {
  constexpr unsigned kDefault = 6;
  const std::pair<std::string_view, unsigned> modes[] = {
      {"", kDefault}, {"soft", 3}, {"full", 4}, {"strict", 5}, {"ignore", 0}};
  for (const auto& [name, value] : modes) {
    if (mode == name) {
      return value;
    }
  }
  return std::unexpected(
      Failure("invalid --manage-cgroups-mode \"" + mode + "\": soft, full, strict or ignore", EINVAL));
}

Result<criu::Message> PageServer(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  std::uint16_t port = 0;
  const std::string_view digits = colon == std::string::npos ? "" : std::string_view{text}.substr(colon + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (colon == std::string::npos || colon == 0 || error != std::errc{} || end != digits.data() + digits.size()) {
    return std::unexpected(Failure("invalid --page-server \"" + text + "\": ADDRESS:PORT is expected", EINVAL));
  }
  std::string address = text.substr(0, colon);
  if (address.starts_with('[') && address.ends_with(']')) {
    address = address.substr(1, address.size() - 2);
  }
  return criu::Message{}.Text(1, address).Number(2, port);
}

// The first error that the log has: those after it follow from it.
std::string FirstError(const std::string& log) {
  constexpr std::size_t kMaxLog = std::size_t{64} << 20;
  constexpr std::size_t kMaxLine = 400;
  const std::string text = ReadFile(log, kMaxLog).value_or("");
  const std::size_t found = text.find("Error (");
  if (found == std::string::npos) {
    return "";
  }
  return text.substr(found, std::min(text.find('\n', found) - found, kMaxLine));
}

std::string Clean(const std::string& path) {
  std::string clean;
  for (const char c : path) {
    if (c != '/' || !clean.ends_with('/')) {
      clean += c;
    }
  }
  while (clean.size() > 1 && clean.ends_with('/')) {
    clean.pop_back();
  }
  return clean;
}

bool HasNamespace(const oci::Spec& spec, oci::NamespaceType type) {
  for (const oci::Namespace& entry : spec.linux_.namespaces) {
    if (entry.type == type) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool CheckpointAvailable() {
  return criu::FindProgram().has_value();
}

Result<> NeedsRoot(const char* command) {
  const plan::Host host = TRY(ReadHost(false, false));
  if (host.rootless()) {
    return std::unexpected(Failure(std::string{command} + " takes the host's root: criu needs it", EPERM));
  }
  return {};
}

Result<CriuRequest> BeginRequest(const CriuOptions& options, const std::string& log) {
  constexpr unsigned kDebug = 4;
  CriuRequest request;
  const unsigned mode = TRY(CgroupsMode(options.cgroups_mode));
  for (const std::string& name : options.empty_namespaces) {
    if (name != "network") {
      return std::unexpected(Failure("--empty-ns: namespace \"" + name + "\" is not supported", EINVAL));
    }
  }
  if (!options.page_server.empty()) {
    request.options.Nested(11, TRY(PageServer(options.page_server)));
  }
  request.images = TRY(sys::Open(options.image_path, O_RDONLY | O_DIRECTORY));
  request.log = options.image_path + "/" + log;
  if (!options.work_path.empty()) {
    if (::mkdir(options.work_path.c_str(), 0700) != 0 && errno != EEXIST) {
      return std::unexpected(SysError("mkdir", options.work_path));
    }
    request.work = TRY(sys::Open(options.work_path, O_RDONLY | O_DIRECTORY));
    request.log = options.work_path + "/" + log;
  }
  // Network devices and their addresses are their maker's, never this runtime's: the namespace comes back empty.
  request.options.Number(38, CLONE_NEWNET);
  request.options.Flag(4, options.external_unix_sockets)
      .Flag(5, options.tcp_established)
      .Flag(7, options.shell_job)
      .Flag(8, options.file_locks)
      .Number(9, kDebug)
      .Text(10, log)
      .Flag(12, true)
      .Flag(16, options.auto_dedup)
      .Flag(24, true)
      .Number(34, mode)
      .Flag(48, options.lazy_pages)
      .Flag(50, true);
  return request;
}

void AddDirectories(CriuRequest& request) {
  request.options.Number(1, static_cast<unsigned>(request.images.get()));
  if (request.work) {
    request.options.Number(17, static_cast<unsigned>(request.work.get()));
  }
}

Error WithLog(const Error& error, const std::string& log) {
  if (!error.message.starts_with("criu")) {
    return error;
  }
  const std::string line = FirstError(log);
  return Failure((line.empty() ? error.message : "criu failed: " + line) + " (log file: " + log + ")", error.code);
}

void ForEachExternalMount(const oci::Spec& spec, const std::string& bundle, const cgroup::Host& host,
                          const std::vector<oci::StateCgroup>& cgroups,
                          const std::function<void(const std::string& place, const std::string& source)>& external) {
  for (const oci::Mount& mount : spec.mounts) {
    const plan::MountOptions options = plan::ParseMountOptions(mount.options);
    if ((options.bind || mount.type == "bind") && !options.remount) {
      external(Clean(mount.destination), mount.source.starts_with('/') ? mount.source : bundle + "/" + mount.source);
    }
    const bool cgroup = mount.type == "cgroup" || mount.type == "cgroup2";
    if (cgroup && !host.unified() && !HasNamespace(spec, oci::NamespaceType::kCgroup)) {
      for (const oci::StateCgroup& entry : cgroups) {
        const bool named = entry.hierarchy.starts_with("name=");
        if (!entry.hierarchy.empty()) {
          external(Clean(mount.destination) + "/" + entry.hierarchy.substr(named ? 5 : 0), entry.path);
        }
      }
    }
  }
  // In a user namespace nodes cannot be made: those of the host are there.
  if (HasNamespace(spec, oci::NamespaceType::kUser)) {
    for (const char* path : kDefaultDevices) {
      external(path, path);
    }
    for (const oci::Device& device : spec.linux_.devices) {
      external(Clean(device.path), Clean(device.path));
    }
  }
}

void AddExternalMount(criu::Message& options, const std::string& key, const std::string& value) {
  options.Nested(23, criu::Message{}.Text(1, key).Text(2, value));
}

std::string ExternalNamespaceKey(oci::NamespaceType type) {
  switch (type) {
    case oci::NamespaceType::kNetwork:
      return "extRootNetNS";
    case oci::NamespaceType::kPid:
      return "extRootPidNS";
    default:
      return "";
  }
}

}  // namespace nucleus::container
