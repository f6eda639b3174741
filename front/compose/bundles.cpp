#include "front/compose/bundles.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "base/json_writer.h"
#include "base/sha256.h"
#include "front/sandbox/bundle.h"
#include "front/sandbox/ids.h"
#include "front/sandbox/memory_directory.h"
#include "front/sandbox/snapshot.h"
#include "front/sandbox/tree.h"
#include "runtime/sys/own_program.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front::compose {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;
constexpr std::size_t kMaxConfig = std::size_t{16} << 20;
constexpr mode_t kPass = 0711;

// "40001,web=40001,db=40002": itself and all that are in one of its networks.
std::string MembersText(const Topology& topology, const std::string& name, const Numbers& numbers) {
  const ServiceEntry& service = topology.services.at(name);
  if (service.networks.empty()) {
    return {};
  }
  std::string text = std::to_string(numbers.at(name));
  for (const auto& [other, entry] : topology.services) {
    for (const auto& [network, spot] : entry.networks) {
      if (service.networks.contains(network)) {
        text += "," + other + "=" + std::to_string(numbers.at(other));
        break;
      }
    }
  }
  return text;
}

std::vector<SandboxMount> VolumeMounts(const Project& project, const Topology& topology, const ServiceEntry& service,
                                       bool privileged) {
  std::vector<SandboxMount> mounts;
  for (const Use& use : service.volumes) {
    const VolumeEntry& volume = topology.volumes.at(use.name);
    SandboxMount mount{.destination = use.destination,
                       .type = "bind",
                       .source = project.VolumePath(use.name, volume.persistent),
                       .options = {"bind", "nosuid", "nodev"},
                       .file = false,
                       .owner = {}};
    if (!use.writable) {
      mount.options.emplace_back("ro");
    } else if (!service.options.workspace_exec) {
      mount.options.emplace_back("noexec");
    }
    if (privileged) {
      mount.owner = volume.owner.value_or(std::pair<std::uint32_t, std::uint32_t>{0, 0});
    }
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

Result<std::string> SecretText(const SecretEntry& secret) {
  if (!secret.file.empty()) {
    return ReadFile(secret.file, kMaxFile);
  }
  const char* value = std::getenv(secret.variable.c_str());
  return value != nullptr ? Result<std::string>{value}
                          : std::unexpected(Failure("the variable " + secret.variable + " is not set", ENOENT));
}

// What of a tree tells one version of it from another.
Result<std::string> TreeDigest(const std::string& path) {
  const Fd directory = TRY(sys::Open(path, O_RDONLY | O_DIRECTORY));
  Sha256 hash;
  for (const auto& [name, status] : TRY(TakeSnapshot(directory.get()))) {
    const std::string line = name + " " + std::to_string(status.st_mode) + " " + std::to_string(status.st_uid) + ":" +
                             std::to_string(status.st_gid) + " " + std::to_string(status.st_size) + " " +
                             std::to_string(status.st_ino) + " " + std::to_string(status.st_ctim.tv_sec) + "." +
                             std::to_string(status.st_ctim.tv_nsec) + "\n";
    hash.Update(line.data(), line.size());
  }
  return Hex(hash.Finish());
}

void ReplaceAll(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// config.json as it would be, with ids that are always the same.
Result<std::string> DescribedConfig(const Project& project, const Topology& topology, const std::string& name,
                                    const Numbers& numbers) {
  const ServiceEntry& service = topology.services.at(name);
  Ids ids = TRY(ChooseIds(service.options.user));
  if (ids.privileged) {
    ids.uids.front().host = 0;
    ids.gids.front().host = 0;
  }
  std::string path = TRY(MemoryDirectory()) + "/.described-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return std::unexpected(SysError("mkdtemp", path));
  }
  BundlePlace place;
  place.path = path;
  place.described = true;
  place.mode = service.mode;
  place.members = MembersText(topology, name, numbers);
  place.mounts = VolumeMounts(project, topology, service, ids.privileged);
  const Result<> written = WriteBundle(service.options, ids, place);
  Result<std::string> text = written ? ReadFile(path + "/config.json", kMaxConfig) : std::unexpected(written.error());
  (void)RemoveTree(path);
  if (text) {
    ReplaceAll(*text, path, "BUNDLE");
    ReplaceAll(*text, project.directory(), "PROJECT");
  }
  return text;
}

std::string SupervisionText(const ServiceSpec& spec) {
  JsonWriter out;
  out.BeginObject();
  out.Key("restart").Int(static_cast<int>(spec.restart));
  out.Key("mostRestarts").Int(spec.most_restarts);
  out.Key("timeout").Int(spec.timeout_ms);
  out.Key("stopTimeout").Int(spec.stop_timeout_ms);
  out.Key("stopSignal").Int(spec.stop_signal);
  out.Key("logBytes").Int(spec.log.bytes);
  out.Key("logFiles").Int(spec.log.files);
  out.Key("health").BeginArray();
  for (const std::string& word : spec.health.command) {
    out.String(word);
  }
  out.EndArray();
  for (const int value :
       {spec.health.start_period_ms, spec.health.interval_ms, spec.health.timeout_ms, spec.health.retries}) {
    out.Key("h").Int(value);
  }
  out.EndObject();
  return out.Take();
}

Result<std::string> DigestOf(const Project& project, const Topology& topology, const std::string& name,
                             const Numbers& numbers, const ServiceSpec& spec, const std::string& salt) {
  const ServiceEntry& service = topology.services.at(name);
  std::string text = SupervisionText(spec) + "\n";
  if (!service.bundle.empty()) {
    text += service.bundle + "\n" + TRY(ReadFile(service.bundle + "/config.json", kMaxConfig));
    return Sha256Hex(text);
  }
  text += TRY(DescribedConfig(project, topology, name, numbers));
  if (!service.options.rootfs.empty()) {
    text += TRY(TreeDigest(service.options.rootfs)) + "\n";
  }
  for (const Use& use : service.secrets) {
    const std::string secret = TRY_IN("secrets." + use.name, SecretText(topology.secrets.at(use.name)));
    text += use.destination + " " + Sha256Hex(salt + secret) + "\n";
  }
  return Sha256Hex(text);
}

}  // namespace

Result<std::vector<Wanted>> WantedServices(const Project& project, const Topology& topology, const Numbers& numbers) {
  const std::string salt = TRY(project.Salt());
  std::vector<Wanted> all;
  for (const auto& [name, service] : topology.services) {
    Wanted wanted;
    wanted.service = name;
    ServiceSpec& spec = wanted.spec;
    spec.id = project.ServiceId(name);
    spec.health = service.options.health;
    spec.log = service.options.log;
    spec.stop_signal = service.options.stop_signal == 0 ? SIGTERM : service.options.stop_signal;
    spec.stop_timeout_ms = service.options.stop_timeout_ms;
    spec.timeout_ms = service.options.timeout_ms;
    spec.restart = service.options.restart;
    spec.most_restarts = service.options.most_restarts;
    wanted.digest = TRY_IN("services." + name, DigestOf(project, topology, name, numbers, spec, salt));
    constexpr std::size_t kDigits = 16;
    // One that takes the place of another, and may have to give it back, has a directory of its own.
    wanted.bundle = service.bundle.empty() ? project.directory() + "/" + name + "." + wanted.digest.substr(0, kDigits)
                                           : service.bundle;
    spec.runner = {"run", "--bundle", wanted.bundle, spec.id};
    std::string after;
    for (const auto& [other, dependency] : service.depends_on) {
      after += (after.empty() ? "" : ",") + other;
    }
    spec.labels = {
        {kProjectLabel, project.name()}, {kServiceLabel, name}, {kDigestLabel, wanted.digest}, {kAfterLabel, after}};
    all.push_back(std::move(wanted));
  }
  return all;
}

Result<> MakeBundle(const Project& project, const Topology& topology, const Numbers& numbers, const Wanted& wanted) {
  const ServiceEntry& service = topology.services.at(wanted.service);
  if (!service.bundle.empty()) {
    return {};
  }
  if (!service.options.rootfs.empty() && !service.options.overlay_rootfs) {
    TRY(RunsPrograms(project.directory(), "rootfs"));
  }
  TRY(RemoveTree(wanted.bundle));
  if (::mkdir(wanted.bundle.c_str(), kPass) != 0) {
    return std::unexpected(SysError("mkdir", wanted.bundle));
  }
  SandboxOptions options = service.options;
  std::vector<Fd> kept;
  for (const Use& use : service.secrets) {
    const SecretEntry& secret = topology.secrets.at(use.name);
    if (!secret.file.empty()) {
      options.secrets.push_back({.source = secret.file, .fd = -1, .destination = use.destination});
      continue;
    }
    const std::string text = TRY_IN("secrets." + use.name, SecretText(secret));
    Fd memory = TRY(sys::InMemory(text, "secret"));
    options.secrets.push_back({.source = {}, .fd = memory.get(), .destination = use.destination});
    kept.push_back(std::move(memory));
  }
  const Ids ids = TRY(ChooseIds(options.user));
  BundlePlace place;
  place.path = wanted.bundle;
  place.mode = service.mode;
  place.members = MembersText(topology, wanted.service, numbers);
  place.mounts = VolumeMounts(project, topology, service, ids.privileged);
  return WriteBundle(options, ids, place);
}

}  // namespace nucleus::front::compose
