#include "runtime/resctrl/resctrl.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <vector>

#include "base/fd.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::resctrl {
namespace {

Result<> WriteFile(const std::string& path, std::string_view text) {
  const Fd file = TRY(sys::Open(path, O_WRONLY));
  return WriteAll(file.get(), text, path);
}

// The lines to write, in the order that the specification gives: the L3 schema, the bandwidth schema, the others.
std::vector<std::string> SchemataLines(const oci::IntelRdt& rdt) {
  std::vector<std::string> lines;
  for (const std::string& line : {rdt.l3_cache_schema, rdt.mem_bw_schema}) {
    if (!line.empty()) {
      lines.push_back(line);
    }
  }
  lines.insert(lines.end(), rdt.schemata.begin(), rdt.schemata.end());
  return lines;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

// "L3:0=f;1=f" → is each "domain=value" of `wanted` in the line of the same resource of `present`? Numbers may be
// written with leading zeros there.
bool Holds(std::string_view present, std::string_view wanted) {
  const auto number = [](std::string_view text) {
    const std::size_t digit = text.find_first_not_of('0');
    return digit == std::string_view::npos ? std::string_view{"0"} : text.substr(digit);
  };
  const std::size_t colon = wanted.find(':');
  if (colon == std::string_view::npos) {
    return false;
  }
  const std::string_view resource = Trim(wanted.substr(0, colon));
  std::string_view domains = wanted.substr(colon + 1);
  for (std::string_view rest = present; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t mark = line.find(':');
    if (mark == std::string_view::npos || Trim(line.substr(0, mark)) != resource) {
      continue;
    }
    while (!domains.empty()) {
      const std::string_view domain = Trim(domains.substr(0, domains.find(';')));
      domains.remove_prefix(std::min(
          domains.size(), domains.find(';') == std::string_view::npos ? domains.size() : domains.find(';') + 1));
      const std::size_t equals = domain.find('=');
      bool found = false;
      for (std::string_view there = line.substr(mark + 1); !there.empty() && equals != std::string_view::npos;) {
        const std::string_view one = Trim(there.substr(0, there.find(';')));
        there.remove_prefix(there.find(';') == std::string_view::npos ? there.size() : there.find(';') + 1);
        const std::size_t same = one.find('=');
        found = found ||
                (same != std::string_view::npos && number(one.substr(0, same)) == number(domain.substr(0, equals)) &&
                 number(Trim(one.substr(same + 1))) == number(Trim(domain.substr(equals + 1))));
      }
      if (!found) {
        return false;
      }
    }
    return true;
  }
  return false;
}

constexpr std::size_t kMaxSchemata = std::size_t{1} << 20;

// A group that is there already is somebody else's: it must be what the bundle asks for, and is not changed.
Result<> CompareSchemata(const std::string& directory, const std::vector<std::string>& lines) {
  const std::string present = TRY(ReadFile(directory + "/schemata", kMaxSchemata));
  for (const std::string& line : lines) {
    if (!Holds(present, line)) {
      return std::unexpected(
          Failure("linux.intelRdt: " + directory + " exists with another schema than \"" + line + "\"", EEXIST));
    }
  }
  return {};
}

Result<> WriteSchemata(const std::string& directory, const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) {
    text += line + "\n";
  }
  return text.empty() ? Result<>{} : WriteFile(directory + "/schemata", text);
}

Result<> MakeMonitor(oci::StateResctrl& group, const std::string& id) {
  const std::string directory = group.directory + "/mon_groups/" + id;
  if (::mkdir(directory.c_str(), 0755) != 0) {
    return std::unexpected(SysError("linux.intelRdt.enableMonitoring: mkdir", directory));
  }
  group.monitor = directory;
  return {};
}

Result<> Fill(oci::StateResctrl& group, const oci::IntelRdt& rdt, const std::string& id, bool existed) {
  const std::vector<std::string> lines = SchemataLines(rdt);
  if (existed) {
    TRY(CompareSchemata(group.directory, lines));
  } else {
    TRY_IN("linux.intelRdt", WriteSchemata(group.directory, lines));
  }
  return rdt.enable_monitoring ? MakeMonitor(group, id) : Result<>{};
}

}  // namespace

