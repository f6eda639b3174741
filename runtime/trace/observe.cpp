#include "runtime/trace/observe.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstddef>
#include <cstring>
#include <initializer_list>

#include "base/fd.h"
#include "base/json_writer.h"

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

namespace nucleus::trace {
namespace {

#ifdef __x86_64__
constexpr std::uint32_t kNativeArchitecture = AUDIT_ARCH_X86_64;
#else
constexpr std::uint32_t kNativeArchitecture = AUDIT_ARCH_AARCH64;
#endif

std::string Proc(pid_t thread, const std::string& name) {
  return "/proc/" + std::to_string(thread) + "/" + name;
}

std::string Link(const std::string& path) {
  std::array<char, PATH_MAX> text{};
  const ssize_t size = ::readlink(path.c_str(), text.data(), text.size());
  return size <= 0 ? std::string{} : std::string{text.data(), static_cast<std::size_t>(size)};
}

// As the kernel names the program: at most 15 bytes, and whatever the program likes.
std::string Program(pid_t thread) {
  const Fd file{::open(Proc(thread, "comm").c_str(), O_RDONLY | O_CLOEXEC)};
  std::array<char, 32> text{};
  const ssize_t size = file ? ::read(file.get(), text.data(), text.size()) : 0;
  std::string name{text.data(), static_cast<std::size_t>(std::max<ssize_t>(size, 0))};
  while (!name.empty() && name.back() == '\n') {
    name.pop_back();
  }
  return name;
}

bool ReadMemory(pid_t thread, std::uint64_t from, void* to, std::size_t size) {
  const iovec local{.iov_base = to, .iov_len = size};
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address of another process
  const iovec remote{.iov_base = reinterpret_cast<void*>(from), .iov_len = size};
  return ::process_vm_readv(thread, &local, 1, &remote, 1, 0) == static_cast<ssize_t>(size);
}

// A string ends anywhere before the end of a page; the page behind it may not be there. Empty: not to be had.
std::string ReadText(pid_t thread, std::uint64_t from) {
  constexpr std::uint64_t kPage = 4096;
  std::string text;
  std::array<char, kPage> page{};
  while (text.size() < PATH_MAX) {
    const std::size_t size = kPage - (from + text.size()) % kPage;
    if (!ReadMemory(thread, from + text.size(), page.data(), size)) {
      return {};
    }
    const std::size_t length = ::strnlen(page.data(), size);
    text.append(page.data(), length);
    if (length < size) {
      return text;
    }
  }
  return {};
}

class Look {
 public:
  Look(pid_t thread, const seccomp_data& call, const char* name)
      : thread_(thread), call_(call), name_(name), program_(Program(thread)) {
  }

  [[nodiscard]] std::uint64_t Argument(unsigned index) const {
    return call_.args[index];
  }

  // What the argument points to; 0 and false where it cannot be read.
  template <class T>
  [[nodiscard]] bool Struct(unsigned index, T& value) const {
    return ReadMemory(thread_, Argument(index), &value, sizeof value);
  }
  [[nodiscard]] std::uint64_t Word(unsigned index) const {
    std::uint64_t word = 0;
    (void)Struct(index, word);
    return word;
  }

  // `directory` < 0: relative to the working directory.
  [[nodiscard]] std::string Path(int directory, unsigned index) const {
    const std::string path = ReadText(thread_, Argument(index));
    if (path.empty() || path.front() == '/') {
      return path.empty() ? path : PlainPath("/", path);
    }
    const int fd = directory < 0 ? AT_FDCWD : static_cast<int>(Argument(static_cast<unsigned>(directory)));
    const std::string base = Link(fd == AT_FDCWD ? Proc(thread_, "cwd") : Proc(thread_, "fd/" + std::to_string(fd)));
    if (!base.starts_with('/')) {
      return {};
    }
    // In a mount namespace that is the host's the root is somewhere below it.
    const std::string root = Link(Proc(thread_, "root"));
    const bool below =
        root.size() > 1 && base.starts_with(root) && (base.size() == root.size() || base[root.size()] == '/');
    return PlainPath(below ? "/" + base.substr(root.size()) : base, path);
  }

  void File(const std::string& path, std::initializer_list<const char*> uses) {
    for (const char* use : uses) {
      if (!path.empty()) {
        Tell("path", path, use);
      }
    }
  }

