// Tells from inside a container what a process there has and may do. Static, so that it runs in any rootfs.
//
//   probe facts [--to FILE] [--hold]     everything of this process, as one JSON object; --hold: then waits
//   probe syscall NR ARG...              one system call; ARG is a number or s:TEXT; prints {"ret","errno"}
//   probe syscall32 NR ARG...            the same by int $0x80, so through the 32-bit table (numbers only)
//   probe trapped NR                     one system call with a handler for SIGSYS; what that was told
//   probe open PATH FLAG,...             rdonly wronly rdwr creat excl append nofollow path directory trunc nonblock
//   probe write PATH TEXT                open for writing, then write
//   probe mknod PATH c|b MAJOR MINOR     make a node
//   probe statfs PATH                    type and flags of the filesystem
//   probe stat PATH                      of the path itself, not of what a link names
//   probe ptrace PID                     attach
//   probe inspect PID                    what this process can learn of another and do to it
//   probe hunt SECONDS                   the programs of all other processes that it could look into meanwhile
//   probe swap PATH OTHER                exchanges the two for ever, as fast as it can
//   probe memory BYTES                   touch so much memory
//   probe fork COUNT                     have so many children at once; prints how many there were
//   probe signals                        a line for every signal that comes, for ever: number, and the value where it
//   has one probe clock                          CLOCK_MONOTONIC and CLOCK_BOOTTIME in seconds probe notify [--fds N]
//   [--hold | --flood] MESSAGE...   sends each to $NOTIFY_SOCKET, with so many descriptors;
//   --hold: then
//                                        waits; --flood: without end, until SIGTERM
//
// Each prints one line of JSON and ends with 0 once it could ask; what the kernel answered is in the JSON.

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

extern char** environ;

namespace {

// ---- JSON, just enough to print

std::string Quote(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

class Object {
 public:
  Object& Raw(const std::string& key, const std::string& value) {
    text_ += (text_.empty() ? "" : ", ") + Quote(key) + ": " + value;
    return *this;
  }
  Object& Add(const std::string& key, const std::string& value) {
    return Raw(key, Quote(value));
  }
  Object& Add(const std::string& key, const char* value) {
    return Raw(key, Quote(value));
  }
  template <typename Number>
  Object& Add(const std::string& key, Number value) {
    return Raw(key, std::to_string(value));
  }
  Object& Bool(const std::string& key, bool value) {
    return Raw(key, value ? "true" : "false");
  }
  [[nodiscard]] std::string Text() const {
    return "{" + text_ + "}";
  }

 private:
  std::string text_;
};

template <typename T>
std::string List(const std::vector<T>& values) {
  std::string out;
  for (const T& value : values) {
    out += out.empty() ? "" : ", ";
    if constexpr (std::is_same_v<T, std::string>) {
      out += Quote(value);
    } else {
      out += std::to_string(value);
    }
  }
  return "[" + out + "]";
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string ReadLink(const std::string& path) {
  char target[PATH_MAX];
  const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
  return length < 0 ? std::string("error: ") + strerrorname_np(errno)
                    : std::string(target, static_cast<std::size_t>(length));
}

// ---- facts

std::string Capabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct data[2] = {};
  ::syscall(SYS_capget, &header, data);
  const auto join = [](std::uint32_t low, std::uint32_t high) { return std::uint64_t{high} << 32 | low; };
  std::uint64_t bounding = 0;
  std::uint64_t ambient = 0;
  for (int capability = 0; capability < 64; ++capability) {
    const auto bit = std::uint64_t{1} << capability;
    bounding |= ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1 ? bit : 0;
    ambient |= ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, capability, 0, 0) == 1 ? bit : 0;
  }
  return Object()
      .Add("effective", join(data[0].effective, data[1].effective))
      .Add("permitted", join(data[0].permitted, data[1].permitted))
      .Add("inheritable", join(data[0].inheritable, data[1].inheritable))
      .Add("bounding", bounding)
      .Add("ambient", ambient)
      .Text();
}

std::string Rlimits() {
  static const std::map<std::string, int> kTypes = {
      {"RLIMIT_AS", RLIMIT_AS},
      {"RLIMIT_CORE", RLIMIT_CORE},
      {"RLIMIT_CPU", RLIMIT_CPU},
      {"RLIMIT_DATA", RLIMIT_DATA},
      {"RLIMIT_FSIZE", RLIMIT_FSIZE},
      {"RLIMIT_LOCKS", RLIMIT_LOCKS},
      {"RLIMIT_MEMLOCK", RLIMIT_MEMLOCK},
      {"RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE},
      {"RLIMIT_NICE", RLIMIT_NICE},
      {"RLIMIT_NOFILE", RLIMIT_NOFILE},
      {"RLIMIT_NPROC", RLIMIT_NPROC},
      {"RLIMIT_RSS", RLIMIT_RSS},
      {"RLIMIT_RTPRIO", RLIMIT_RTPRIO},
      {"RLIMIT_RTTIME", RLIMIT_RTTIME},
      {"RLIMIT_SIGPENDING", RLIMIT_SIGPENDING},
      {"RLIMIT_STACK", RLIMIT_STACK},
  };
  Object out;
  for (const auto& [name, type] : kTypes) {
    struct rlimit limit{};
    ::getrlimit(static_cast<__rlimit_resource>(type), &limit);
    out.Raw(name, List<std::uint64_t>({limit.rlim_cur, limit.rlim_max}));
  }
  return out.Text();
}

std::string Scheduler() {
  struct {
    std::uint32_t size, policy;
    std::uint64_t flags;
    std::int32_t nice;
    std::uint32_t priority;
    std::uint64_t runtime, deadline, period;
  } attr{};
  ::syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0);
  return Object()
      .Add("policy", attr.policy)
      .Add("flags", attr.flags)
      .Add("nice", attr.nice)
      .Add("priority", attr.priority)
      .Add("runtime", attr.runtime)
      .Add("deadline", attr.deadline)
      .Add("period", attr.period)
      .Text();
}

std::string IoPriority() {
  const long value = ::syscall(SYS_ioprio_get, 1, 0);
  return Object().Add("class", value >> 13).Add("priority", value & 0xff).Text();
}

std::vector<int> Affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) {
        cpus.push_back(cpu);
      }
    }
  }
  return cpus;
}

