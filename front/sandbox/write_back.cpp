#include "front/sandbox/write_back.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <vector>

#include "base/fd.h"
#include "front/sandbox/tree_walk.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::front {
namespace {

constexpr const char* kJournal = "journal";
constexpr const char* kNewJournal = "journal.new";
constexpr std::size_t kMaxJournal = std::size_t{256} << 20;
constexpr mode_t kModeBits = 0777;
constexpr struct stat kNothing{};
constexpr std::size_t kPiece = std::size_t{1} << 16;

enum class Kind : char { kRemove = 'd', kRemoveDirectory = 'r', kMakeDirectory = 'm', kPlace = 'p', kMode = 'c' };

// A step, done or not done yet: each looks at what is there, so that it may be carried out twice. `number` names the
// staged file, and `old-NUMBER` is where what was there goes.
struct Step {
  Kind kind{};
  std::size_t number = 0;
  mode_t mode = 0;
  std::string path;
};

struct Place {
  Fd parent;
  std::string name;
};

// No link on the way, and none out of the tree: what is there now need not be what was looked at.
Result<Place> PlaceOf(int tree, const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash);
  Place place;
  place.parent = TRY(sys::OpenAt2(tree, parent, O_PATH | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS));
  place.name = slash == std::string::npos ? path : path.substr(slash + 1);
  return place;
}

bool IsThere(int directory, const std::string& name) {
  struct stat status{};
  return ::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
}

std::string Old(const Step& step) {
  return "old-" + std::to_string(step.number);
}

Result<> Move(int from, const std::string& name, int to, const std::string& target, const std::string& path) {
  if (::renameat2(from, name.c_str(), to, target.c_str(), RENAME_NOREPLACE) != 0) {
    return std::unexpected(SysError("rename", path));
  }
  return {};
}

