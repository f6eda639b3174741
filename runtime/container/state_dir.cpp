#include "runtime/container/state_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "oci-config/parse.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::container {
namespace {

constexpr std::size_t kMaxStateBytes = std::size_t{1} << 20;

// The last parsed config of this process: `run` creates, starts and deletes in one go.
struct Remembered {
  std::string path;
  std::shared_ptr<const oci::Spec> spec;
};

Remembered& LastSpec() {
  static Remembered last;
  return last;
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
  Result<Fd> fd = sys::Open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  if (!fd) {
    ::rmdir(path.c_str());
    return std::unexpected(fd.error());
  }
  StateDir directory{path, std::move(*fd)};
  if (Result<> locked = directory.Lock(); !locked) {
    ::rmdir(path.c_str());
    return std::unexpected(locked.error());
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
  static constexpr std::array<const char*, 8> kFiles = {kStateFile,         kConfigFile,       kStartSocket,
                                                        kFilterFile,        ".state.json.new", ".config.json.new",
                                                        ".seccomp.bpf.new", "notify.sock"};
  for (const char* file : kFiles) {
    if (::unlinkat(fd_.get(), file, 0) != 0 && errno != ENOENT) {
      return std::unexpected(SysError("unlink", path_ + "/" + file));
    }
  }
  if (::rmdir(path_.c_str()) != 0 && errno != ENOENT) {
    return std::unexpected(SysError("rmdir", path_));
  }
  if (LastSpec().path == path_) {
    LastSpec() = {};
  }
  return {};
}

}  // namespace nucleus::container