std::string Keyring() {
  const long id = ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
  if (id < 0) {
    return Object().Add("error", strerrorname_np(errno)).Text();
  }
  char description[512] = {};
  if (::syscall(SYS_keyctl, KEYCTL_DESCRIBE, id, description, sizeof description) < 0) {
    return Object().Add("id", id).Add("error", strerrorname_np(errno)).Text();
  }
  const std::string text = description;
  return Object().Add("id", id).Add("name", text.substr(text.rfind(';') + 1)).Add("description", text).Text();
}

std::string Descriptors() {
  Object out;
  DIR* directory = ::opendir("/proc/self/fd");
  if (directory == nullptr) {
    return Object().Add("error", strerrorname_np(errno)).Text();
  }
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] != '.' && std::atoi(entry->d_name) != ::dirfd(directory)) {
      out.Add(entry->d_name, ReadLink(std::string("/proc/self/fd/") + entry->d_name));
    }
  }
  ::closedir(directory);
  return out.Text();
}

std::string Namespaces() {
  Object out;
  for (const char* name :
       {"cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts"}) {
    out.Add(name, ReadLink(std::string("/proc/self/ns/") + name));
  }
  return out.Text();
}

std::string Signals() {
  sigset_t blocked;
  ::sigprocmask(SIG_SETMASK, nullptr, &blocked);
  std::vector<int> masked;
  std::vector<int> ignored;
  for (int number = 1; number < NSIG; ++number) {
    struct sigaction action{};
    if (::sigismember(&blocked, number) == 1) {
      masked.push_back(number);
    }
    if (::sigaction(number, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) {
      ignored.push_back(number);
    }
  }
  return Object().Raw("blocked", List(masked)).Raw("ignored", List(ignored)).Text();
}

std::string Terminal() {
  Object out;
  const int fd = ::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
  out.Bool("controlling", fd >= 0);
  ::close(fd);
  winsize size{};
  out.Bool("stdin", ::isatty(0)).Bool("stdout", ::isatty(1)).Bool("stderr", ::isatty(2));
  if (::ioctl(0, TIOCGWINSZ, &size) == 0) {
    out.Add("rows", size.ws_row).Add("columns", size.ws_col);
  }
  out.Add("foreground", ::tcgetpgrp(0));
  return out.Text();
}

double Seconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::string Clocks() {
  return Object().Add("monotonic", Seconds(CLOCK_MONOTONIC)).Add("boottime", Seconds(CLOCK_BOOTTIME)).Text();
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::stringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::string Facts() {
  uid_t ruid = 0, euid = 0, suid = 0;
  gid_t rgid = 0, egid = 0, sgid = 0;
  ::getresuid(&ruid, &euid, &suid);
  ::getresgid(&rgid, &egid, &sgid);
  std::vector<gid_t> groups(static_cast<std::size_t>(std::max(0, ::getgroups(0, nullptr))));
  ::getgroups(static_cast<int>(groups.size()), groups.data());
  const mode_t mask = ::umask(0);
  ::umask(mask);
  utsname uts{};
  ::uname(&uts);
  char* cwd = ::get_current_dir_name();
  std::vector<std::string> environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    environment.emplace_back(*entry);
  }
  struct stat root{};
  ::stat("/", &root);
  int policy = -1;
  unsigned long nodes[16] = {};
  ::syscall(SYS_get_mempolicy, &policy, nodes, sizeof nodes * CHAR_BIT, nullptr, 0);

  return Object()
      .Add("pid", ::getpid())
      .Add("ppid", ::getppid())
      .Add("pgrp", ::getpgrp())
      .Add("sid", ::getsid(0))
      .Raw("uids", List<uid_t>({ruid, euid, suid, static_cast<uid_t>(::setfsuid(static_cast<uid_t>(-1)))}))
      .Raw("gids", List<gid_t>({rgid, egid, sgid, static_cast<gid_t>(::setfsgid(static_cast<gid_t>(-1)))}))
      .Raw("groups", List(groups))
      .Raw("capabilities", Capabilities())
      .Add("no_new_privs", ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0))
      .Add("seccomp", ::prctl(PR_GET_SECCOMP, 0, 0, 0, 0))
      .Add("dumpable", ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))
      .Add("securebits", ::prctl(PR_GET_SECUREBITS, 0, 0, 0, 0))
      .Add("umask", mask)
      .Raw("rlimits", Rlimits())
      .Raw("scheduler", Scheduler())
      .Raw("io_priority", IoPriority())
      .Add("personality", static_cast<unsigned>(::personality(0xffffffff)))
      .Raw("affinity", List(Affinity()))
      .Raw("keyring", Keyring())
      .Add("oom_score_adj", std::atoi(ReadText("/proc/self/oom_score_adj").c_str()))
      .Raw("fds", Descriptors())
      .Raw("namespaces", Namespaces())
      .Raw("environment", List(environment))
      .Add("cwd", cwd != nullptr ? cwd : std::string("error: ") + strerrorname_np(errno))
      .Raw("signals", Signals())
      .Raw("terminal", Terminal())
      .Add("hostname", std::string(uts.nodename))
      .Add("domainname", std::string(uts.domainname))
      .Add("machine", std::string(uts.machine))
      .Raw("clocks", Clocks())
      .Raw("cgroup", List(Lines(ReadText("/proc/self/cgroup"))))
      .Raw("status", List(Lines(ReadText("/proc/self/status"))))
      .Add("root_inode", root.st_ino)
      .Add("memory_policy", policy)
      .Add("memory_nodes", nodes[0])
      .Text();
}