Result<> Carry(int tree, int stage, const Step& step) {
  // Done already: what it was in may have gone after it.
  if ((step.kind == Kind::kRemove && IsThere(stage, Old(step))) ||
      (step.kind == Kind::kPlace && !IsThere(stage, std::to_string(step.number)))) {
    return {};
  }
  Result<Place> found = PlaceOf(tree, step.path);
  if (!found && step.kind == Kind::kRemoveDirectory && found.error().code == ENOENT) {
    return {};
  }
  const Place place = TRY(std::move(found));
  const int parent = place.parent.get();
  switch (step.kind) {
    case Kind::kRemove:
      return Move(parent, place.name, stage, Old(step), step.path);
    case Kind::kRemoveDirectory:
      if (::unlinkat(parent, place.name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) {
        return std::unexpected(SysError("rmdir", step.path));
      }
      return {};
    case Kind::kMakeDirectory: {
      struct stat owner{};
      if (::fstat(tree, &owner) != 0) {
        return std::unexpected(SysError("stat", step.path));
      }
      if (::mkdirat(parent, place.name.c_str(), 0700) != 0 && errno != EEXIST) {
        return std::unexpected(SysError("mkdir", step.path));
      }
      if (::fchownat(parent, place.name.c_str(), owner.st_uid, owner.st_gid, AT_SYMLINK_NOFOLLOW) != 0) {
        return std::unexpected(SysError("chown", step.path));
      }
      [[fallthrough]];
    }
    case Kind::kMode: {
      const Fd directory = TRY(sys::OpenAt2(parent, place.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_BENEATH));
      return ::fchmod(directory.get(), step.mode) == 0 ? Result<>{} : std::unexpected(SysError("chmod", step.path));
    }
    case Kind::kPlace:
      if (IsThere(parent, place.name) && !IsThere(stage, Old(step))) {
        TRY(Move(parent, place.name, stage, Old(step), step.path));
      }
      return Move(stage, std::to_string(step.number), parent, place.name, step.path);
  }
  return std::unexpected(Failure("an unknown step", EINVAL));
}

// As far as it was done. `before` is what was there, of a directory.
void Undo(int tree, int stage, const Step& step, const struct stat& before) {
  const Result<Place> place = PlaceOf(tree, step.path);
  if (!place) {
    return;
  }
  const int parent = place->parent.get();
  switch (step.kind) {
    case Kind::kPlace:
      if (!IsThere(stage, std::to_string(step.number))) {
        (void)Move(parent, place->name, stage, std::to_string(step.number), step.path);
      }
      [[fallthrough]];
    case Kind::kRemove:
      if (IsThere(stage, Old(step))) {
        (void)Move(stage, Old(step), parent, place->name, step.path);
      }
      break;
    case Kind::kMakeDirectory:
      (void)::unlinkat(parent, place->name.c_str(), AT_REMOVEDIR);
      break;
    case Kind::kRemoveDirectory:
      if (::mkdirat(parent, place->name.c_str(), 0700) == 0) {
        (void)!::fchownat(parent, place->name.c_str(), before.st_uid, before.st_gid, AT_SYMLINK_NOFOLLOW);
      }
      [[fallthrough]];
    case Kind::kMode:
      (void)!::fchmodat(parent, place->name.c_str(), before.st_mode & kModeBits, 0);
      break;
  }
}

Result<> CopyBytes(int from, int to, const std::string& path) {
  std::array<char, kPiece> buffer{};
  for (;;) {
    const ssize_t count = ::read(from, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return std::unexpected(SysError("read", path));
    }
    if (count == 0) {
      return {};
    }
    TRY(WriteAll(to, {buffer.data(), static_cast<std::size_t>(count)}, path));
  }
}

Result<struct stat> StatusOf(int tree, const std::string& path) {
  const Place place = TRY(PlaceOf(tree, path));
  struct stat status{};
  if (::fstatat(place.parent.get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::unexpected(SysError("stat", path));
  }
  return status;
}

// What is to be at the step's path, under its number.
Result<> Stage(int tree, int copy, int stage, const Step& step) {
  const Place source = TRY(PlaceOf(copy, step.path));
  const std::string name = std::to_string(step.number);
  const struct stat status = TRY(StatusOf(copy, step.path));
  if (S_ISLNK(status.st_mode)) {
    const std::string target = TRY(sys::ReadLinkAt(source.parent.get(), source.name));
    if (::symlinkat(target.c_str(), stage, name.c_str()) != 0) {
      return std::unexpected(SysError("symlink", step.path));
    }
  } else {
    const Fd from = TRY(sys::OpenAt2(source.parent.get(), source.name, O_RDONLY | O_NOFOLLOW, RESOLVE_BENEATH));
    const Fd to{::openat(stage, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
    if (!to) {
      return std::unexpected(SysError("open", step.path));
    }
    TRY(CopyBytes(from.get(), to.get(), step.path));
    const std::array<timespec, 2> times{status.st_atim, status.st_mtim};
    // No set-user-id bit comes out of a sandbox.
    if (::fchmod(to.get(), status.st_mode & kModeBits) != 0 || ::futimens(to.get(), times.data()) != 0) {
      return std::unexpected(SysError("copy attributes of", step.path));
    }
  }
  Result<struct stat> owner = StatusOf(tree, step.path);
  if (!owner) {
    owner = sys::Fstat(tree, "the workspace");
  }
  TRY(owner);
  if (::fchownat(stage, name.c_str(), owner->st_uid, owner->st_gid, AT_SYMLINK_NOFOLLOW) != 0) {
    return std::unexpected(SysError("chown", step.path));
  }
  return {};
}

Result<std::vector<Step>> Steps(int copy, const TreeChanges& changes) {
  std::vector<Step> steps;
  const auto add = [&steps](Kind kind, const std::string& path, mode_t mode) {
    steps.push_back({.kind = kind, .number = steps.size(), .mode = mode, .path = path});
  };
  for (const std::string& path : changes.removed_files) {
    add(Kind::kRemove, path, 0);
  }
  for (const std::string& path : changes.removed_directories) {
    add(Kind::kRemoveDirectory, path, 0);
  }
  for (const std::string& path : changes.made_directories) {
    add(Kind::kMakeDirectory, path, TRY(StatusOf(copy, path)).st_mode & kModeBits);
  }
  for (const std::string& path : changes.placed) {
    add(Kind::kPlace, path, 0);
  }
  for (const std::string& path : changes.modes) {
    add(Kind::kMode, path, TRY(StatusOf(copy, path)).st_mode & kModeBits);
  }
  return steps;
}

// A step is "KIND MODE PATH\0", its number its place.
std::string Format(const std::vector<Step>& steps) {
  std::string text;
  for (const Step& step : steps) {
    text += static_cast<char>(step.kind);
    text += " " + std::to_string(step.mode) + " " + step.path;
    text += '\0';
  }
  return text;
}

Result<std::vector<Step>> ParseJournal(std::string_view text) {
  std::vector<Step> steps;
  while (!text.empty()) {
    const std::string line{text.substr(0, text.find('\0'))};
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const std::size_t space = line.find(' ', 2);
    if (line.size() < 5 || space == std::string::npos ||
        std::string_view{"drmpc"}.find(line[0]) == std::string_view::npos) {
      return std::unexpected(Failure("a journal that is none", EINVAL));
    }
    steps.push_back({.kind = static_cast<Kind>(line[0]),
                     .number = steps.size(),
                     .mode = static_cast<mode_t>(std::strtoul(line.c_str() + 2, nullptr, 10)) & kModeBits,
                     .path = line.substr(space + 1)});
  }
  return steps;
}

Result<> RemoveStage(int tree, const std::string& name) {
  const Fd stage{::openat(tree, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)};
  if (!stage) {
    return std::unexpected(SysError("open", name));
  }
  // The journal goes first: without it nothing of this is carried out again.
  if (::unlinkat(stage.get(), kJournal, 0) != 0 && errno != ENOENT) {
    return std::unexpected(SysError("unlink", kJournal));
  }
  TRY(Walk(stage.get(), true,
           [](int parent, const std::string& entry, const std::string&, const struct stat&) -> Result<> {
             return ::unlinkat(parent, entry.c_str(), 0) == 0 ? Result<>{} : std::unexpected(SysError("unlink", entry));
           }));
  return ::unlinkat(tree, name.c_str(), AT_REMOVEDIR) == 0 ? Result<>{} : std::unexpected(SysError("rmdir", name));
}

// One at a time in one tree.
Result<Fd> Lock(int tree) {
  Fd lock{::openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!lock || ::flock(lock.get(), LOCK_EX) != 0) {
    return std::unexpected(SysError("lock", "the workspace"));
  }
  return lock;
}

Result<> WriteJournal(int stage, const std::vector<Step>& steps) {
  const Fd journal{::openat(stage, kNewJournal, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!journal) {
    return std::unexpected(SysError("open", kNewJournal));
  }
  TRY(WriteAll(journal.get(), Format(steps), kNewJournal));
  // What is staged reaches the disk before the journal that speaks of it has its name.
  if (::syncfs(stage) != 0 || ::renameat(stage, kNewJournal, stage, kJournal) != 0 || ::fsync(stage) != 0) {
    return std::unexpected(SysError("write", kJournal));
  }
  return {};
}

}  // namespace

Result<> WriteBack(int tree, int copy, const TreeChanges& changes, const std::string& id) {
  const Fd lock = TRY(Lock(tree));
  const std::vector<Step> steps = TRY(Steps(copy, changes));
  const std::string name = std::string{kStagePrefix} + id;
  if (::mkdirat(tree, name.c_str(), 0700) != 0) {
    return std::unexpected(SysError("mkdir", name));
  }
  const auto stage_all = [&](int stage) -> Result<> {
    for (const Step& step : steps) {
      if (step.kind == Kind::kPlace) {
        TRY(Stage(tree, copy, stage, step));
      }
    }
    return WriteJournal(stage, steps);
  };
  const Result<Fd> stage = sys::OpenAt2(tree, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_BENEATH);
  Result<> done = stage ? stage_all(stage->get()) : std::unexpected(stage.error());
  std::vector<struct stat> before;
  for (std::size_t i = 0; done && i < steps.size(); ++i) {
    before.push_back(StatusOf(tree, steps[i].path).value_or(kNothing));
    done = Carry(tree, stage->get(), steps[i]);
    for (std::size_t back = i + 1; !done && back > 0; --back) {
      Undo(tree, stage->get(), steps[back - 1], before[back - 1]);
    }
  }
  const Result<> removed = RemoveStage(tree, name);
  return done ? removed : done;
}

Result<> CompleteWriteBack(int tree) {
  const Fd lock = TRY(Lock(tree));
  std::vector<std::string> names;
  Fd listed{::openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!listed) {
    return std::unexpected(SysError("open", "the workspace"));
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> stream{::fdopendir(listed.get()), ::closedir};
  if (!stream) {
    return std::unexpected(SysError("opendir", "the workspace"));
  }
  listed.Release();                                        // the stream's now
  while (const dirent* entry = ::readdir(stream.get())) {  // NOLINT(concurrency-mt-unsafe): one thread
    if (std::string_view{entry->d_name}.starts_with(kStagePrefix)) {
      names.emplace_back(entry->d_name);
    }
  }
  for (const std::string& name : names) {
    const Fd stage = TRY(sys::OpenAt2(tree, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, RESOLVE_BENEATH));
    // It says what is to be done with the tree: nobody else's word counts.
    const struct stat status = TRY(sys::Fstat(stage.get(), name));
    if (status.st_uid != ::geteuid() || (status.st_mode & 077) != 0) {
      return std::unexpected(Failure(name + " is not this user's alone", EPERM));
    }
    const Fd journal{::openat(stage.get(), kJournal, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)};
    if (journal) {
      const std::string text = TRY(ReadAll(journal.get(), kMaxJournal, kJournal));
      for (const Step& step : TRY(ParseJournal(text))) {
        TRY(Carry(tree, stage.get(), step));
      }
    }
    TRY(RemoveStage(tree, name));
  }
  return {};
}

}  // namespace nucleus::front
