// Which hierarchies are mounted, and where this process stands in each.

#include <algorithm>
#include <map>

#include "runtime/cgroup/cgroup.h"

namespace nucleus::cgroup {
namespace {

// Large hosts have thousands of mounts, each a line of a few hundred bytes.
constexpr std::size_t kMaxMountinfo = std::size_t{64} << 20;

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  }
  return parts;
}

// mountinfo writes blank, tab, newline and backslash as \ooo.
std::string Unescape(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      result += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      result += text[i];
    }
  }
  return result;
}

// "4:memory:/a" → name and path; "1:name=systemd:/", "0::/".
std::map<std::string, std::string, std::less<>> ParseSelf(std::string_view text) {
  std::map<std::string, std::string, std::less<>> paths;
  for (const std::string_view line : Split(text, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string_view::npos || second == std::string_view::npos) {
      continue;
    }
    paths[std::string{line.substr(first + 1, second - first - 1)}] = line.substr(second + 1);
  }
  return paths;
}

std::vector<std::string> Strings(const std::vector<std::string_view>& views) {
  return {views.begin(), views.end()};
}

}  // namespace

bool Host::unified() const {
  return !hierarchies.empty() &&
         std::all_of(hierarchies.begin(), hierarchies.end(), [](const Hierarchy& hierarchy) { return hierarchy.v2(); });
}

Result<Host> ParseHost(std::string_view mountinfo, std::string_view self_cgroup) {
  const auto own = ParseSelf(self_cgroup);
  Host host;
  for (const std::string_view line : Split(mountinfo, '\n')) {
    // 36 35 98:0 /root /mount/point options - type source superblock,options
    const std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos || line.find("cgroup", dash) == std::string_view::npos) {
      continue;
    }
    const std::vector<std::string_view> mount = Split(line.substr(0, dash), ' ');
    const std::vector<std::string_view> filesystem = Split(line.substr(dash + 3), ' ');
    if (mount.size() < 5 || filesystem.size() < 3) {
      return std::unexpected(Failure("malformed line in /proc/self/mountinfo", EINVAL));
    }
    const std::string_view type = filesystem[0];
    if (type != "cgroup" && type != "cgroup2") {
      continue;
    }
    Hierarchy hierarchy;
    hierarchy.mount_root = Unescape(mount[3]);
    hierarchy.mount_point = Unescape(mount[4]);
    if (type == "cgroup") {
      // The hierarchy is the line of /proc/self/cgroup whose controllers are all among the superblock's options.
      const std::vector<std::string_view> options = Split(filesystem[2], ',');
      for (const auto& [name, path] : own) {
        const std::vector<std::string_view> controllers = Split(name, ',');
        const bool all =
            !name.empty() && std::all_of(controllers.begin(), controllers.end(), [&](std::string_view one) {
              return std::find(options.begin(), options.end(), one) != options.end();
            });
        if (all) {
          hierarchy.name = name;
          hierarchy.own_path = path;
          hierarchy.controllers = Strings(controllers);
        }
      }
      if (hierarchy.name.empty()) {
        continue;
      }
    } else {
      const auto found = own.find("");
      if (found == own.end()) {
        continue;
      }
      hierarchy.own_path = found->second;
    }
    const bool known = std::any_of(host.hierarchies.begin(), host.hierarchies.end(),
                                   [&](const Hierarchy& other) { return other.name == hierarchy.name; });
    // Mounted more than once: the first is the one at the usual place.
    if (!known) {
      host.hierarchies.push_back(std::move(hierarchy));
    }
  }
  return host;
}

Result<Host> ReadHost() {
  const std::string mountinfo = TRY(ReadFile("/proc/self/mountinfo", kMaxMountinfo));
  const std::string self = TRY(ReadFile("/proc/self/cgroup", 65536));
  Host host = TRY(ParseHost(mountinfo, self));
  for (Hierarchy& hierarchy : host.hierarchies) {
    if (hierarchy.v2()) {
      const Result<std::string> controllers = ReadFile(hierarchy.mount_point + "/cgroup.controllers", 4096);
      if (controllers) {
        const std::string_view text{*controllers};
        hierarchy.controllers = Strings(Split(text.substr(0, text.find('\n')), ' '));
      }
    }
  }
  return host;
}

}  // namespace nucleus::cgroup