// ---- doing one thing

int Answer(long result, int error) {
  std::printf("%s\n",
              Object().Add("ret", result).Add("errno", result < 0 ? strerrorname_np(error) : "").Text().c_str());
  return 0;
}

int Answer(long result) {
  return Answer(result, errno);
}

long Argument(const char* text) {
  return std::strncmp(text, "s:", 2) == 0 ? reinterpret_cast<long>(text + 2)
                                          : static_cast<long>(std::strtoull(text, nullptr, 0));
}

int Signalled() {
  // Past the C library, which keeps two of them for itself.
  const unsigned long all = ~0UL;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, nullptr, sizeof all);
  std::printf("ready\n");
  for (;;) {
    std::fflush(stdout);
    siginfo_t info{};
    const long number = ::syscall(SYS_rt_sigtimedwait, &all, &info, nullptr, sizeof all);
    if (number > 0 && info.si_code == SI_QUEUE) {
      std::printf("%ld=%d\n", number, info.si_value.sival_int);
    } else if (number > 0) {
      std::printf("%ld\n", number);
    }
  }
}

int Syscall(const std::vector<const char*>& args) {
  long values[7] = {};
  for (std::size_t i = 0; i < args.size() && i < 7; ++i) {
    values[i] = Argument(args[i]);
  }
  errno = 0;
  return Answer(::syscall(values[0], values[1], values[2], values[3], values[4], values[5], values[6]));
}

