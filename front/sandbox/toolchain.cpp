#include "front/sandbox/toolchain.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "runtime/sys/syscalls.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMaxFile = std::size_t{4} << 20;

// A link of the host's stays one: on a merged /usr these lead there.
constexpr auto kPrograms = std::to_array<const char*>(
    {"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "nix/store", "run/current-system"});

// Of /etc what compilers, interpreters and TLS look for. Nothing that has a secret on some host: no shadow, no ssh, no
// configuration of pip, npm or git, where tokens are.
constexpr auto kFiles = std::to_array<const char*>(
    {"ld.so.cache", "ssl/openssl.cnf", "mime.types", "services", "protocols", "localtime", "timezone", "host.conf",
     "gai.conf", "bash.bashrc", "inputrc", "locale.alias", "magic", "debian_version", "os-release"});
constexpr auto kDirectories = std::to_array<const char*>(
    {"alternatives", "ssl/certs", "pki/tls/certs", "pki/ca-trust/extracted", "crypto-policies", "fonts", "perl",
     "terminfo", "java-11-openjdk", "java-17-openjdk", "java-21-openjdk", "static"});

// The tree is this process's own until the container has it: plain paths below it are safe.
class Tree {
 public:
  explicit Tree(int root) : root_(root) {
  }

  [[nodiscard]] Result<> Directory(const std::string& path) const {
    for (std::size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
      TRY(One(path.substr(0, end)));
    }
    return One(path);
  }
  [[nodiscard]] Result<> Link(const std::string& path, const std::string& target) const {
    TRY(Parent(path));
    if (::symlinkat(target.c_str(), root_, path.c_str()) != 0) {
      return std::unexpected(SysError("symlink", path));
    }
    return {};
  }
  [[nodiscard]] Result<> File(const std::string& path, std::string_view text) const {
    TRY(Parent(path));
    constexpr mode_t kMode = 0644;
    const Fd file{::openat(root_, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kMode)};
    if (!file) {
      return std::unexpected(SysError("open", path));
    }
    return WriteAll(file.get(), text, path);
  }
  // As the host has it.
  [[nodiscard]] Result<> SameLink(const std::string& path) const {
    return Link(path, TRY(sys::ReadLinkAt(AT_FDCWD, "/" + path)));
  }
  [[nodiscard]] Result<> SameFile(const std::string& path) const {
    return File(path, TRY(ReadFile("/" + path, kMaxFile)));
  }

 private:
  [[nodiscard]] Result<> One(const std::string& path) const {
    constexpr mode_t kMode = 0755;
    if (::mkdirat(root_, path.c_str(), kMode) != 0 && errno != EEXIST) {
      return std::unexpected(SysError("mkdir", path));
    }
    return {};
  }
  [[nodiscard]] Result<> Parent(const std::string& path) const {
    const std::size_t slash = path.rfind('/');
    return slash == std::string::npos ? Result<>{} : Directory(path.substr(0, slash));
  }
  int root_;
};

SandboxMount ReadOnly(const std::string& path) {
  return {
      .destination = "/" + path, .type = "bind", .source = "/" + path, .options = {"bind", "ro", "nosuid", "nodev"}};
}

Result<> Etc(const Tree& tree, const Ids& ids, const std::string& hostname, std::vector<SandboxMount>& mounts) {
  for (const char* name : kFiles) {
    const std::string path = std::string{"etc/"} + name;
    struct stat status{};
    if (::lstat(("/" + path).c_str(), &status) != 0) {
      continue;
    }
    if (S_ISLNK(status.st_mode)) {
      TRY(tree.SameLink(path));
    } else if (S_ISREG(status.st_mode)) {
      TRY(tree.SameFile(path));
    }
  }
  for (const char* name : kDirectories) {
    const std::string path = std::string{"etc/"} + name;
    struct stat status{};
    if (::stat(("/" + path).c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
      mounts.push_back(ReadOnly(path));
    }
  }
  const std::string uid = std::to_string(ids.uid);
  const std::string gid = std::to_string(ids.gid);
  std::string passwd = "root:x:0:0:root:/root:/bin/sh\n";
  std::string group = "root:x:0:\ntty:x:5:\n";
  if (ids.uid != 0) {
    passwd += "user:x:" + uid + ":" + gid + "::" + kHome + ":/bin/bash\n";
  } else {
    passwd = "root:x:0:" + gid + "::" + std::string{kHome} + ":/bin/bash\n";
  }
  if (ids.gid != 0) {
    group += "user:x:" + gid + ":\n";
  }
  TRY(tree.File("etc/passwd", passwd + "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"));
  TRY(tree.File("etc/group", group + "nogroup:x:65534:\n"));
  TRY(tree.File("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 " + hostname + "\n"));
  TRY(tree.File("etc/hostname", hostname + "\n"));
  TRY(tree.File("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"));
  TRY(tree.File("etc/resolv.conf", ""));  // the gate's place, where names are allowed
  return {};
}

}  // namespace

Result<std::vector<SandboxMount>> MakeToolchain(const std::string& root, const Ids& ids, const std::string& hostname) {
  const Fd directory = TRY(sys::Open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  const Tree tree{directory.get()};
  std::vector<SandboxMount> mounts;
  for (const std::string path : kPrograms) {
    struct stat status{};
    if (::lstat(("/" + path).c_str(), &status) != 0) {
      continue;
    }
    if (S_ISLNK(status.st_mode)) {
      TRY(tree.SameLink(path));
    } else if (S_ISDIR(status.st_mode)) {
      mounts.push_back(ReadOnly(path));
    }
  }
  TRY(Etc(tree, ids, hostname, mounts));
  TRY(tree.Directory("var"));
  TRY(tree.Link("var/tmp", "/tmp"));
  TRY(tree.Link("var/run", "/run"));
  TRY(tree.Directory("run"));
  TRY(tree.Directory("root"));
  return mounts;
}

}  // namespace nucleus::front
