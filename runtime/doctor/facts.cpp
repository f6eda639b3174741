#include "runtime/doctor/facts.h"

#include <fcntl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pwd.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <memory>

#include "base/fd.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/confine/landlock.h"
#include "runtime/container/host.h"
#include "runtime/container/net_helper.h"
#include "runtime/sys/syscalls.h"
#include "runtime/systemd/client.h"
#include "runtime/telemetry/send.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace nucleus::doctor {
namespace {

constexpr std::size_t kMaxFile = 65536;

// The file's text as one line; "" where it cannot be read.
std::string Line(const std::string& path) {
  std::string text = ReadFile(path, kMaxFile).value_or("");
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ' || text.back() == '\0')) {
    text.pop_back();
  }
  std::ranges::replace(text, '\n', ' ');
  return text;
}

// What `act` returns (an errno, 0 for success) in a child, which ends then; whatever it made goes with it.
template <class Act>
int InChild(Act act) {
  const pid_t pid = ::fork();
  if (pid < 0) {
    return errno;
  }
  if (pid == 0) {
    ::_exit(act() & 0xff);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

int ErrnoOf(long result) {
  return result < 0 ? errno : 0;
}

// A call with arguments that are no good: a kernel that has it says so, one that has not says ENOSYS.
int Exists(long result) {
  return result < 0 && errno == ENOSYS ? ENOSYS : 0;
}

std::vector<Try> Calls() {
  return {{"openat2", Exists(::syscall(SYS_openat2, -1, "", nullptr, 0))},
          {"clone3", Exists(::syscall(SYS_clone3, nullptr, 0))},
          {"pidfd_open", Exists(::syscall(SYS_pidfd_open, -1, 0))},
          {"fsopen", Exists(::syscall(SYS_fsopen, nullptr, 0))},
          {"open_tree", Exists(::syscall(SYS_open_tree, -1, "", ~0U))},
          {"mount_setattr", Exists(::syscall(SYS_mount_setattr, -1, "", 0, nullptr, 0))}};
}

// Of an ordinary user all are below a user namespace of the child's.
int EnterUserNamespace(bool root) {
  return root ? 0 : ErrnoOf(::unshare(CLONE_NEWUSER));
}

std::vector<Try> Namespaces(bool root) {
  constexpr std::pair<const char*, int> kTypes[] = {
      {"user", CLONE_NEWUSER}, {"mnt", CLONE_NEWNS},  {"pid", CLONE_NEWPID},       {"net", CLONE_NEWNET},
      {"ipc", CLONE_NEWIPC},   {"uts", CLONE_NEWUTS}, {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME}};
  std::vector<Try> tries;
  for (const auto& [name, type] : kTypes) {
    const int flag = type;
    tries.push_back({name, InChild([root, flag] {
                       const int error = flag == CLONE_NEWUSER ? 0 : EnterUserNamespace(root);
                       return error != 0 ? error : ErrnoOf(::unshare(flag));
                     })});
  }
  return tries;
}

int TryOverlay(bool root) {
  return InChild([root] {
    if (const int error = EnterUserNamespace(root); error != 0) {
      return error;
    }
    if (::unshare(CLONE_NEWNS) != 0) {
      return errno;
    }
    return ErrnoOf(::syscall(SYS_fsopen, "overlay", 0));
  });
}

// A tmpfs that nobody else sees, with the mapping of a child's user namespace.
int TryIdmappedMount() {
  return InChild([] {
    if (::unshare(CLONE_NEWNS) != 0) {
      return errno;
    }
    const int fs = static_cast<int>(::syscall(SYS_fsopen, "tmpfs", 0));
    if (fs < 0 || ::syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
      return errno;
    }
    const int mount = static_cast<int>(::syscall(SYS_fsmount, fs, 0, 0));
    int pipes[2] = {-1, -1};
    if (mount < 0 || ::pipe(pipes) != 0) {
      return errno;
    }
    const pid_t child = ::fork();
    if (child == 0) {
      const char done = ::unshare(CLONE_NEWUSER) == 0 ? 'y' : 'n';
      (void)!::write(pipes[1], &done, 1);
      ::pause();
      ::_exit(0);
    }
    char done = 'n';
    int error = EIO;
    if (child > 0 && ::read(pipes[0], &done, 1) == 1 && done == 'y') {
      const std::string directory = "/proc/" + std::to_string(child);
      for (const char* map : {"/uid_map", "/gid_map"}) {
        const int file = ::open((directory + map).c_str(), O_WRONLY | O_CLOEXEC);
        (void)!::write(file, "0 100000 1", 10);
        ::close(file);
      }
      mount_attr attributes{};
      attributes.attr_set = MOUNT_ATTR_IDMAP;
      attributes.userns_fd = static_cast<std::uint64_t>(::open((directory + "/ns/user").c_str(), O_RDONLY | O_CLOEXEC));
      error = ErrnoOf(::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes));
    }
    if (child > 0) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    return error;
  });
}

// Asks nf_tables for its generation, in a network namespace that goes with the child.
int TryNfTables(bool root) {
  return InChild([root]() -> int {
    if (const int error = EnterUserNamespace(root); error != 0) {
      return error;
    }
    if (::unshare(CLONE_NEWNET) != 0) {
      return errno;
    }
    const int socket = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (socket < 0) {
      return errno;
    }
    constexpr std::uint16_t kGetGeneration = 16;  // NFT_MSG_GETGEN
    constexpr int kWaitMs = 2000;
    struct {
      nlmsghdr header;
      nfgenmsg message;
    } request{};
    request.header = {.nlmsg_len = sizeof request,
                      .nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | kGetGeneration,
                      .nlmsg_flags = NLM_F_REQUEST,
                      .nlmsg_seq = 1,
                      .nlmsg_pid = 0};
    if (::send(socket, &request, sizeof request, 0) < 0) {
      return errno;
    }
    pollfd entry{.fd = socket, .events = POLLIN, .revents = 0};
    alignas(nlmsghdr) char answer[4096];
    if (::poll(&entry, 1, kWaitMs) != 1 ||
        ::recv(socket, answer, sizeof answer, 0) < static_cast<ssize_t>(sizeof(nlmsghdr))) {
      return ETIMEDOUT;
    }
    const auto* header = reinterpret_cast<const nlmsghdr*>(answer);
    return header->nlmsg_type == NLMSG_ERROR ? -static_cast<const nlmsgerr*>(NLMSG_DATA(header))->error : 0;
  });
}

// A file without fs-verity says ENODATA where its filesystem has it.
int TryVerity() {
  const Fd file{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
  struct {
    std::uint16_t algorithm;
    std::uint16_t size;
    unsigned char digest[64];
  } measured{.algorithm = 0, .size = 64, .digest = {}};
  constexpr unsigned long kMeasure = _IOWR('f', 134, std::uint32_t);  // FS_IOC_MEASURE_VERITY
  const int error = ErrnoOf(::ioctl(file.get(), kMeasure, &measured));
  return error == ENODATA ? 0 : error;
}

int TryOpen(const char* path) {
  const Fd file{::open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)};
  return file ? 0 : errno;
}

std::string FindProgram(const std::string& name) {
  for (const char* directory : {"/usr/bin/", "/usr/sbin/", "/usr/local/bin/", "/usr/local/sbin/", "/bin/", "/sbin/"}) {
    if (::access((directory + name).c_str(), X_OK) == 0) {
      return directory + name;
    }
  }
  return {};
}

// The ranges of a user in /etc/subuid or /etc/subgid: "100000:65536".
std::string Ranges(const char* path) {
  std::string user = std::to_string(::geteuid());
  std::string name = user;
  const std::unique_ptr<FILE, int (*)(FILE*)> file{std::fopen("/etc/passwd", "re"), std::fclose};
  while (const passwd* entry = file ? ::fgetpwent(file.get()) : nullptr) {
    if (entry->pw_uid == ::geteuid()) {
      name = entry->pw_name;
      break;
    }
  }
  const std::string text = ReadFile(path, std::size_t{1} << 20).value_or("") + "\n";
  std::string found;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    const std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.starts_with(name + ":") || line.starts_with(user + ":")) {
      found += (found.empty() ? "" : " ") + line.substr(line.find(':') + 1);
    }
  }
  return found;
}

