#include "front/compose/project.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <memory>

#include "base/sha256.h"
#include "front/sandbox/memory_directory.h"
#include "front/sandbox/tree.h"
#include "front/service/record.h"
#include "oci-config/members.h"

namespace nucleus::front::compose {
namespace {

constexpr std::size_t kMaxFile = std::size_t{1} << 20;
constexpr mode_t kPass = 0711;
constexpr mode_t kOwner = 0600;
constexpr std::size_t kSalt = 32;
constexpr const char* kNumbersFile = "numbers";
constexpr const char* kLockFile = "lock";
constexpr const char* kPrefix = "compose.";
constexpr const char* kEphemeral = "/volumes";

// Since Linux 6.3 (mount_setattr(2)). Each service has ids of its own, to which a volume's owner is mapped.
bool TmpfsTakesIdMappings() {
  struct utsname host{};
  int major = 0;
  int minor = 0;
  return ::uname(&host) == 0 && std::sscanf(host.release, "%d.%d", &major, &minor) == 2 &&
         std::pair{major, minor} >= std::pair{6, 3};
}

// Lines of NAME NUMBER. What is malformed is nobody's.
Numbers ReadNumbers(const std::string& path) {
  Numbers numbers;
  const std::string text = ReadFile(path, kMaxFile).value_or("");
  std::string_view rest{text};
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t space = line.find(' ');
    std::uint32_t number = 0;
    if (space != std::string_view::npos &&
        std::from_chars(line.data() + space + 1, line.data() + line.size(), number).ec == std::errc{}) {
      numbers.emplace(line.substr(0, space), number);
    }
  }
  return numbers;
}

// Of the other projects.
std::set<std::uint32_t> TakenNumbers(const std::string& own) {
  std::set<std::uint32_t> taken;
  const std::string parent = own.substr(0, own.rfind('/'));
  const std::unique_ptr<DIR, int (*)(DIR*)> stream{::opendir(parent.c_str()), ::closedir};
  while (const dirent* entry =
             stream ? ::readdir(stream.get()) : nullptr) {  // NOLINT(concurrency-mt-unsafe): one thread
    const std::string path = parent + "/" + entry->d_name;
    if (std::string_view{entry->d_name}.starts_with(kPrefix) && path != own) {
      for (const auto& [name, number] : ReadNumbers(path + "/" + kNumbersFile)) {
        taken.insert(number);
      }
    }
  }
  return taken;
}

Result<> WriteWhole(const std::string& path, std::string_view text) {
  const std::string draft = path + ".new";
  {
    const Fd file{::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, kOwner)};
    if (!file) {
      return std::unexpected(SysError("open", draft));
    }
    TRY(WriteAll(file.get(), text, draft));
  }
  return ::rename(draft.c_str(), path.c_str()) == 0 ? Result<>{} : std::unexpected(SysError("rename", path));
}

Result<> MakeParents(const std::string& path) {
  for (std::size_t end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    if (::mkdir(path.substr(0, end).c_str(), kPass) != 0 && errno != EEXIST) {
      return std::unexpected(SysError("mkdir", path.substr(0, end)));
    }
  }
  return {};
}

}  // namespace

Numbers AssignNumbers(const std::string& project, const std::set<std::string>& services, const Numbers& known,
                      const std::set<std::uint32_t>& taken) {
  constexpr std::uint32_t kCount = oci::kLastMember - oci::kFirstMember + 1;
  Numbers numbers;
  std::set<std::uint32_t> used = taken;
  for (const std::string& service : services) {
    if (const auto found = known.find(service); found != known.end() && used.insert(found->second).second) {
      numbers.emplace(service, found->second);
    }
  }
  for (const std::string& service : services) {
    if (numbers.contains(service)) {
      continue;
    }
    std::uint32_t start = 0;
    const std::string digest = Sha256Hex(project + "/" + service);
    constexpr std::size_t kDigits = 7;
    std::from_chars(digest.data(), digest.data() + kDigits, start, 16);
    for (std::uint32_t i = 0; i < kCount; ++i) {
      const std::uint32_t number = oci::kFirstMember + (start + i) % kCount;
      if (used.insert(number).second) {
        numbers.emplace(service, number);
        break;
      }
    }
  }
  return numbers;
}

Result<Project> Project::Find(const Globals& globals, const std::string& name) {
  Project project;
  project.name_ = name;
  project.directory_ = TRY(MemoryDirectory()) + "/" + kPrefix + name;
  if (!globals.default_root) {
    constexpr std::size_t kDigits = 8;
    project.directory_ += "." + Sha256Hex(globals.root).substr(0, kDigits);
  }
  // Beside the services': their logs and states are there.
  const std::string services = TRY(ServicesDirectory(globals));
  const std::string beside = services.substr(0, services.size() - std::string_view{"services"}.size());
  project.volumes_ = beside + "volumes/" + name;
  project.ephemeral_ = ::geteuid() != 0 || TmpfsTakesIdMappings() ? project.directory_ + kEphemeral
                                                                  : beside + "volumes/.ephemeral/" + name;
  return project;
}

