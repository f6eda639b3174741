#include "runtime/container/state_dir.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "oci-config/parse.h"
#include "runtime/container/ready_proxy.h"
#include "runtime/evidence/event_log.h"
#include "runtime/net/request.h"
#include "runtime/sys/fault.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

constexpr std::size_t kMaxStateBytes = std::size_t{1} << 20;

// The last parsed config of this process: `run` creates, starts and deletes in one go.
struct Remembered {
  std::string path;
  std::shared_ptr<const oci::Spec> spec;
};

// And the files that it has written there beside the usual ones.
struct Written {
  std::string path;
  std::vector<std::string> names;
};

Written& LastFiles() {
  static Written last;
  return last;
}

Remembered& LastSpec() {
  static Remembered last;
  return last;
}

constexpr auto kUsual = std::to_array<std::string_view>({kStateFile, kConfigFile, kStartSocket});

void NoteFile(const std::string& path, std::string_view name) {
  if (std::ranges::find(kUsual, name) != kUsual.end()) {
    return;
  }
  Written& last = LastFiles();
  if (last.path != path) {
    last = {.path = path, .names = {}};
  }
  if (std::ranges::find(last.names, name) == last.names.end()) {
    last.names.emplace_back(name);
  }
}

Result<> MakeRoot(const std::string& root) {
  for (std::size_t slash = 1; slash != std::string::npos;) {
    slash = root.find('/', slash);
    const std::string part = root.substr(0, slash);
    if (slash != std::string::npos) {
      ++slash;
    }
    const mode_t mode = slash == std::string::npos ? 0700 : 0711;
    if (::mkdir(part.c_str(), mode) != 0 && errno != EEXIST) {
      return std::unexpected(SysError("mkdir", part));
    }
  }
  return {};
}

// The names in a directory, "." and ".." left out.
Result<std::vector<std::string>> ListNames(int directory, const std::string& path) {
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* stream = copy < 0 ? nullptr : ::fdopendir(copy);
  if (stream == nullptr) {
    return std::unexpected(SysError("open", path));
  }
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name{entry->d_name};
    if (name != "." && name != "..") {
      names.emplace_back(name);
    }
  }
  ::closedir(stream);
  return names;
}

// Removes a directory and what is in it, following no link. What lies deeper is first moved up, so that however deep it
// goes, two descriptors and no recursion will do.
Result<> RemoveTree(int parent, const char* name, const std::string& path) {
  const Fd top{::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!top) {
    return errno == ENOENT ? Result<>{} : std::unexpected(SysError("open", path));
  }
  unsigned moved = 0;
  for (std::vector<std::string> names = TRY(ListNames(top.get(), path)); !names.empty();
       names = TRY(ListNames(top.get(), path))) {
    for (const std::string& entry : names) {
      if (::unlinkat(top.get(), entry.c_str(), 0) == 0) {
        continue;
      }
      const Fd inner{::openat(top.get(), entry.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
      if (!inner) {
        return std::unexpected(SysError("remove", path + "/" + entry));
      }
      for (const std::string& below : TRY(ListNames(inner.get(), path + "/" + entry))) {
        if (::unlinkat(inner.get(), below.c_str(), 0) != 0) {
          std::string free;
          do {
            free = "moved-" + std::to_string(moved++);
          } while (::faccessat(top.get(), free.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0);
          if (::renameat(inner.get(), below.c_str(), top.get(), free.c_str()) != 0) {
            return std::unexpected(SysError("remove", path + "/" + entry + "/" + below));
          }
        }
      }
      if (::unlinkat(top.get(), entry.c_str(), AT_REMOVEDIR) != 0) {
        return std::unexpected(SysError("rmdir", path + "/" + entry));
      }
    }
  }
  return ::unlinkat(parent, name, AT_REMOVEDIR) == 0 ? Result<>{} : std::unexpected(SysError("rmdir", path));
}

Result<Fd> OpenMade(const std::string& path) {
  FAULT_POINT("create.state-open");
  return sys::Open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

}  // namespace

Result<StateDir> StateDir::Make(const std::string& root, const std::string& id) {
  const std::string path = root + "/" + id;
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == ENOENT) {
      TRY(MakeRoot(root));
      if (::mkdir(path.c_str(), 0700) == 0) {
        errno = 0;
      }
    }
    if (errno == EEXIST) {
      return std::unexpected(Failure("container with given ID already exists", EEXIST));
    }
    if (errno != 0) {
      return std::unexpected(SysError("mkdir", path));
    }
  }
  Result<Fd> fd = OpenMade(path);
  if (!fd) {
    ::rmdir(path.c_str());
    return std::unexpected(fd.error());
  }
  StateDir directory{path, std::move(*fd)};
  if (Result<> locked = directory.LockMade(); !locked) {
    ::rmdir(path.c_str());
    return std::unexpected(locked.error());
  }
  // Until there was a lock a `delete --force` could take it away, and another create make it anew and fill it: with two
  // inits there would be one that no state names.
  if (!directory.IsAtItsPath() || !TRY(ListNames(directory.fd(), path)).empty()) {
    return std::unexpected(Failure("container with given ID already exists", EEXIST));
  }
  return directory;
}

Result<StateDir> StateDir::Open(const std::string& root, const std::string& id) {
  const std::string path = root + "/" + id;
  Result<Fd> fd = sys::Open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!fd) {
    if (fd.error().code == ENOENT) {
      return std::unexpected(Failure("container does not exist", ENOENT));
    }
    return std::unexpected(fd.error());
  }
  return StateDir{path, std::move(*fd)};
}

Result<> StateDir::Lock() {
  while (::flock(fd_.get(), LOCK_EX) != 0) {
    if (errno != EINTR) {
      return std::unexpected(SysError("lock", path_));
    }
  }
  return {};
}