std::string FindMount(std::string_view mountinfo) {
  for (std::string_view rest = mountinfo; !rest.empty();) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const std::size_t dash = line.find(" - resctrl ");
    if (dash == std::string_view::npos) {
      continue;
    }
    // The fifth word is the mount point.
    std::string_view words = line.substr(0, dash);
    for (int word = 0; word < 4; ++word) {
      words.remove_prefix(std::min(words.size(), words.find(' ') + 1));
    }
    return std::string{words.substr(0, words.find(' '))};
  }
  return {};
}

Result<std::string> ReadMount() {
  constexpr std::size_t kMax = std::size_t{64} << 20;
  return FindMount(TRY(ReadFile("/proc/self/mountinfo", kMax)));
}

Result<oci::StateResctrl> Create(const std::string& mount, const oci::IntelRdt& rdt, const std::string& id) {
  if (mount.empty()) {
    return std::unexpected(Failure("linux.intelRdt: resctrl is not mounted on this host", ENOTSUP));
  }
  oci::StateResctrl group;
  const bool default_group = rdt.clos_id == "/";
  group.directory = default_group ? mount : mount + "/" + (rdt.clos_id.empty() ? id : rdt.clos_id);
  bool existed = default_group;
  if (!default_group && ::mkdir(group.directory.c_str(), 0755) != 0) {
    if (errno != EEXIST) {
      return std::unexpected(SysError("linux.intelRdt: mkdir", group.directory));
    }
    existed = true;
  }
  // A group with a name of its own may be shared: it stays when the container goes.
  group.created = !existed && rdt.clos_id.empty();
  if (Result<> filled = Fill(group, rdt, id, existed); !filled) {
    (void)Remove(group);
    if (!existed) {
      ::rmdir(group.directory.c_str());
    }
    return std::unexpected(filled.error());
  }
  return group;
}

Result<> Attach(const oci::StateResctrl& group, pid_t pid) {
  const std::string text = std::to_string(pid);
  TRY_IN("linux.intelRdt", WriteFile(group.directory + "/tasks", text));
  if (!group.monitor.empty()) {
    TRY_IN("linux.intelRdt", WriteFile(group.monitor + "/tasks", text));
  }
  return {};
}

Result<> AttachThreads(const oci::StateResctrl& group, pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/task";
  DIR* const threads = ::opendir(path.c_str());
  if (threads == nullptr) {
    return errno == ENOENT ? Result<>{} : std::unexpected(SysError("open", path));
  }
  Result<> outcome;
  while (const dirent* entry = outcome ? ::readdir(threads) : nullptr) {
    const std::string_view name{entry->d_name};
    pid_t thread = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), thread).ec != std::errc{}) {
      continue;
    }
    outcome = Attach(group, thread);
    if (!outcome && outcome.error().code == ESRCH) {
      outcome = {};
    }
  }
  ::closedir(threads);
  return outcome;
}

Result<std::string> Update(const std::string& mount, const oci::StateResctrl& group, const oci::IntelRdt& rdt) {
  if (group.directory == mount) {
    return std::unexpected(Failure("the container is in resctrl's default group, which is the host's", EPERM));
  }
  std::string before = TRY(ReadFile(group.directory + "/schemata", kMaxSchemata));
  if (Result<> written = WriteSchemata(group.directory, SchemataLines(rdt)); !written) {
    // The kernel takes a write line by line: the first may have been good.
    (void)Restore(group, before);
    return std::unexpected(written.error());
  }
  return before;
}

Result<> Restore(const oci::StateResctrl& group, const std::string& schemata) {
  return WriteFile(group.directory + "/schemata", schemata);
}

Result<> Remove(const oci::StateResctrl& group) {
  Result<> outcome;
  const auto remove = [&outcome](const std::string& directory) {
    if (!directory.empty() && ::rmdir(directory.c_str()) != 0 && errno != ENOENT && outcome) {
      outcome = std::unexpected(SysError("rmdir", directory));
    }
  };
  remove(group.monitor);
  remove(group.created ? group.directory : "");
  return outcome;
}

}  // namespace nucleus::resctrl