Result<> Project::Lock() {
  for (;;) {
    if (::mkdir(directory_.c_str(), kPass) != 0 && errno != EEXIST) {
      return std::unexpected(SysError("mkdir", directory_));
    }
    const std::string path = directory_ + "/" + kLockFile;
    Fd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, kOwner)};
    if (!fd) {
      if (errno == ENOENT) {
        continue;  // another one's `down`
      }
      return std::unexpected(SysError("open", path));
    }
    // Of this process alone: what it starts lives on.
    struct flock wanted{};
    wanted.l_type = F_WRLCK;
    wanted.l_whence = SEEK_SET;
    if (::fcntl(fd.get(), F_SETLK, &wanted) != 0) {
      return errno == EAGAIN || errno == EACCES
                 ? std::unexpected(Failure(name_ + ": another command is at work on it", EBUSY))
                 : std::unexpected(SysError("lock", path));
    }
    struct stat here{};
    struct stat there{};
    if (::fstat(fd.get(), &here) == 0 && ::stat(path.c_str(), &there) == 0 && here.st_ino == there.st_ino &&
        here.st_dev == there.st_dev) {
      lock_ = std::move(fd);
      return {};
    }
  }
}

std::string Project::VolumePath(const std::string& volume, bool persistent) const {
  return (persistent ? volumes_ : ephemeral_) + "/" + volume;
}

Result<Numbers> Project::NumbersOf(const Topology& topology) const {
  std::set<std::string> services;
  for (const auto& [name, service] : topology.services) {
    if (!service.networks.empty()) {
      services.insert(name);
    }
  }
  return AssignNumbers(name_, services, ReadNumbers(directory_ + "/" + kNumbersFile), TakenNumbers(directory_));
}

Result<> Project::KeepNumbers(const Numbers& numbers) const {
  std::string text;
  for (const auto& [name, number] : numbers) {
    text += name + " " + std::to_string(number) + "\n";
  }
  return WriteWhole(directory_ + "/" + kNumbersFile, text);
}

Result<std::string> Project::Salt() const {
  const std::string path = directory_ + "/salt";
  if (Result<std::string> salt = ReadFile(path, kSalt); salt && salt->size() == kSalt) {
    return salt;
  }
  std::string salt(kSalt, '\0');
  if (::getrandom(salt.data(), salt.size(), 0) != static_cast<ssize_t>(salt.size())) {
    return std::unexpected(SysError("getrandom", ""));
  }
  if (lock_) {
    TRY(WriteWhole(path, salt));
  }
  return salt;
}

Result<> Project::MakeVolumes(const Topology& topology) const {
  // What a project has left that went with its directory in memory, at a reboot.
  const std::string made_before = directory_ + kEphemeral;
  if (::mkdir(made_before.c_str(), kPass) == 0) {
    TRY(made_before == ephemeral_ ? Result<>{} : RemoveTree(ephemeral_));
  } else if (errno != EEXIST) {
    return std::unexpected(SysError("mkdir", made_before));
  }
  for (const auto& [name, volume] : topology.volumes) {
    const std::string path = VolumePath(name, volume.persistent);
    TRY(MakeParents(path));
    constexpr mode_t kMode = 0700;
    const bool made = ::mkdir(path.c_str(), kMode) == 0;
    if (!made && errno != EEXIST) {
      return std::unexpected(SysError("mkdir", path));
    }
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) {
      return std::unexpected(SysError("stat", path));
    }
    const auto owner = volume.owner.value_or(std::pair{status.st_uid, status.st_gid});
    if (made && volume.owner && ::lchown(path.c_str(), owner.first, owner.second) != 0) {
      const Error error = SysError(volume.at.key + ".owner: chown", path);
      (void)::rmdir(path.c_str());
      return std::unexpected(error);
    }
    if (!made && (!S_ISDIR(status.st_mode) || std::pair{status.st_uid, status.st_gid} != owner)) {
      return std::unexpected(Failure(volume.at.key + ": " + path + " is there and is not a directory of " +
                                         std::to_string(owner.first) + ":" + std::to_string(owner.second),
                                     EEXIST));
    }
  }
  return {};
}

Result<> Project::RemoveVolumes() const {
  return RemoveTree(volumes_);
}

Result<> Project::Remove() {
  // Under a name that is nobody's: what is half removed is no project.
  const std::string gone = directory_ + ".gone-" + std::to_string(::getpid());
  if (::rename(directory_.c_str(), gone.c_str()) != 0) {
    return errno == ENOENT ? Result<>{} : std::unexpected(SysError("rename", directory_));
  }
  // One that cannot be removed keeps nothing of the other.
  const Result<> volumes = RemoveTree(ephemeral_);
  lock_.Reset();
  const Result<> removed = RemoveTree(gone);
  return volumes ? removed : volumes;
}

}  // namespace nucleus::front::compose