void ReadCgroups(Facts& facts) {
  const Result<cgroup::Host> host = cgroup::ReadHost();
  if (!host) {
    return;
  }
  for (const cgroup::Hierarchy& hierarchy : host->hierarchies) {
    std::string text = (hierarchy.v2() ? "v2" : hierarchy.name) + " " + hierarchy.mount_point;
    // What an ordinary user was given: the cgroup that the caller is in. Root's may be made anywhere.
    const std::string own = facts.root ? hierarchy.mount_point : hierarchy.mount_point + hierarchy.own_path;
    const bool usable = ::access(own.c_str(), W_OK) == 0;
    for (const std::string& controller : hierarchy.controllers) {
      text += hierarchy.v2() ? " " + controller : "";
      if (usable) {
        facts.controllers.push_back(controller);
      }
    }
    facts.cgroups.push_back(text + (usable ? "" : " (not the caller's to use)"));
  }
  std::ranges::sort(facts.controllers);
}

std::string Restrictions() {
  std::string text;
  for (const char* name : {"kernel/unprivileged_userns_clone", "kernel/apparmor_restrict_unprivileged_userns"}) {
    if (const std::string value = Line("/proc/sys/" + std::string{name}); !value.empty()) {
      text += (text.empty() ? "" : " ") + std::string{name} + "=" + value;
    }
  }
  return text;
}

}  // namespace