  void Open(const std::string& path, std::uint64_t flags) {
    if ((flags & O_PATH) != 0) {
      return;
    }
    const std::uint64_t mode = flags & O_ACCMODE;
    if (mode != O_WRONLY) {
      File(path, {"read"});
    }
    if (mode != O_RDONLY) {
      File(path, {"write"});
    }
    if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {
      File(path, {"create"});
    }
    if ((flags & O_TRUNC) != 0) {
      File(path, {"truncate"});
    }
  }

  void Move(const std::string& from, const std::string& to, bool rename) {
    if (rename) {
      File(from, {"remove"});
    }
    File(to, {"create"});
    if (from.substr(0, from.rfind('/')) != to.substr(0, to.rfind('/'))) {
      File(from, {"refer"});
      File(to, {"refer"});
    }
  }

  void Address(std::uint64_t from, std::uint64_t size, const char* use) {
    sockaddr_storage address{};
    size = std::min<std::uint64_t>(size, sizeof address);
    if (from == 0 || size < sizeof address.ss_family || !ReadMemory(thread_, from, &address, size)) {
      return;
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    std::uint16_t port = 0;
    if (address.ss_family == AF_INET && size >= sizeof(sockaddr_in)) {
      const auto& ip = reinterpret_cast<const sockaddr_in&>(address);
      ::inet_ntop(AF_INET, &ip.sin_addr, text.data(), text.size());
      port = ntohs(ip.sin_port);
    } else if (address.ss_family == AF_INET6 && size >= offsetof(sockaddr_in6, sin6_scope_id)) {
      const auto& ip = reinterpret_cast<const sockaddr_in6&>(address);
      const auto* bytes = reinterpret_cast<const unsigned char*>(&ip.sin6_addr);
      constexpr std::size_t kMapped = 12;
      const bool v4 = IN6_IS_ADDR_V4MAPPED(&ip.sin6_addr);
      ::inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? bytes + kMapped : bytes, text.data(), text.size());
      port = ntohs(ip.sin6_port);
    } else if (address.ss_family == AF_UNIX && std::strcmp(use, "bind") == 0) {
      const auto& local = reinterpret_cast<const sockaddr_un&>(address);
      if (size > sizeof local.sun_family && local.sun_path[0] == '/') {
        File(PlainPath("/", {local.sun_path, ::strnlen(local.sun_path, size - sizeof local.sun_family)}), {"create"});
      }
      return;
    } else {
      return;
    }
    Tell("address", std::string{Protocol()} + "/" + std::to_string(port) + " " + text.data(), use);
  }

  std::vector<std::string> Take() {
    return std::move(found_);
  }

 private:
  void Tell(std::string_view key, const std::string& what, const char* use) {
    JsonWriter out;
    out.BeginObject();
    out.Key(key).String(what);
    out.Key("use").String(use);
    out.Key("syscall").String(name_);
    out.Key("by").String(program_);
    out.EndObject();
    found_.push_back(out.Take());
  }