volatile sig_atomic_t trapped_syscall = -1;
volatile sig_atomic_t trapped_errno = 0;

int Trapped(long number) {
  struct sigaction action{};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = [](int, siginfo_t* info, void*) {
    trapped_syscall = info->si_syscall;
    trapped_errno = info->si_errno;
  };
  ::sigaction(SIGSYS, &action, nullptr);
  ::syscall(number, 0, 0, 0);
  const int caught = trapped_syscall;
  const int error = trapped_errno;
  std::printf("%s\n", Object().Add("trapped", caught).Add("errno", error).Text().c_str());
  return 0;
}

#ifdef __x86_64__
int Syscall32(const std::vector<const char*>& args) {
  long values[4] = {};
  for (std::size_t i = 0; i < args.size() && i < 4; ++i) {
    values[i] = Argument(args[i]);
  }
  long result = values[0];
  asm volatile("int $0x80"
               : "+a"(result)
               : "b"(values[1]), "c"(values[2]), "d"(values[3])
               : "memory", "r8", "r9", "r10", "r11");
  const auto answer = static_cast<std::int32_t>(result);
  return Answer(answer < 0 ? -1 : answer, -answer);
}
#endif

int Open(const char* path, const std::string& names) {
  static const std::map<std::string, int> kFlags = {
      {"rdonly", O_RDONLY},       {"wronly", O_WRONLY}, {"rdwr", O_RDWR},        {"creat", O_CREAT},
      {"excl", O_EXCL},           {"append", O_APPEND}, {"path", O_PATH},        {"nofollow", O_NOFOLLOW},
      {"directory", O_DIRECTORY}, {"trunc", O_TRUNC},   {"nonblock", O_NONBLOCK}};
  int flags = O_CLOEXEC | O_NOCTTY;
  std::stringstream list(names);
  for (std::string name; std::getline(list, name, ',');) {
    flags |= kFlags.at(name);
  }
  return Answer(::open(path, flags, 0644));
}

int Write(const char* path, const std::string& text) {
  const int fd = ::open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  return Answer(fd < 0 ? -1 : ::write(fd, text.data(), text.size()));
}

int Mknod(const char* path, char type, unsigned major_number, unsigned minor_number) {
  const mode_t mode = (type == 'b' ? S_IFBLK : S_IFCHR) | 0666;
  return Answer(::mknod(path, mode, makedev(major_number, minor_number)));
}

int Statfs(const char* path) {
  struct statfs info{};
  if (::statfs(path, &info) != 0) {
    return Answer(-1);
  }
  std::printf("%s\n", Object()
                          .Add("type", info.f_type)
                          .Add("flags", info.f_flags)
                          .Add("blocks", info.f_blocks)
                          .Add("block_size", info.f_bsize)
                          .Add("files", info.f_files)
                          .Text()
                          .c_str());
  return 0;
}

int Stat(const char* path) {
  struct stat info{};
  if (::lstat(path, &info) != 0) {
    return Answer(-1);
  }
  std::printf("%s\n", Object()
                          .Add("mode", info.st_mode)
                          .Add("uid", info.st_uid)
                          .Add("gid", info.st_gid)
                          .Add("size", info.st_size)
                          .Add("inode", info.st_ino)
                          .Add("device", info.st_dev)
                          .Add("major", major(info.st_rdev))
                          .Add("minor", minor(info.st_rdev))
                          .Add("link", S_ISLNK(info.st_mode) ? ReadLink(path) : std::string())
                          .Text()
                          .c_str());
  return 0;
}

const char* Word(bool success) {
  return success ? "" : strerrorname_np(errno);
}