Facts Examine() {
  Facts facts;
  utsname name{};
  ::uname(&name);
  facts.release = name.release;
  const Result<plan::Host> host = container::ReadHost(false, true);
  facts.root = host && !host->rootless();
  facts.apparmor = host && host->apparmor;
  facts.selinux = host && host->selinux;
  facts.calls = Calls();
  facts.namespaces = Namespaces(facts.root);
  facts.lsm = Line("/sys/kernel/security/lsm");
  facts.lockdown = Line("/sys/kernel/security/lockdown");
  facts.landlock_abi = confine::LandlockAbi();
  facts.seccomp_actions = Line("/proc/sys/kernel/seccomp/actions_avail");
  seccomp_notif_sizes sizes{};
  facts.seccomp_notify = ::syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) == 0;
  ReadCgroups(facts);
  facts.max_user_namespaces = Line("/proc/sys/user/max_user_namespaces");
  facts.restrictions = Restrictions();
  facts.subuid = Ranges("/etc/subuid");
  facts.subgid = Ranges("/etc/subgid");
  for (const char* program : {"newuidmap", "newgidmap", "runsc", "pasta", "slirp4netns", "criu"}) {
    facts.programs.push_back({program, FindProgram(program)});
  }
  facts.overlay = {"overlay", TryOverlay(facts.root)};
  facts.idmapped_mounts = {"idmapped mounts", TryIdmappedMount()};
  facts.verity = {"fs-verity", TryVerity()};
  facts.tun = {"/dev/net/tun", TryOpen("/dev/net/tun")};
  facts.kvm = {"/dev/kvm", TryOpen("/dev/kvm")};
  facts.nf_tables = {"nf_tables", TryNfTables(facts.root)};
  facts.systemd_helper = systemd::HelperInstalled();
  facts.net_helper = container::NetHelperInstalled();
  facts.otel_helper = telemetry::SenderInstalled();
  return facts;
}

}  // namespace nucleus::doctor
