#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "runtime/trace/observe.h"
#include "runtime/trace/propose.h"

namespace nucleus::trace {
namespace {

constexpr std::size_t kFew = 3;  // files of one directory that get rules of their own
constexpr std::size_t kMostEvidence = 6;
constexpr std::size_t kMostRules = 1000;

// What is installed there is read and executed; where programs are started, the kernel opens the loader by itself.
constexpr auto kSystem =
    std::to_array<std::string_view>({"/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr"});
// Of these each process has entries of its own, which come and go.
constexpr auto kVolatile = std::to_array<std::string_view>({"/proc", "/sys"});
// Landlock policies of nucleus leave these usable in any case.
constexpr auto kAlways =
    std::to_array<std::string_view>({"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty",
                                     "/dev/console", "/dev/pts", "/dev/ptmx"});
// In the order in which a rule has them.
constexpr auto kWords =
    std::to_array<std::string_view>({"read", "write", "execute", "create", "remove", "refer", "truncate"});

using Programs = std::map<std::string, std::map<std::string, std::uint64_t>>;

struct Rule {
  std::set<std::string> access;
  Programs evidence;
};

std::string ParentOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool IsBelow(std::string_view path, std::string_view directory) {
  return directory == "/" || path == directory || (path.starts_with(directory) && path[directory.size()] == '/');
}

// A TOML basic string.
std::string Quote(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      quoted += escape.data();
    } else {
      quoted += c;
    }
  }
  return quoted + "\"";
}

bool ChangesEntries(const std::string& use) {
  return use == "create" || use == "remove" || use == "refer";
}

class Proposal {
 public:
  Proposal(const Trace& trace, const KindOf& kind_of) : trace_(trace), kind_of_(kind_of) {
  }

  std::string Write() {
    Gather();
    Widen();
    Prune();
    LetMovedFilesKeepTheirRights();
    std::string text =
        "# Proposed by `nucleus learn`: read it, and strike what should not be.\n"
        "# Above each rule: who did it, by which system calls, how many times. Not seen are ioctl on devices, and "
        "what\n"
        "# 32-bit programs do.\n";
    for (const std::string& comment : comments_) {
      text += "# " + comment + "\n";
    }
    const std::string tcp = Tcp();
    text += tcp.empty() ? "\n# No TCP port was bound or connected to: all are refused.\ntcp = []\n" : "";
    for (const auto& [path, rule] : rules_) {
      text += "\n# " + Evidence(rule.evidence) + "\n[[rules]]\npath = " + Quote(path) + "\naccess = [";
      bool first = true;
      for (const std::string_view word : kWords) {
        if (rule.access.contains(std::string{word})) {
          text += std::string{first ? "" : ", "} + "\"" + std::string{word} + "\"";
          first = false;
        }
      }
      text += "]\n";
    }
    return text + tcp;
  }

 private:
  void Add(const std::string& path, const Access& access, std::uint64_t count) {
    Rule& rule = rules_[path];
    rule.access.insert(access.use);
    if (access.use == "execute") {
      rule.access.insert("read");  // the kernel reads what it executes
    }
    std::uint64_t& total = rule.evidence[access.program][access.syscall];
    total += std::min(count, UINT64_MAX - total);
  }

  [[nodiscard]] std::string ExistingDirectory(std::string path) const {
    while (path != "/" && kind_of_(path) != Kind::kDirectory) {
      path = ParentOf(path);
    }
    return path;
  }

  void Place(const Access& access, std::uint64_t count, bool came_and_went) {
    if (access.use == "execute" && IsBelow(access.what, "/proc")) {
      return;  // a link to a program that lies elsewhere and runs already
    }
    for (const std::string_view directory : kVolatile) {
      if (IsBelow(access.what, directory)) {
        Add(std::string{directory}, access, count);
        return;
      }
    }
    const Kind kind = kind_of_(access.what);
    if (kind == Kind::kMissing && !came_and_went) {
      return;  // looked for and not there
    }
    const bool by_entry = ChangesEntries(access.use) || kind == Kind::kMissing;
    const std::string path = by_entry ? ExistingDirectory(ParentOf(access.what)) : access.what;
    if (path == "/") {
      const bool listed = access.what == "/";
      const std::string what = listed ? "\"/\" was listed" : Quote(access.what) + ": " + access.use;
      comments_.insert("Not proposed, for it would hold for all of the root filesystem: " + what + ".");
      return;
    }
    Add(path, access, count);
  }

  void Gather() {
    std::set<std::string> changed;  // what was made or removed while it ran
    for (const auto& [access, count] : trace_.files) {
      if (access.use != "read" && access.use != "execute") {
        changed.insert(access.what);
      }
    }
    for (const auto& [access, count] : trace_.files) {
      if (std::ranges::find(kWords, access.use) == kWords.end() ||
          access.what.find("\xEF\xBF\xBD") != std::string::npos || PlainPath("/", access.what) != access.what) {
        comments_.insert("Not proposed: " + Quote(access.what) + ", no UTF-8, or not as a tracer writes it.");
        continue;
      }
      const bool always =
          std::ranges::any_of(kAlways, [&access](std::string_view path) { return IsBelow(access.what, path); });
      if (!always) {
        Place(access, count, changed.contains(access.what));
      }
    }
  }

