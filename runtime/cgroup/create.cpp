// Making, entering and removing the container's cgroups.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/files.h"
#include "runtime/cgroup/walk.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::cgroup {
namespace {

// A cgroup stays busy for a moment after its last process has gone.
constexpr int kRemoveTries = 200;
constexpr useconds_t kRemovePauseUs = 10000;

// v1: a cpuset without cpus and memory nodes takes no process; a new one starts with neither.
Result<> InheritCpuset(const std::string& directory, bool is_new) {
  const std::string parent = directory.substr(0, directory.rfind('/'));
  for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
    if (is_new || TRY(Read(directory, file)).empty()) {
      const std::string value = TRY(Read(parent, file));
      TRY(Write(directory, file, value));
    }
  }
  return {};
}

// v2: a controller serves a cgroup only when every one above hands it down. One that cannot be had is missed when a
// limit is asked of it, and named then.
void HandDown(const std::string& directory, const std::vector<std::string>& controllers) {
  const std::string already = " " + Read(directory, "cgroup.subtree_control").value_or("") + " ";
  const std::string available = " " + Read(directory, "cgroup.controllers").value_or("") + " ";
  std::vector<std::string> missing;
  std::string all;
  for (const std::string& controller : controllers) {
    const std::string word = " " + controller + " ";
    if (already.find(word) == std::string::npos && available.find(word) != std::string::npos) {
      all += (all.empty() ? "+" : " +") + controller;
      missing.push_back("+" + controller);
    }
  }
  if (missing.empty()) {
    return;
  }
  // Below the root, one with processes of its own cannot hand anything down but to threads: it would be turned into a
  // threaded domain, in which no container can be.
  const bool inner = Exists(directory, "cgroup.type") && !Read(directory, "cgroup.procs").value_or("").empty();
  if (inner || Write(directory, "cgroup.subtree_control", all)) {
    return;
  }
  for (const std::string& controller : missing) {
    (void)Write(directory, "cgroup.subtree_control", controller);
  }
}

Result<> MakeOne(const Hierarchy& hierarchy, oci::StateCgroup& cgroup, std::vector<std::string>& made) {
  const bool cpuset =
      std::find(hierarchy.controllers.begin(), hierarchy.controllers.end(), "cpuset") != hierarchy.controllers.end() &&
      !hierarchy.v2();
  // v1 without an own cpuset to fill, and with its parent there (the usual case): one call.
  if (!hierarchy.v2() && ::mkdir(cgroup.path.c_str(), 0755) == 0) {
    made.push_back(cgroup.path);
    cgroup.created = true;
    return cpuset ? InheritCpuset(cgroup.path, true) : Result<>{};
  }
  if (hierarchy.v2()) {
    HandDown(hierarchy.mount_point, hierarchy.controllers);
  }
  for (std::size_t slash = hierarchy.mount_point.size(); slash != std::string::npos;) {
    slash = cgroup.path.find('/', slash + 1);
    const std::string directory = cgroup.path.substr(0, slash);
    const bool is_new = ::mkdir(directory.c_str(), 0755) == 0;
    if (is_new) {
      made.push_back(directory);
      cgroup.created = cgroup.created || slash == std::string::npos;
    } else if (errno != EEXIST) {
      return std::unexpected(SysError("mkdir", directory));
    }
    if (cpuset) {
      TRY(InheritCpuset(directory, is_new));
    }
    if (hierarchy.v2() && slash != std::string::npos) {
      HandDown(directory, hierarchy.controllers);
    }
  }
  return {};
}

Result<> RemoveTree(const std::string& directory) {
  for (int attempt = 0; ::rmdir(directory.c_str()) != 0; ++attempt) {
    if (errno == ENOENT) {
      return {};
    }
    const bool busy = errno == EBUSY || errno == ENOTEMPTY;
    if (!busy || attempt >= kRemoveTries) {
      return std::unexpected(busy ? Failure("container's cgroup is not empty: " + directory, EBUSY)
                                  : SysError("rmdir", directory));
    }
    // Busy with cgroups that the workload made below, or with processes that are about to end.
    bool removed = false;
    TRY(Walk(
        directory, [](int) { return Result<>{}; },
        [&removed](int parent, const std::string& name) {
          removed = ::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || removed;
        }));
    if (!removed) {
      ::usleep(kRemovePauseUs);
    }
  }
  return {};
}

bool NotDelegated(const Error& error) {
  return error.code == EACCES || error.code == EPERM || error.code == EROFS;
}

}  // namespace

Result<> Create(const Host& host, std::vector<oci::StateCgroup>& cgroups, bool required) {
  std::vector<std::string> made;
  const bool partly = host.rootless && !required;
  for (oci::StateCgroup& cgroup : cgroups) {
    const auto hierarchy =
        std::find_if(host.hierarchies.begin(), host.hierarchies.end(),
                     [&cgroup](const Hierarchy& candidate) { return candidate.name == cgroup.hierarchy; });
    if (hierarchy == host.hierarchies.end()) {
      return std::unexpected(Failure("cgroup hierarchy \"" + cgroup.hierarchy + "\" is not mounted", ENOENT));
    }
    Result<> done = MakeOne(*hierarchy, cgroup, made);
    if (!done && partly && NotDelegated(done.error())) {
      cgroup.path.clear();
    } else if (!done) {
      while (!made.empty()) {
        ::rmdir(made.back().c_str());
        made.pop_back();
      }
      return done;
    }
  }
  std::erase_if(cgroups, [](const oci::StateCgroup& cgroup) { return cgroup.path.empty(); });
  return {};
}

Result<Doors> OpenDoors(const std::vector<oci::StateCgroup>& cgroups) {
  Doors doors;
  for (const oci::StateCgroup& cgroup : cgroups) {
    if (cgroup.hierarchy.empty()) {
      doors.v2 = TRY(sys::Open(cgroup.path, O_RDONLY | O_DIRECTORY));
    } else {
      doors.v1_path.push_back(cgroup.path + "/tasks");
      doors.v1.push_back(TRY(sys::Open(doors.v1_path.back(), O_WRONLY)));
    }
  }
  return doors;
}

Result<> Enter(const Doors& doors) {
  for (std::size_t i = 0; i < doors.v1.size(); ++i) {
    TRY(WriteAll(doors.v1[i].get(), "0", doors.v1_path[i]));
  }
  return {};
}

Result<> Attach(const std::vector<oci::StateCgroup>& cgroups, pid_t pid) {
  for (const oci::StateCgroup& cgroup : cgroups) {
    if (!cgroup.hierarchy.empty()) {
      TRY(Write(cgroup.path, "cgroup.procs", std::to_string(pid)));
    }
  }
  return {};
}

bool RemoveEmpty(const std::vector<oci::StateCgroup>& cgroups) {
  return std::ranges::all_of(cgroups, &oci::StateCgroup::created) &&
         std::ranges::all_of(cgroups, [](const oci::StateCgroup& cgroup) {
           return ::rmdir(cgroup.path.c_str()) == 0 || errno == ENOENT;
         });
}

Result<> Remove(const std::vector<oci::StateCgroup>& cgroups) {
  Result<> first;
  for (const oci::StateCgroup& cgroup : cgroups) {
    if (cgroup.created) {
      if (Result<> removed = RemoveTree(cgroup.path); !removed && first) {
        first = removed;
      }
    }
  }
  return first;
}

}  // namespace nucleus::cgroup
