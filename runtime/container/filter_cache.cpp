#include "runtime/container/filter_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>

#include "base/fd.h"
#include "base/sha256.h"
#include "runtime/container/filter_file.h"
#include "runtime/container/host.h"

namespace nucleus::container {
namespace {

constexpr std::size_t kMostFiles = 64;
constexpr std::size_t kMaxFileBytes = std::size_t{4} << 20;
// Raised when the code that compiles changes what it makes of a profile.
constexpr int kCompilerVersion = 1;

// Fields are ended by characters that no name can hold.
void Add(std::string& key, const std::string& text) {
  key += text;
  key += '\n';
}

template <class T>
void AddNumber(std::string& key, T number) {
  key += std::to_string(static_cast<std::uint64_t>(number));
  key += ' ';
}

void AddErrno(std::string& key, const std::optional<std::uint32_t>& value) {
  key += value ? std::to_string(*value) : "-";
  key += ' ';
}

// The directory, if it is this user's alone.
Fd OpenDirectory(const std::string& path) {
  if (path.empty()) {
    return Fd{};
  }
  if (::mkdir(path.c_str(), 0700) != 0 && errno == ENOENT) {
    // The runtime's own directory below /run, on the first container after boot.
    const std::string parent = path.substr(0, path.rfind('/'));
    if (::mkdir(parent.c_str(), 0700) == 0) {
      ::mkdir(path.c_str(), 0700);
    }
  }
  Fd directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  struct stat status{};
  if (directory && (::fstat(directory.get(), &status) != 0 || status.st_uid != ::geteuid() ||
                    (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)) {
    directory.Reset();
  }
  return directory;
}

std::string Header(const std::string& key) {
  return std::to_string(key.size()) + "\n" + key;
}

// A file is a digest in hex, a newline, and what it is the digest of: the key's header and the filter.
constexpr std::size_t kDigestSize = 64;

std::string Sealed(const std::string& content) {
  return Sha256Hex(content) + "\n" + content;
}

// Empty where the bytes are not whole.
std::string_view Opened(std::string_view bytes) {
  if (bytes.size() <= kDigestSize || bytes[kDigestSize] != '\n' ||
      Sha256Hex(bytes.substr(kDigestSize + 1)) != bytes.substr(0, kDigestSize)) {
    return {};
  }
  return bytes.substr(kDigestSize + 1);
}

// A file that this user alone could write, under this one name.
bool IsOwn(int file) {
  struct stat status{};
  return ::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid() &&
         (status.st_mode & (S_IRWXG | S_IRWXO)) == 0 && status.st_nlink == 1;
}

std::optional<confine::SeccompProgram> Load(int directory, const std::string& name, const std::string& key) {
  const Fd file{::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
  if (!file || !IsOwn(file.get())) {
    return std::nullopt;
  }
  const Result<std::string> bytes = ReadAll(file.get(), kMaxFileBytes, name);
  const std::string_view content = bytes ? Opened(*bytes) : std::string_view{};
  const std::string header = Header(key);
  if (!content.starts_with(header)) {
    return std::nullopt;
  }
  Result<confine::SeccompProgram> program = ParseFilter(content.substr(header.size()), name);
  return program ? std::optional{std::move(*program)} : std::nullopt;
}

// Profiles come and go with their images: when there are many, all are let go, and those in use come back.
void MakeRoom(int directory) {
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> list{copy >= 0 ? ::fdopendir(copy) : nullptr, ::closedir};
  std::vector<std::string> names;
  while (const dirent* entry = list ? ::readdir(list.get()) : nullptr) {
    if (entry->d_name[0] != '.') {
      names.emplace_back(entry->d_name);
    }
  }
  if (names.size() >= kMostFiles) {
    for (const std::string& name : names) {
      ::unlinkat(directory, name.c_str(), 0);
    }
  }
}

// Without success nothing is lost but time.
void Keep(int directory, const std::string& name, const std::string& key, const confine::SeccompProgram& program) {
  MakeRoom(directory);
  const std::string temporary = "." + name + "." + std::to_string(::getpid());
  {
    const Fd file{::openat(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file || !WriteAll(file.get(), Sealed(Header(key) + FormatFilter(program)), temporary)) {
      ::unlinkat(directory, temporary.c_str(), 0);
      return;
    }
  }
  if (::renameat(directory, temporary.c_str(), directory, name.c_str()) != 0) {
    ::unlinkat(directory, temporary.c_str(), 0);
  }
}

}  // namespace

std::string FilterKey(const oci::Seccomp& seccomp) {
  std::string key;
  const scmp_version* library = ::seccomp_version();
  for (const unsigned part : {library->major, library->minor, library->micro}) {
    AddNumber(key, part);
  }
  AddNumber(key, kCompilerVersion);
  AddNumber(key, seccomp.default_action);
  AddErrno(key, seccomp.default_errno_ret);
  AddNumber(key, seccomp.architectures.size());
  for (const std::string& architecture : seccomp.architectures) {
    Add(key, architecture);
  }
  key += seccomp.flags ? "flags " : "no flags ";
  for (const oci::SeccompFlag flag : seccomp.flags.value_or(std::vector<oci::SeccompFlag>{})) {
    AddNumber(key, flag);
  }
  for (const oci::SeccompSyscall& rule : seccomp.syscalls) {
    key += "\nrule ";
    AddNumber(key, rule.action);
    AddErrno(key, rule.errno_ret);
    for (const oci::SeccompArg& arg : rule.args) {
      key += "arg ";
      AddNumber(key, arg.index);
      AddNumber(key, arg.op);
      AddNumber(key, arg.value);
      AddNumber(key, arg.value_two);
    }
    AddNumber(key, rule.names.size());
    for (const std::string& name : rule.names) {
      // A name is the profile's: its length keeps it from passing for something else.
      AddNumber(key, name.size());
      Add(key, name);
    }
  }
  return key;
}

Result<confine::SeccompProgram> CompileCached(const std::string& directory, const oci::Seccomp& seccomp) {
  const Fd cache = OpenDirectory(directory);
  if (!cache) {
    return confine::CompileSeccomp(seccomp);
  }
  const std::string key = FilterKey(seccomp);
  // Only a name: what counts is the key in the file.
  const std::string name = Sha256Hex(key);
  if (std::optional<confine::SeccompProgram> kept = Load(cache.get(), name, key)) {
    return std::move(*kept);
  }
  confine::SeccompProgram program = TRY(confine::CompileSeccomp(seccomp));
  Keep(cache.get(), name, key, program);
  return program;
}

std::string FilterCacheDirectory() {
  // The comma keeps it from being a container's name where this is also the root of the state.
  const std::string runtime_dir = UsersRuntimeDir();
  if (runtime_dir.empty()) {
    return ::geteuid() == 0 ? "/run/nucleus/seccomp,cache" : "";
  }
  return runtime_dir + "/nucleus/seccomp,cache";
}

}  // namespace nucleus::container