// The attack of CVE-2019-5736 as well: a descriptor of the other's program is kept and opened again for writing.
int Inspect(const std::string& pid) {
  const std::string directory = "/proc/" + pid;
  Object out;
  for (const char* link : {"exe", "root", "cwd"}) {
    out.Add(link, ReadLink(directory + "/" + link));
  }
  Object descriptors;
  DIR* list = ::opendir((directory + "/fd").c_str());
  out.Add("fd_errno", Word(list != nullptr));
  while (const dirent* entry = list != nullptr ? ::readdir(list) : nullptr) {
    if (entry->d_name[0] != '.') {
      descriptors.Add(entry->d_name, ReadLink(directory + "/fd/" + entry->d_name));
    }
  }
  out.Raw("fds", descriptors.Text());
  for (const char* file : {"mem", "environ", "maps"}) {
    const int fd = ::open((directory + "/" + file).c_str(), O_RDONLY | O_CLOEXEC);
    out.Add(file, Word(fd >= 0));
    ::close(fd);
  }
  const int exe = ::open((directory + "/exe").c_str(), O_PATH | O_CLOEXEC);
  out.Add("hold", Word(exe >= 0));
  const int written = ::open(exe >= 0 ? ("/proc/self/fd/" + std::to_string(exe)).c_str() : (directory + "/exe").c_str(),
                             O_WRONLY | O_CLOEXEC);
  out.Add("write", Word(written >= 0));
  out.Add("ptrace", Word(::ptrace(PTRACE_SEIZE, std::atoi(pid.c_str()), nullptr, nullptr) == 0));
  std::printf("%s\n", out.Text().c_str());
  return 0;
}

// Reading the link asks for the right to trace; processes that come and go are met again and again.
int Hunt(double seconds) {
  std::map<std::string, int> programs;
  int denied = 0;
  const std::string own = std::to_string(::getpid());
  for (const double end = Seconds(CLOCK_MONOTONIC) + seconds; Seconds(CLOCK_MONOTONIC) < end;) {
    DIR* list = ::opendir("/proc");
    while (const dirent* entry = list != nullptr ? ::readdir(list) : nullptr) {
      if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || own == entry->d_name) {
        continue;
      }
      const std::string program = ReadLink(std::string("/proc/") + entry->d_name + "/exe");
      if (program == "error: EACCES") {
        ++denied;
      } else if (!program.starts_with("error: ")) {
        ++programs[program];
      }
    }
    ::closedir(list);
  }
  Object found;
  for (const auto& [program, count] : programs) {
    found.Add(program, count);
  }
  std::printf("%s\n", Object().Raw("programs", found.Text()).Add("denied", denied).Text().c_str());
  return 0;
}

int Swap(const char* path, const char* other) {
  for (;;) {
    (void)::renameat2(AT_FDCWD, path, AT_FDCWD, other, RENAME_EXCHANGE);
  }
}

int Memory(std::size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return Answer(-1);
  }
  std::memset(memory, 0x5a, bytes);
  return Answer(0);
}

