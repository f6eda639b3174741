#include "runtime/confine/landlock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "runtime/sys/syscalls.h"

namespace nucleus::confine {
namespace {

// linux/landlock.h of the newest ABI; Debian 12's is older than the kernels that it runs on.
struct RulesetAttributes {
  std::uint64_t handled_fs;
  std::uint64_t handled_net;  // ABI 4
  std::uint64_t scoped;       // ABI 6
};
struct [[gnu::packed]] PathBeneath {
  std::uint64_t allowed;
  std::int32_t parent;
};
struct NetPort {
  std::uint64_t allowed;
  std::uint64_t port;
};
constexpr int kRulePathBeneath = 1;
constexpr int kRuleNetPort = 2;
constexpr unsigned kVersion = 1;  // LANDLOCK_CREATE_RULESET_VERSION

constexpr std::uint64_t kExecute = 1 << 0;
constexpr std::uint64_t kWriteFile = 1 << 1;
constexpr std::uint64_t kReadFile = 1 << 2;
constexpr std::uint64_t kReadDir = 1 << 3;
constexpr std::uint64_t kRemove = 1 << 4 | 1 << 5;     // directories, files
constexpr std::uint64_t kMake = 0x1fc0;                // devices, directories, files, sockets, FIFOs, symbolic links
constexpr std::uint64_t kRefer = 1 << 13;              // ABI 2
constexpr std::uint64_t kTruncate = 1 << 14;           // ABI 3
constexpr std::uint64_t kIoctl = 1 << 15;              // ABI 5
constexpr std::uint64_t kFirstRights = (1 << 13) - 1;  // ABI 1
constexpr std::uint64_t kOfFiles = kExecute | kWriteFile | kReadFile | kTruncate | kIoctl;

constexpr std::uint64_t kAllTcp = 3;  // bind, connect: the bits of policies::LandlockTcp
static_assert(policies::kLandlockBind == 1 && policies::kLandlockConnect == 2);
constexpr int kAbiOfTcp = 4;
constexpr int kAbiOfScopes = 6;

std::uint64_t HandledRights(int abi) {
  return kFirstRights | (abi >= 2 ? kRefer : 0) | (abi >= 3 ? kTruncate : 0) | (abi >= 5 ? kIoctl : 0);
}

std::uint64_t Rights(unsigned access) {
  constexpr auto kWords =
      std::to_array<std::pair<unsigned, std::uint64_t>>({{policies::kLandlockRead, kReadFile | kReadDir},
                                                         {policies::kLandlockWrite, kWriteFile},
                                                         {policies::kLandlockExecute, kExecute},
                                                         {policies::kLandlockCreate, kMake},
                                                         {policies::kLandlockRemove, kRemove},
                                                         {policies::kLandlockRefer, kRefer},
                                                         {policies::kLandlockTruncate, kTruncate},
                                                         {policies::kLandlockIoctl, kIoctl}});
  std::uint64_t rights = 0;
  for (const auto& [word, bits] : kWords) {
    rights |= (access & word) != 0 ? bits : 0;
  }
  return rights;
}

// A right that only directories have, given to a file, grants nothing: whoever wrote it meant something else.
constexpr unsigned kWordsOfDirectories =
    policies::kLandlockCreate | policies::kLandlockRemove | policies::kLandlockRefer;

Result<> AddPath(int ruleset, int path, std::uint64_t rights, const std::string& name) {
  const PathBeneath rule{.allowed = rights, .parent = path};
  if (::syscall(SYS_landlock_add_rule, ruleset, kRulePathBeneath, &rule, 0) != 0) {
    return std::unexpected(SysError("landlock_add_rule", name));
  }
  return {};
}

Result<Fd> OpenInside(const std::string& path, std::uint64_t resolve = 0) {
  return sys::OpenAt2(AT_FDCWD, path, O_PATH, RESOLVE_NO_MAGICLINKS | resolve);
}

Result<> AddRule(int ruleset, const policies::LandlockRule& rule, std::uint64_t handled) {
  const Fd path = TRY(OpenInside(rule.path));
  struct stat status{};
  if (::fstat(path.get(), &status) != 0) {
    return std::unexpected(SysError("stat", rule.path));
  }
  std::uint64_t rights = Rights(rule.access) & handled;
  if (!S_ISDIR(status.st_mode)) {
    if ((rule.access & kWordsOfDirectories) != 0 && !rule.as_it_fits) {
      return std::unexpected(
          Failure("\"" + rule.path + "\" is no directory: create, remove and refer cannot be had of it", ENOTDIR));
    }
    rights &= kOfFiles;
  }
  // The kernel wants at least one right; a word that this ABI does not know was refused by the plan.
  return rights == 0 ? Result<>{} : AddPath(ruleset, path.get(), rights, rule.path);
}

// Absent in a rootfs without a /dev of its own: then nobody can miss them.
Result<> AddDevices(int ruleset, std::uint64_t handled) {
  std::vector<Fd> paths;
  for (const char* name :
       {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/console", "/dev/pts"}) {
    Result<Fd> path = OpenInside(name, RESOLVE_NO_SYMLINKS);
    if (!path) {
      continue;
    }
    struct stat status{};
    if (::fstat(path->get(), &status) != 0) {
      return std::unexpected(SysError("stat", name));
    }
    // What lies there instead of a device is for the policy's own rules.
    if (S_ISCHR(status.st_mode)) {
      TRY(AddPath(ruleset, path->get(), (kReadFile | kWriteFile | kIoctl) & handled, name));
    } else if (S_ISDIR(status.st_mode)) {
      TRY(AddPath(ruleset, path->get(), (kReadFile | kWriteFile | kReadDir | kIoctl) & handled, name));
    }
    paths.push_back(*std::move(path));
  }
  sys::CloseAll(paths);
  return {};
}

}  // namespace

int LandlockAbi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, kVersion);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

Result<Fd> MakeLandlockRuleset(const policies::LandlockPolicy& policy, int abi) {
  RulesetAttributes attributes{};
  attributes.handled_fs = HandledRights(abi);
  attributes.handled_net = policy.handles_tcp ? kAllTcp : 0;
  attributes.scoped = policy.scope;  // likewise of LandlockScope
  static_assert(policies::kLandlockAbstractUnix == 1 && policies::kLandlockSignal == 2);
  // An older kernel takes a larger structure as long as what it does not know is zero.
  Fd ruleset{static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0))};
  if (!ruleset) {
    return std::unexpected(SysError("landlock_create_ruleset", ""));
  }
  for (const policies::LandlockRule& rule : policy.rules) {
    TRY(AddRule(ruleset.get(), rule, attributes.handled_fs));
  }
  for (const policies::LandlockPort& port : policy.tcp) {
    const NetPort rule{.allowed = port.access, .port = port.port};
    if (::syscall(SYS_landlock_add_rule, ruleset.get(), kRuleNetPort, &rule, 0) != 0) {
      return std::unexpected(SysError("landlock_add_rule", "tcp " + std::to_string(port.port)));
    }
  }
  TRY(AddDevices(ruleset.get(), attributes.handled_fs));
  return ruleset;
}

Result<Fd> MakeLandlockScope(bool tcp, unsigned scope, int abi) {
  RulesetAttributes attributes{};
  attributes.handled_net = tcp && abi >= kAbiOfTcp ? kAllTcp : 0;
  attributes.scoped = abi >= kAbiOfScopes ? scope : 0;
  if (attributes.handled_net == 0 && attributes.scoped == 0) {
    return Fd{};
  }
  Fd ruleset{static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, sizeof attributes, 0))};
  if (!ruleset) {
    return std::unexpected(SysError("landlock_create_ruleset", ""));
  }
  return ruleset;
}

Result<> AllowFile(int ruleset, int file, unsigned access, int abi, const std::string& name) {
  const bool directory = S_ISDIR(TRY(sys::Fstat(file, name)).st_mode);
  return AddPath(ruleset, file, Rights(access) & HandledRights(abi) & (directory ? ~std::uint64_t{0} : kOfFiles), name);
}

Result<> EnterLandlock(int ruleset) {
  if (::syscall(SYS_landlock_restrict_self, ruleset, 0) != 0) {
    return std::unexpected(SysError("landlock_restrict_self", ""));
  }
  return {};
}

}  // namespace nucleus::confine