  // Of the socket that the call is made on, asked of the socket itself.
  [[nodiscard]] const char* Protocol() const {
    const Fd process{static_cast<int>(::syscall(SYS_pidfd_open, thread_, kThread))};
    const Fd leader{process ? -1 : static_cast<int>(::syscall(SYS_pidfd_open, thread_, 0))};
    const Fd socket{static_cast<int>(
        ::syscall(SYS_pidfd_getfd, process ? process.get() : leader.get(), static_cast<int>(Argument(0)), 0))};
    int protocol = 0;
    socklen_t size = sizeof protocol;
    if (!socket || ::getsockopt(socket.get(), SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0) {
      return "unknown";
    }
    return protocol == IPPROTO_TCP ? "tcp" : protocol == IPPROTO_UDP ? "udp" : "other";
  }

  static constexpr unsigned kThread = O_EXCL;  // PIDFD_THREAD, Linux 6.9

  pid_t thread_;
  const seccomp_data& call_;
  const char* name_;
  std::string program_;
  std::vector<std::string> found_;
};

using Reader = void (*)(Look&);

struct Row {
  long number;
  const char* name;
  Reader read;
};

constexpr auto kTable = std::to_array<Row>({
#ifdef SYS_open
    {SYS_open, "open", [](Look& in) { in.Open(in.Path(-1, 0), in.Argument(1)); }},
    {SYS_creat, "creat", [](Look& in) { in.File(in.Path(-1, 0), {"write", "create", "truncate"}); }},
    {SYS_unlink, "unlink", [](Look& in) { in.File(in.Path(-1, 0), {"remove"}); }},
    {SYS_rmdir, "rmdir", [](Look& in) { in.File(in.Path(-1, 0), {"remove"}); }},
    {SYS_mkdir, "mkdir", [](Look& in) { in.File(in.Path(-1, 0), {"create"}); }},
    {SYS_mknod, "mknod", [](Look& in) { in.File(in.Path(-1, 0), {"create"}); }},
    {SYS_symlink, "symlink", [](Look& in) { in.File(in.Path(-1, 1), {"create"}); }},
    {SYS_link, "link", [](Look& in) { in.Move(in.Path(-1, 0), in.Path(-1, 1), false); }},
    {SYS_rename, "rename", [](Look& in) { in.Move(in.Path(-1, 0), in.Path(-1, 1), true); }},
#endif
    {SYS_openat, "openat", [](Look& in) { in.Open(in.Path(0, 1), in.Argument(2)); }},
    {SYS_openat2, "openat2", [](Look& in) { in.Open(in.Path(0, 1), in.Word(2)); }},
    {SYS_execve, "execve", [](Look& in) { in.File(in.Path(-1, 0), {"execute"}); }},
    {SYS_execveat, "execveat", [](Look& in) { in.File(in.Path(0, 1), {"execute"}); }},
    {SYS_unlinkat, "unlinkat", [](Look& in) { in.File(in.Path(0, 1), {"remove"}); }},
    {SYS_mkdirat, "mkdirat", [](Look& in) { in.File(in.Path(0, 1), {"create"}); }},
    {SYS_mknodat, "mknodat", [](Look& in) { in.File(in.Path(0, 1), {"create"}); }},
    {SYS_symlinkat, "symlinkat", [](Look& in) { in.File(in.Path(1, 2), {"create"}); }},
    {SYS_linkat, "linkat", [](Look& in) { in.Move(in.Path(0, 1), in.Path(2, 3), false); }},
    {SYS_renameat, "renameat", [](Look& in) { in.Move(in.Path(0, 1), in.Path(2, 3), true); }},
    {SYS_renameat2, "renameat2", [](Look& in) { in.Move(in.Path(0, 1), in.Path(2, 3), true); }},
    {SYS_truncate, "truncate", [](Look& in) { in.File(in.Path(-1, 0), {"truncate"}); }},
    {SYS_bind, "bind", [](Look& in) { in.Address(in.Argument(1), in.Argument(2), "bind"); }},
    {SYS_connect, "connect", [](Look& in) { in.Address(in.Argument(1), in.Argument(2), "connect"); }},
    {SYS_sendto, "sendto", [](Look& in) { in.Address(in.Argument(4), in.Argument(5), "connect"); }},
    {SYS_sendmsg, "sendmsg",
     [](Look& in) {
       msghdr message{};
       if (in.Struct(1, message)) {
         in.Address(reinterpret_cast<std::uintptr_t>(message.msg_name), message.msg_namelen, "connect");
       }
     }},
});

}  // namespace

std::string PlainPath(const std::string& base, const std::string& path) {
  const std::string whole = path.starts_with('/') ? path : base + "/" + path;
  std::string plain;
  for (std::size_t at = 0; at < whole.size();) {
    const std::size_t slash = std::min(whole.find('/', at), whole.size());
    const std::string part = whole.substr(at, slash - at);
    at = slash + 1;
    if (part == "..") {
      plain.resize(plain.empty() ? 0 : plain.rfind('/'));
    } else if (!part.empty() && part != ".") {
      plain += "/" + part;
    }
  }
  return plain.empty() ? "/" : plain;
}

std::vector<std::string> Observe(pid_t thread, const seccomp_data& call) {
  const auto* row = std::ranges::find(kTable, static_cast<long>(call.nr), &Row::number);
  if (row == kTable.end() || call.arch != kNativeArchitecture) {
    return {};
  }
  Look look{thread, call, row->name};
  row->read(look);
  return look.Take();
}

}  // namespace nucleus::trace
