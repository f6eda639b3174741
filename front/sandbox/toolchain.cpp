#include "front/sandbox/toolchain.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/sha256.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMaxFile = std::size_t{4} << 20;

// A link of the host's stays one: on a merged /usr these lead there.
constexpr auto kPrograms = std::to_array<const char*>({"usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"});

// Of /etc what compilers, interpreters and TLS look for. Nothing that has a secret on some host: no shadow, no ssh, no
// configuration of pip, npm or git, where tokens are.
constexpr auto kFiles = std::to_array<const char*>(
    {"ld.so.cache", "ssl/openssl.cnf", "mime.types", "services", "protocols", "localtime", "timezone", "host.conf",
     "gai.conf", "bash.bashrc", "inputrc", "locale.alias", "magic", "debian_version", "os-release"});
constexpr auto kDirectories =
    std::to_array<const char*>({"alternatives", "ssl/certs", "pki/tls/certs", "pki/ca-trust/extracted",
                                "crypto-policies", "java-11-openjdk", "java-17-openjdk", "java-21-openjdk"});
// NixOS has little more than a shell in the above.
constexpr auto kNixos = std::to_array<const char*>({"run/current-system", "nix/store", "etc/static"});

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

// The files as the container sees them, by what tells one version from another.
class Description {
 public:
  explicit Description(Toolchain& toolchain) : toolchain_(toolchain) {
  }

  // A link, a directory to mount or, with `copy`, a file. Nothing where the host has none.
  void Add(const std::string& path, bool copy) {
    struct stat status{};
    if (::lstat(("/" + path).c_str(), &status) != 0) {
      return;
    }
    if (S_ISLNK(status.st_mode)) {
      toolchain_.links.push_back(path);
    } else if (S_ISDIR(status.st_mode) && !copy) {
      toolchain_.mounts.push_back(ReadOnly(path));
    } else if (S_ISREG(status.st_mode) && copy) {
      toolchain_.copies.push_back(path);
    } else {
      return;
    }
    text_ += path + " " + std::to_string(status.st_mode) + " " + std::to_string(status.st_dev) + " " +
             std::to_string(status.st_ino) + " " + std::to_string(status.st_size) + " " +
             std::to_string(status.st_ctim.tv_sec) + "." + std::to_string(status.st_ctim.tv_nsec) + "\n";
  }
  void Write(const std::string& path, const std::string& text) {
    toolchain_.written.emplace_back(path, text);
    text_ += path + " " + std::to_string(text.size()) + " " + text + "\n";
  }
  [[nodiscard]] std::string Key() const {
    return Sha256Hex(text_);
  }

 private:
  Toolchain& toolchain_;
  std::string text_ = "2\n";  // the form of the tree
};

void Accounts(const Ids& ids, Description& description) {
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
  description.Write("etc/passwd", passwd + "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
  description.Write("etc/group", group + "nogroup:x:65534:\n");
}

}  // namespace

Result<Toolchain> DescribeToolchain(const Ids& ids, const std::string& hostname) {
  Toolchain toolchain;
  Description description{toolchain};
  for (const char* path : kPrograms) {
    description.Add(path, false);
  }
  if (::access("/run/current-system", F_OK) == 0) {
    for (const char* path : kNixos) {
      description.Add(path, false);
    }
  }
  for (const char* name : kFiles) {
    description.Add(std::string{"etc/"} + name, true);
  }
  for (const char* name : kDirectories) {
    description.Add(std::string{"etc/"} + name, false);
  }
  Accounts(ids, description);
  description.Write("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n127.0.1.1 " + hostname + "\n");
  description.Write("etc/hostname", hostname + "\n");
  description.Write("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
  description.Write("etc/resolv.conf", "");  // the gate's place, where names are allowed
  toolchain.key = description.Key();
  return toolchain;
}

Result<> MakeToolchain(const Toolchain& toolchain, const std::string& root) {
  const Fd directory = TRY(sys::Open(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  const Tree tree{directory.get()};
  for (const std::string& path : toolchain.links) {
    TRY(tree.SameLink(path));
  }
  for (const std::string& path : toolchain.copies) {
    TRY(tree.SameFile(path));
  }
  for (const auto& [path, text] : toolchain.written) {
    TRY(tree.File(path, text));
  }
  TRY(tree.Directory("var"));
  TRY(tree.Link("var/tmp", "/tmp"));
  TRY(tree.Link("var/run", "/run"));
  TRY(tree.Directory("run/notify"));  // create's, where a service manager waits
  TRY(tree.Directory("root"));
  return {};
}

}  // namespace nucleus::front
