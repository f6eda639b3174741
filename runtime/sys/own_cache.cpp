#include "runtime/sys/own_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "base/sha256.h"

namespace nucleus::sys {
namespace {

constexpr std::size_t kMostFiles = 64;
constexpr std::size_t kMaxFileBytes = std::size_t{4} << 20;

// The directory, if it is this user's alone.
Fd OpenDirectory(const std::string& path) {
  if (path.empty()) {
    return Fd{};
  }
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  Fd directory{::open(path.c_str(), kFlags)};
  if (!directory && errno == ENOENT) {
    if (::mkdir(path.c_str(), 0700) != 0 && errno == ENOENT) {
      // The runtime's own directory below /run, on the first container after boot.
      const std::string parent = path.substr(0, path.rfind('/'));
      if (::mkdir(parent.c_str(), 0700) == 0) {
        ::mkdir(path.c_str(), 0700);
      }
    }
    directory = Fd{::open(path.c_str(), kFlags)};
  }
  struct stat status{};
  if (directory && (::fstat(directory.get(), &status) != 0 || status.st_uid != ::geteuid() ||
                    (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)) {
    directory.Reset();
  }
  return directory;
}

// Only a name: what counts is the key in the file.
std::string Name(const std::string& key) {
  return Sha256Hex(key);
}

std::string Header(const std::string& key) {
  return std::to_string(key.size()) + "\n" + key;
}

// A file is a digest in hex, a newline, and what it is the digest of: the key's header and the content.
constexpr std::size_t kDigestSize = kSha256HexDigits;

// Empty where the bytes are not whole.
std::string_view Opened(std::string_view bytes) {
  if (bytes.size() <= kDigestSize || bytes[kDigestSize] != '\n' ||
      Sha256Hex(bytes.substr(kDigestSize + 1)) != bytes.substr(0, kDigestSize)) {
    return {};
  }
  return bytes.substr(kDigestSize + 1);
}

// A file that this user alone could write, under this one name.
bool IsOwn(int file, struct stat& status) {
  return ::fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == ::geteuid() &&
         (status.st_mode & (S_IRWXG | S_IRWXO)) == 0 && status.st_nlink == 1;
}

// What is kept comes and goes with images and policies: when there is much, all is let go, and what is in use comes
// back.
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

}  // namespace

OwnCache::OwnCache(const std::string& path) : directory_(OpenDirectory(path)) {
}

std::optional<std::string> OwnCache::Find(const std::string& key) const {
  const std::string name = Name(key);
  const Fd file{valid() ? ::openat(directory_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
                        : -1};
  struct stat status{};
  if (!file || !IsOwn(file.get(), status)) {
    return std::nullopt;
  }
  const Result<std::string> bytes = ReadAll(file.get(), status, kMaxFileBytes, name);
  const std::string_view content = bytes ? Opened(*bytes) : std::string_view{};
  const std::string header = Header(key);
  if (!content.starts_with(header)) {
    return std::nullopt;
  }
  return std::string{content.substr(header.size())};
}

// Without success nothing is lost but time.
void OwnCache::Keep(const std::string& key, std::string_view content) const {
  std::string whole = Header(key);
  whole += content;
  if (!valid() || whole.size() + kDigestSize >= kMaxFileBytes) {
    return;
  }
  MakeRoom(directory_.get());
  const std::string name = Name(key);
  const std::string temporary = "." + name + "." + std::to_string(::getpid());
  {
    const Fd file{
        ::openat(directory_.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!file || !WriteAll(file.get(), Sha256Hex(whole) + "\n" + whole, temporary)) {
      ::unlinkat(directory_.get(), temporary.c_str(), 0);
      return;
    }
  }
  if (::renameat(directory_.get(), temporary.c_str(), directory_.get(), name.c_str()) != 0) {
    ::unlinkat(directory_.get(), temporary.c_str(), 0);
  }
}

void OwnCache::Forget(const std::string& key) const {
  if (valid()) {
    ::unlinkat(directory_.get(), Name(key).c_str(), 0);
  }
}

}  // namespace nucleus::sys