  void Merge(const std::string& from, const std::string& to) {
    Rule rule = rules_.extract(from).mapped();
    Rule& into = rules_[to];
    into.access.merge(rule.access);
    for (const auto& [program, calls] : rule.evidence) {
      for (const auto& [call, count] : calls) {
        std::uint64_t& total = into.evidence[program][call];
        total += std::min(count, UINT64_MAX - total);
      }
    }
  }

  [[nodiscard]] std::vector<std::string> Paths() const {
    std::vector<std::string> paths;
    paths.reserve(rules_.size());
    for (const auto& [path, rule] : rules_) {
      paths.push_back(path);
    }
    return paths;
  }

  void Widen() {
    bool executes = false;
    for (const std::string& path : Paths()) {
      const std::set<std::string>& access = rules_.at(path).access;
      executes = executes || access.contains("execute");
      const bool reads = std::ranges::all_of(access, [](const auto& use) { return use == "read" || use == "execute"; });
      for (const std::string_view directory : kSystem) {
        if (reads && path != directory && IsBelow(path, directory)) {
          Merge(path, std::string{directory});
          break;
        }
      }
    }
    for (const std::string_view directory : kSystem) {
      const std::string path{directory};
      const bool loader = executes && directory.starts_with("/lib") && kind_of_(path) == Kind::kDirectory;
      if (rules_.contains(path) || loader) {
        rules_[path].access.insert({"read", "execute"});
      }
      if (loader) {
        rules_[path].evidence["the kernel"].try_emplace("opens the loader of programs", 1);
      }
    }
    std::map<std::string, std::vector<std::string>> files;
    for (const std::string& path : Paths()) {
      if (kind_of_(path) == Kind::kFile && ParentOf(path) != "/") {
        files[ParentOf(path)].push_back(path);
      }
    }
    for (const auto& [directory, in_it] : files) {
      for (const std::string& path : in_it.size() > kFew ? in_it : std::vector<std::string>{}) {
        Merge(path, directory);
      }
    }
  }

  // A rule that a directory above grants already says nothing.
  void Prune() {
    for (const std::string& path : Paths()) {
      for (std::string above = ParentOf(path); above != "/"; above = ParentOf(above)) {
        const auto wider = rules_.find(above);
        if (wider != rules_.end() && std::ranges::includes(wider->second.access, rules_.at(path).access)) {
          Merge(path, above);
          break;
        }
      }
    }
    while (rules_.size() > kMostRules) {
      comments_.insert("Not proposed, too many: " + Quote(rules_.rbegin()->first) + ".");
      rules_.erase(std::prev(rules_.end()));
    }
  }

  // The kernel refuses to move a file to where more may be done with it. Which directories go together is not known.
  void LetMovedFilesKeepTheirRights() {
    std::set<std::string> of_files;
    for (const auto& [path, rule] : rules_) {
      for (const char* use : {"read", "write", "execute", "truncate"}) {
        if (rule.access.contains("refer") && rule.access.contains(use)) {
          of_files.insert(use);
        }
      }
    }
    for (auto& [path, rule] : rules_) {
      if (rule.access.contains("refer")) {
        rule.access.insert(of_files.begin(), of_files.end());
      }
    }
    if (!of_files.empty()) {
      comments_.insert(
          "Directories between which files are moved have the same rights on files, or the kernel refuses.");
    }
  }

  [[nodiscard]] std::string Tcp() const {
    std::map<unsigned, Rule> ports;
    for (const auto& [access, count] : trace_.connections) {
      const std::size_t space = access.what.find(' ');
      if (!access.what.starts_with("tcp/") || space == std::string::npos) {
        continue;
      }
      std::uint16_t port = 0;
      const char* end = access.what.data() + space;
      const auto [rest, error] = std::from_chars(access.what.data() + 4, end, port);
      if (error == std::errc{} && rest == end && (access.use == "bind" || access.use == "connect")) {
        ports[port].access.insert(access.use);
        ports[port].evidence[access.program][access.syscall] += count;
      }
    }
    std::string text;
    for (const auto& [port, rule] : ports) {
      text += "\n# " + Evidence(rule.evidence) + "\n[[tcp]]\nport = " + std::to_string(port) + "\naccess = [";
      for (const std::string& use : rule.access) {
        text += (use == *rule.access.begin() ? "\"" : ", \"") + use + "\"";
      }
      text += "]\n";
    }
    return text;
  }

  const Trace& trace_;
  const KindOf& kind_of_;
  std::map<std::string, Rule> rules_;
  std::set<std::string> comments_;
};

}  // namespace

std::string Evidence(const Programs& by_program) {
  std::string text;
  std::size_t programs = 0;
  for (const auto& [program, calls] : by_program) {
    if (programs++ == kMostEvidence) {
      text += "; and " + std::to_string(by_program.size() - kMostEvidence) + " more";
      break;
    }
    text += (text.empty() ? "" : "; ") + program + ":";
    std::string_view comma = " ";
    for (const auto& [call, count] : calls) {
      text += std::string{comma} + call + " " + std::to_string(count);
      comma = ", ";
    }
  }
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

std::string ProposeLandlock(const Trace& trace, const KindOf& kind_of) {
  return Proposal{trace, kind_of}.Write();
}

}  // namespace nucleus::trace