int Fork(int count) {
  std::vector<pid_t> children;
  int error = 0;
  for (int i = 0; i < count; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      ::pause();
      ::_exit(0);
    }
    if (child < 0) {
      error = errno;
      break;
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
  std::printf(
      "%s\n",
      Object().Add("children", children.size()).Add("errno", error != 0 ? strerrorname_np(error) : "").Text().c_str());
  return 0;
}

// To the socket that a service has for its manager.
bool SendNotice(int socket, const sockaddr_un& address, const char* message, int descriptors) {
  iovec data{const_cast<char*>(message), std::strlen(message)};
  constexpr int kMost = 16;
  alignas(cmsghdr) char control[CMSG_SPACE(kMost * sizeof(int))] = {};
  msghdr header{};
  header.msg_name = const_cast<sockaddr_un*>(&address);
  header.msg_namelen = sizeof address;
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  if (descriptors > 0 && descriptors <= kMost) {
    header.msg_control = control;
    header.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
    cmsghdr* fds = CMSG_FIRSTHDR(&header);
    fds->cmsg_level = SOL_SOCKET;
    fds->cmsg_type = SCM_RIGHTS;
    fds->cmsg_len = CMSG_LEN(descriptors * sizeof(int));
    for (int i = 0; i < descriptors; ++i) {
      std::memcpy(CMSG_DATA(fds) + i * sizeof socket, &socket, sizeof socket);
    }
  }
  return ::sendmsg(socket, &header, MSG_NOSIGNAL) >= 0;
}

int Notify(const std::vector<const char*>& args) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || std::strlen(path) >= sizeof address.sun_path) {
    return 1;
  }
  std::memcpy(address.sun_path, path, std::strlen(path));
  ::signal(SIGTERM, [](int) { ::_exit(128 + SIGTERM); });  // the first process of a pid namespace has no default for it
  bool hold = false;
  bool flood = false;
  int descriptors = 0;
  std::vector<const char*> messages;
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (std::strcmp(args[i], "--hold") == 0) {
      hold = true;
    } else if (std::strcmp(args[i], "--flood") == 0) {
      flood = true;
    } else if (std::strcmp(args[i], "--fds") == 0 && i + 1 < args.size()) {
      descriptors = std::atoi(args[++i]);
    } else {
      messages.push_back(args[i]);
    }
  }
  std::size_t sent = 0;
  do {
    for (const char* message : messages) {
      sent += SendNotice(socket, address, message, descriptors) ? 1 : 0;
    }
  } while (flood);
  while (hold) {
    ::pause();
  }
  // The first must be heard; later ones may find that nobody listens any more.
  return sent > 0 ? 0 : 1;
}

int PrintFacts(const std::vector<const char*>& args) {
  FILE* out = stdout;
  bool hold = false;
  const std::string facts = Facts();  // before the output file takes a descriptor
  for (std::size_t i = 0; i < args.size(); ++i) {
    if (std::strcmp(args[i], "--hold") == 0) {
      hold = true;
    } else if (std::strcmp(args[i], "--to") == 0 && i + 1 < args.size()) {
      out = std::fopen(args[++i], "we");
    }
  }
  if (out == nullptr) {
    return 1;
  }
  std::fprintf(out, "%s\n", facts.c_str());
  if (std::fflush(out) != 0) {
    return 1;
  }
  while (hold) {
    ::pause();
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string verb = argc > 1 ? argv[1] : "";
  const std::vector<const char*> args(argv + std::min(argc, 2), argv + argc);
  const std::size_t count = args.size();
  if (verb == "facts") {
    return PrintFacts(args);
  }
  if (verb == "syscall" && count >= 1) {
    return Syscall(args);
  }
#ifdef __x86_64__
  if (verb == "syscall32" && count >= 1) {
    return Syscall32(args);
  }
#endif
  if (verb == "trapped" && count == 1) {
    return Trapped(std::strtol(args[0], nullptr, 0));
  }
  if (verb == "open" && count == 2) {
    return Open(args[0], args[1]);
  }
  if (verb == "write" && count == 2) {
    return Write(args[0], args[1]);
  }
  if (verb == "mknod" && count == 4) {
    return Mknod(args[0], args[1][0], static_cast<unsigned>(std::atoi(args[2])),
                 static_cast<unsigned>(std::atoi(args[3])));
  }
  if (verb == "statfs" && count == 1) {
    return Statfs(args[0]);
  }
  if (verb == "stat" && count == 1) {
    return Stat(args[0]);
  }
  if (verb == "ptrace" && count == 1) {
    return Answer(::ptrace(PTRACE_ATTACH, std::atoi(args[0]), nullptr, nullptr));
  }
  if (verb == "inspect" && count == 1) {
    return Inspect(args[0]);
  }
  if (verb == "hunt" && count == 1) {
    return Hunt(std::strtod(args[0], nullptr));
  }
  if (verb == "swap" && count == 2) {
    return Swap(args[0], args[1]);
  }
  if (verb == "memory" && count == 1) {
    return Memory(std::strtoull(args[0], nullptr, 0));
  }
  if (verb == "fork" && count == 1) {
    return Fork(std::atoi(args[0]));
  }
  if (verb == "notify" && count >= 1) {
    return Notify(args);
  }
  if (verb == "signals") {
    return Signalled();
  }
  if (verb == "clock") {
    std::printf("%s\n", Clocks().c_str());
    return 0;
  }
  std::fprintf(stderr, "probe: unknown verb or wrong number of arguments: %s\n", verb.c_str());
  return 2;
}
