#include "runtime/evidence/readback.h"

#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/fd.h"
#include "base/sha256.h"

namespace nucleus::evidence {
namespace {

constexpr std::size_t kMaxFile = 65536;

// One line: blanks for tabs, commas between lines.
std::string OneLine(std::string_view text) {
  std::string line;
  bool blank = false;
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
    text.remove_suffix(1);
  }
  for (const char c : text) {
    if (c == ' ' || c == '\t') {
      blank = !line.empty() && line.back() != ',';
      continue;
    }
    if (blank && c != '\n') {
      line += ' ';
    }
    blank = false;
    line += c == '\n' ? ',' : c;
  }
  return line.size() <= kMostOfAValue ? line : "sha256:" + Sha256Hex(text);
}

std::string LimitText(rlim_t value) {
  return value == RLIM_INFINITY ? "unlimited" : std::to_string(value);
}

struct CgroupFile {
  const char* name;
  const char* controller;
  bool v2 = false;
};

constexpr auto kCgroupFiles = std::to_array<CgroupFile>({{"cpu.max", "cpu", true},
                                                         {"cpuset.cpus", "cpuset", true},
                                                         {"memory.max", "memory", true},
                                                         {"memory.swap.max", "memory", true},
                                                         {"pids.max", "pids", true},
                                                         {"cpu.cfs_quota_us", "cpu"},
                                                         {"cpu.cfs_period_us", "cpu"},
                                                         {"cpuset.cpus", "cpuset"},
                                                         {"memory.limit_in_bytes", "memory"},
                                                         {"pids.max", "pids"}});

// Is `controller` one of the v1 hierarchy's, as /proc/self/cgroup lists them?
bool IsOf(std::string_view hierarchy, std::string_view controller) {
  for (;;) {
    const std::size_t comma = hierarchy.find(',');
    if (hierarchy.substr(0, comma) == controller) {
      return true;
    }
    if (comma == std::string_view::npos) {
      return false;
    }
    hierarchy.remove_prefix(comma + 1);
  }
}

// linux/pidfd.h since 6.11: PIDFD_GET_*_NAMESPACE.
struct NamespaceName {
  const char* name;
  unsigned request;
};
constexpr unsigned kPidfdMagic = 0xFF;
constexpr auto kNamespaces = std::to_array<NamespaceName>({{"cgroup", _IO(kPidfdMagic, 1)},
                                                           {"ipc", _IO(kPidfdMagic, 2)},
                                                           {"mnt", _IO(kPidfdMagic, 3)},
                                                           {"net", _IO(kPidfdMagic, 4)},
                                                           {"pid", _IO(kPidfdMagic, 5)},
                                                           {"time", _IO(kPidfdMagic, 7)},
                                                           {"user", _IO(kPidfdMagic, 9)},
                                                           {"uts", _IO(kPidfdMagic, 10)}});

// Without the names in /proc, which the kernel makes for every process anew. Empty where it cannot tell.
std::string NumberBy(int pidfd, unsigned request) {
  const Fd file{pidfd < 0 ? -1 : ::ioctl(pidfd, request, 0)};
  struct stat status{};
  return file && ::fstat(file.get(), &status) == 0 ? std::to_string(status.st_ino) : "";
}

std::string NumberIn(const std::string& path) {
  std::array<char, 64> link{};
  const ssize_t size = ::readlink(path.c_str(), link.data(), link.size());
  const std::string_view text{link.data(), static_cast<std::size_t>(std::max(size, ssize_t{0}))};
  const std::size_t open = text.find('[');
  return open != std::string_view::npos && text.ends_with(']')
             ? std::string{text.substr(open + 1, text.size() - open - 2)}
             : "";
}

}  // namespace

void ReadStatus(std::string_view status, oci::StringMap& out) {
  constexpr auto kFields =
      std::to_array<std::pair<std::string_view, const char*>>({{"Uid", "uid"},
                                                               {"Gid", "gid"},
                                                               {"CapBnd", "capabilities.bounding"},
                                                               {"CapEff", "capabilities.effective"},
                                                               {"CapInh", "capabilities.inheritable"},
                                                               {"CapPrm", "capabilities.permitted"},
                                                               {"CapAmb", "capabilities.ambient"},
                                                               {"NoNewPrivs", "no-new-privileges"},
                                                               {"Seccomp", "seccomp.mode"},
                                                               {"Seccomp_filters", "seccomp.filters"}});
  while (!status.empty()) {
    const std::string_view line = status.substr(0, status.find('\n'));
    status.remove_prefix(std::min(status.size(), line.size() + 1));
    const std::size_t colon = line.find(":\t");
    const auto field = std::ranges::find(kFields, line.substr(0, colon), [](const auto& row) { return row.first; });
    if (colon != std::string_view::npos && field != kFields.end() && line.size() > colon + 2) {
      out[field->second] = OneLine(line.substr(colon + 2));
    }
  }
}

void ReadProcess(pid_t pid, const std::vector<oci::Rlimit>& rlimits, oci::StringMap& out) {
  const std::string directory = "/proc/" + std::to_string(pid);
  if (const Result<std::string> status = ReadRecord(directory + "/status")) {
    ReadStatus(*status, out);
  }
  for (const oci::Rlimit& asked : rlimits) {
    struct rlimit value{};
    if (::prlimit(pid, static_cast<__rlimit_resource>(asked.resource), nullptr, &value) == 0) {
      out["rlimit." + asked.type] = LimitText(value.rlim_cur) + " " + LimitText(value.rlim_max);
    }
  }
}

void ReadNamespaces(pid_t pid, int pidfd, oci::StringMap& out) {
  const std::string directory = "/proc/" + std::to_string(pid);
  for (const auto& [file, key] :
       std::to_array<std::pair<const char*, const char*>>({{"/uid_map", "uid-map"}, {"/gid_map", "gid-map"}})) {
    if (const Result<std::string> map = ReadFile(directory + file, kMaxFile); map && !map->empty()) {
      out[key] = OneLine(*map);
    }
  }
  for (const NamespaceName& entry : kNamespaces) {
    std::string number = NumberBy(pidfd, entry.request);
    if (number.empty()) {
      number = NumberIn(directory + "/ns/" + entry.name);
    }
    if (!number.empty()) {
      out["namespace." + std::string{entry.name}] = std::move(number);
    }
  }
}

void ReadCgroups(const std::vector<oci::StateCgroup>& cgroups, oci::StringMap& out) {
  // A controller is in one hierarchy: in v2's where it is in none of v1.
  const auto has = [&cgroups](const oci::StateCgroup& cgroup, const CgroupFile& file) {
    const auto of_file = [&file](const oci::StateCgroup& other) { return IsOf(other.hierarchy, file.controller); };
    return file.v2 ? cgroup.hierarchy.empty() && std::ranges::none_of(cgroups, of_file) : of_file(cgroup);
  };
  for (const oci::StateCgroup& cgroup : cgroups) {
    for (const CgroupFile& file : kCgroupFiles) {
      // No file is looked for where it cannot be: ten hierarchies of v1 times all files is most of what evidence costs.
      if (!has(cgroup, file)) {
        continue;
      }
      if (const Result<std::string> value = ReadRecord(cgroup.path + "/" + file.name); value && !value->empty()) {
        out["cgroup." + std::string{file.name}] = OneLine(*value);
      }
    }
  }
}

}  // namespace nucleus::evidence
