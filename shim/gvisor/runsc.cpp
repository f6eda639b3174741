#include "shim/gvisor/runsc.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "base/sha256.h"
#include "runtime/sys/syscalls.h"
#include "shim/gvisor/invoke.h"

namespace nucleus::gvisor {
namespace {

constexpr auto kPlaces =
    std::to_array<const char*>({"/usr/local/bin/runsc", "/usr/bin/runsc", "/usr/local/sbin/runsc", "/usr/sbin/runsc",
                                "/run/current-system/sw/bin/runsc", "/nix/var/nix/profiles/default/bin/runsc"});
constexpr const char* kCacheDirectory = "/run/nucleus-gvisor";
constexpr int kProbeMs = 10000;
constexpr std::size_t kMaxCacheBytes = 65536;
// runsc's own date of the change: https://github.com/google/gvisor/issues/12692.
constexpr std::uint32_t kExecFilteredSince = 20260401;

Result<> CheckOwner(const Fd& file, const std::string& path) {
  const struct stat status = TRY(sys::Fstat(file.get(), path));
  if (!S_ISREG(status.st_mode)) {
    return std::unexpected(Failure(path + ": not a regular file", EINVAL));
  }
  if (status.st_uid != 0 || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    return std::unexpected(Failure(path + ": is not root's alone to change", EPERM));
  }
  if ((status.st_mode & S_IXUSR) == 0) {
    return std::unexpected(Failure(path + ": not executable: permission denied", EACCES));
  }
  return {};
}

// O_NONBLOCK: a FIFO is not waited for.
constexpr int kOpen = O_RDONLY | O_NONBLOCK | O_NOCTTY;

Result<Fd> OpenPinned(const oci::Pin& pin, const std::string& bundle) {
  if (pin.path.starts_with('/')) {
    return sys::Open(pin.path, kOpen | O_NOFOLLOW);
  }
  const Fd directory = TRY(sys::Open(bundle, O_PATH | O_DIRECTORY));
  return sys::OpenAt2(directory.get(), pin.path, kOpen, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

Result<> OpenTrusted(Runsc& runsc) {
  for (const char* place : kPlaces) {
    Result<Fd> file = sys::Open(place, kOpen);
    if (file) {
      runsc.path = place;
      runsc.file = std::move(*file);
      return CheckOwner(runsc.file, runsc.path);
    }
    if (file.error().code != ENOENT && file.error().code != ENOTDIR) {
      return std::unexpected(file.error());
    }
  }
  return std::unexpected(Failure(
      "runsc is not installed: neither " + std::string{kPlaces[0]} + " nor " + kPlaces[1] + " is there", ENOENT));
}

Result<std::string> DigestOf(const Fd& file, const std::string& path) {
  Sha256 hash;
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  std::string buffer(kPiece, '\0');
  for (off_t at = 0;;) {
    const ssize_t size = ::pread(file.get(), buffer.data(), buffer.size(), at);
    if (size < 0 && errno != EINTR) {
      return std::unexpected(SysError("read", path));
    }
    if (size == 0) {
      return Hex(hash.Finish());
    }
    if (size > 0) {
      hash.Update(buffer.data(), static_cast<std::size_t>(size));
      at += size;
    }
  }
}

Result<std::string> Ask(const Fd& file, const char* question) {
  std::vector<oci::Degradation> degradations;
  const Confinement confinement = TRY(MakeConfinement({.part = Part::kProbe}, degradations));
  const Ended ended =
      TRY(RunToEnd({.program = file.get(), .arguments = {question}, .confinement = &confinement}, kProbeMs));
  if (ended.status != 0) {
    return std::unexpected(Failure(std::string{"runsc "} + question + ": " + ended.Said(), EIO));
  }
  return ended.output;
}

// ---- what is known of a file, kept

std::string CacheName(const struct stat& status) {
  std::string name;
  for (const auto number :
       {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino),
        static_cast<std::uint64_t>(status.st_size), static_cast<std::uint64_t>(status.st_mtim.tv_sec),
        static_cast<std::uint64_t>(status.st_mtim.tv_nsec), static_cast<std::uint64_t>(status.st_ctim.tv_sec),
        static_cast<std::uint64_t>(status.st_ctim.tv_nsec)}) {
    name += (name.empty() ? "" : "-") + std::to_string(number);
  }
  return name;
}

// Empty where it cannot be used: everything is asked anew then.
Fd OpenCache() {
  ::mkdir(kCacheDirectory, 0700);
  Fd directory{::open(kCacheDirectory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  struct stat status{};
  if (directory &&
      (::fstat(directory.get(), &status) != 0 || status.st_uid != 0 || (status.st_mode & (S_IRWXG | S_IRWXO)) != 0)) {
    directory.Reset();
  }
  return directory;
}

// The digest, a newline, its version's text, a NUL, the text on its flags.
std::optional<std::array<std::string, 3>> ReadCache(const Fd& directory, const std::string& name) {
  const Fd file{directory ? ::openat(directory.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
                          : -1};
  const Result<std::string> text = file ? ReadAll(file.get(), kMaxCacheBytes, name) : std::string{};
  if (!text || text->size() <= kSha256HexDigits) {
    return std::nullopt;
  }
  const std::size_t end = text->find('\0');
  if (end == std::string::npos || !IsSha256Hex(text->substr(0, kSha256HexDigits))) {
    return std::nullopt;
  }
  return std::array{text->substr(0, kSha256HexDigits), text->substr(kSha256HexDigits + 1, end - kSha256HexDigits - 1),
                    text->substr(end + 1)};
}

void WriteCache(const Fd& directory, const std::string& name, const std::array<std::string, 3>& facts) {
  if (!directory) {
    return;
  }
  const std::string temporary = ".new-" + std::to_string(::getpid());
  Fd file{::openat(directory.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600)};
  const std::string text = facts[0] + "\n" + facts[1] + std::string(1, '\0') + facts[2];
  if (!file || !WriteAll(file.get(), text, name) ||
      ::renameat(directory.get(), temporary.c_str(), directory.get(), name.c_str()) != 0) {
    ::unlinkat(directory.get(), temporary.c_str(), 0);
  }
}

Result<std::array<std::string, 3>> Examine(const Runsc& runsc) {
  return std::array{TRY(DigestOf(runsc.file, runsc.path)), TRY(Ask(runsc.file, "--version")),
                    TRY(Ask(runsc.file, "flags"))};
}

std::string_view LineWith(std::string_view text, std::string_view start) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.starts_with(start)) {
      return line;
    }
    at = end + 1;
  }
  return {};
}

std::uint32_t DateIn(std::string_view version) {
  constexpr std::size_t kDigits = 8;
  for (std::size_t at = 0; at + kDigits <= version.size(); ++at) {
    std::uint32_t date = 0;
    const char* start = version.data() + at;
    if (std::from_chars(start, start + kDigits, date).ptr == start + kDigits && date > 20180000 && date < 99991232) {
      return date;
    }
  }
  return 0;
}

// "specifies which platform to use: ptrace (default), kvm."
std::vector<std::string> PlatformsIn(std::string_view flags) {
  std::vector<std::string> platforms;
  const std::size_t flag = flags.find("\n  -platform string");
  const std::size_t colon = flags.find("platform to use:", flag);
  if (flag == std::string_view::npos || colon == std::string_view::npos) {
    return platforms;
  }
  const std::string_view text = flags.substr(colon, flags.find('\n', colon) - colon);
  for (const char* name : {"systrap", "ptrace", "kvm"}) {
    const std::size_t at = text.find(name);
    if (at != std::string_view::npos) {
      const bool first = text.substr(at + std::string_view{name}.size()).starts_with(" (default)");
      platforms.insert(first ? platforms.begin() : platforms.end(), name);
    }
  }
  return platforms;
}

}  // namespace

bool Abilities::Has(std::string_view flag) const {
  return std::ranges::find(flags, flag) != flags.end();
}

bool Abilities::FiltersExec() const {
  return date >= kExecFilteredSince;
}

Abilities OfVersion(std::string version) {
  Abilities result;
  result.date = DateIn(version);
  result.version = std::move(version);
  return result;
}

Result<Abilities> ParseAbilities(std::string_view version, std::string_view flags) {
  constexpr std::string_view kStart = "runsc version ";
  const std::string_view line = LineWith(version, kStart);
  if (line.empty()) {
    return std::unexpected(Failure("it does not say that it is runsc", EINVAL));
  }
  Abilities result = OfVersion(std::string{line.substr(kStart.size())});
  result.platforms = PlatformsIn(flags);
  constexpr std::string_view kFlag = "\n  -";
  for (std::size_t at = flags.find(kFlag); at != std::string_view::npos; at = flags.find(kFlag, at)) {
    at += kFlag.size();
    result.flags.emplace_back(flags.substr(at, flags.find_first_of(" \n", at) - at));
  }
  for (const char* needed : {"root", "network", "ignore-cgroups", "log"}) {
    if (!result.Has(needed)) {
      return std::unexpected(Failure(std::string{"it has no flag --"} + needed, ENOTSUP));
    }
  }
  return result;
}

Result<Runsc> FindRunsc(const std::optional<oci::Pin>& pin, const std::string& bundle) {
  constexpr const char* kKey = "annotations[\"dev.nucleus.gvisor.runsc\"]";
  Runsc runsc;
  if (pin) {
    runsc.path = pin->path;
    runsc.file = TRY_IN(kKey, OpenPinned(*pin, bundle));
    TRY_IN(kKey, CheckOwner(runsc.file, runsc.path));
  } else {
    TRY(OpenTrusted(runsc));
  }
  const std::string name = CacheName(TRY(sys::Fstat(runsc.file.get(), runsc.path)));
  const Fd cache = OpenCache();
  std::optional<std::array<std::string, 3>> facts = ReadCache(cache, name);
  if (!facts) {
    // A pinned file is not even asked before it is known to be the one.
    if (pin && !pin->digest.empty()) {
      const std::string digest = TRY(DigestOf(runsc.file, runsc.path));
      if (digest != pin->digest) {
        return std::unexpected(Failure(
            std::string{kKey} + ": " + runsc.path + " is sha256:" + digest + ", pinned is sha256:" + pin->digest,
            EBADMSG));
      }
    }
    facts = TRY_IN(runsc.path, Examine(runsc));
    if (CacheName(TRY(sys::Fstat(runsc.file.get(), runsc.path))) != name) {
      return std::unexpected(Failure(runsc.path + ": changed while it was read", ESTALE));
    }
    TRY_IN(runsc.path, ParseAbilities((*facts)[1], (*facts)[2]));
    WriteCache(cache, name, *facts);
  }
  runsc.digest = (*facts)[0];
  if (pin && !pin->digest.empty() && pin->digest != runsc.digest) {
    return std::unexpected(Failure(
        std::string{kKey} + ": " + runsc.path + " is sha256:" + runsc.digest + ", pinned is sha256:" + pin->digest,
        EBADMSG));
  }
  runsc.abilities = TRY_IN(runsc.path, ParseAbilities((*facts)[1], (*facts)[2]));
  return runsc;
}

Result<Fd> RunscOf(const oci::State& state) {
  const std::string link = "/proc/" + std::to_string(state.pid) + "/exe";
  Fd file = TRY_IN("the sandbox's runsc", sys::Open(link, O_RDONLY));
  const struct stat status = TRY(sys::Fstat(file.get(), link));
  if (status.st_dev != state.gvisor.device || status.st_ino != state.gvisor.inode) {
    return std::unexpected(Failure("the sandbox's process runs another file than the runsc it was made with", ESTALE));
  }
  return file;
}

}  // namespace nucleus::gvisor