Result<> StateDir::LockMade() {
  FAULT_POINT("create.state-lock");
  return Lock();
}

bool StateDir::IsAtItsPath() const {
  struct stat held{};
  struct stat named{};
  return ::fstat(fd_.get(), &held) == 0 && ::lstat(path_.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

Result<std::string> StateDir::ReadFile(const char* name) const {
  const std::string path = path_ + "/" + name;
  const Fd file{::openat(fd_.get(), name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  if (!file) {
    return std::unexpected(SysError("open", path));
  }
  return ReadAll(file.get(), oci::kMaxConfigBytes, path);
}

Result<oci::State> StateDir::ReadState() const {
  const Result<std::string> text = ReadFile(kStateFile);
  if (!text) {
    if (text.error().code == ENOENT) {
      return std::unexpected(Failure("container does not exist", ENOENT));
    }
    return std::unexpected(text.error());
  }
  if (text->size() > kMaxStateBytes) {
    return std::unexpected(SysError("read", path_ + "/" + kStateFile, EFBIG));
  }
  return oci::ParseState(*text, path_ + "/" + kStateFile);
}

Result<> StateDir::WriteFile(const char* name, std::string_view bytes) const {
  NoteFile(path_, name);
  const std::string temporary = std::string{"."} + name + ".new";
  const std::string path = path_ + "/" + name;
  Fd file{::openat(fd_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!file) {
    return std::unexpected(SysError("create", path));
  }
  TRY(WriteAll(file.get(), bytes, path));
  if (::renameat(fd_.get(), temporary.c_str(), fd_.get(), name) != 0) {
    return std::unexpected(SysError("rename", path));
  }
  return {};
}

Result<> StateDir::WriteNew(const char* name, std::string_view bytes) const {
  NoteFile(path_, name);
  const Fd file{::openat(fd_.get(), name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!file) {
    return std::unexpected(SysError("create", path_ + "/" + name));
  }
  return WriteAll(file.get(), bytes, path_ + "/" + name);
}

Result<> StateDir::MakeDirectory(const char* name) const {
  if (::mkdirat(fd_.get(), name, 0755) != 0 || ::fchmodat(fd_.get(), name, 0755, 0) != 0) {
    return std::unexpected(SysError("mkdir", path_ + "/" + name));
  }
  return {};
}

Result<> StateDir::WriteState(const oci::State& state) const {
  return WriteFile(kStateFile, oci::FormatState(state));
}

Result<std::shared_ptr<const oci::Spec>> StateDir::ReadSpec() const {
  if (LastSpec().path == path_) {
    return LastSpec().spec;
  }
  const std::string text = TRY(ReadFile(kConfigFile));
  auto spec = std::make_shared<const oci::Spec>(TRY(oci::ParseSpec(text, path_ + "/" + kConfigFile)));
  RememberSpec(spec);
  return std::shared_ptr<const oci::Spec>{spec};
}

void StateDir::RememberSpec(std::shared_ptr<const oci::Spec> spec) const {
  LastSpec() = {.path = path_, .spec = std::move(spec)};
}

Result<> StateDir::Remove() {
  static constexpr auto kOthers = std::to_array<std::string_view>({kFilterFile,           kPoliciesFile,
                                                                   kTraceSocket,          ".state.json.new",
                                                                   ".config.json.new",    ".seccomp.bpf.new",
                                                                   "seccomp.policy",      ".seccomp.policy.new",
                                                                   "capabilities.policy", ".capabilities.policy.new",
                                                                   "landlock.policy",     ".landlock.policy.new",
                                                                   "egress.policy",       ".egress.policy.new",
                                                                   evidence::kChainFile,  net::kNetSocket,
                                                                   net::kRefusedFile,     net::kRefusedOldFile,
                                                                   net::kResolvConf,      ".resolv.conf.new",
                                                                   net::kBrokerToken,     ".broker-token.new",
                                                                   kHealthFile,           ".health.new"});
  const auto remove = [this](const char* file) -> Result<> {
    if (::unlinkat(fd_.get(), file, 0) != 0 && errno != ENOENT) {
      return std::unexpected(SysError("unlink", path_ + "/" + file));
    }
    return {};
  };
  FAULT_POINT("remove.files");
  for (const std::string_view file : kUsual) {
    TRY(remove(file.data()));
  }
  if (LastFiles().path == path_) {
    for (const std::string& file : LastFiles().names) {
      TRY(remove(file.c_str()));
    }
    LastFiles() = {};
  }
  FAULT_POINT("remove.directory");
  // Taken away by somebody else while this command waited for the lock: what the path names now is not this one's.
  if (!IsAtItsPath()) {
    return {};
  }
  if (::rmdir(path_.c_str()) != 0 && errno != ENOENT) {
    if (errno != ENOTEMPTY) {
      return std::unexpected(SysError("rmdir", path_));
    }
    // Those that are there: most containers have few of them.
    for (const std::string& name : TRY(ListNames(fd_.get(), path_))) {
      if (std::ranges::find(kOthers, name) != kOthers.end()) {
        TRY(remove(name.c_str()));
      }
    }
    TRY(RemoveTree(fd_.get(), kNotifyDirectory, path_ + "/" + kNotifyDirectory));
    TRY(RemoveTree(fd_.get(), kGvisorDirectory, path_ + "/" + kGvisorDirectory));
    if (::rmdir(path_.c_str()) != 0 && errno != ENOENT) {
      return std::unexpected(SysError("rmdir", path_));
    }
  }
  if (LastSpec().path == path_) {
    LastSpec() = {};
  }
  return {};
}

}  // namespace nucleus::container
