// A container's directory under the runtime's root: state.json, the copy of config.json, the start socket, and the lock
// that makes one command wait for another.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/spec.h"
#include "oci-config/state.h"

namespace nucleus::container {

inline constexpr const char* kStateFile = "state.json";
inline constexpr const char* kConfigFile = "config.json";
inline constexpr const char* kStartSocket = "start.sock";
inline constexpr const char* kTraceSocket = "trace.sock";
inline constexpr const char* kFilterFile = "seccomp.bpf";
inline constexpr const char* kPoliciesFile = "policies";
// Of who watches over a container from outside: how its health is, a word.
inline constexpr const char* kHealthFile = "health";
inline constexpr const char* kGvisorDirectory = "gvisor";  // what runsc keeps of the container

class StateDir {
 public:
  // Makes the directory; "container with given ID already exists" where there is one.
  static Result<StateDir> Make(const std::string& root, const std::string& id);
  // "container does not exist" where there is none.
  static Result<StateDir> Open(const std::string& root, const std::string& id);

  // Waits for other commands on the same container. Released when the object goes.
  Result<> Lock();

  [[nodiscard]] int fd() const {
    return fd_.get();
  }
  [[nodiscard]] const std::string& path() const {
    return path_;
  }

  Result<oci::State> ReadState() const;
  // To a temporary name, then renamed: a reader, and a crash of the runtime, sees the old or the new. Not synced: a
  // crash of the host ends the container too, and `delete --force` takes a state that cannot be read.
  Result<> WriteState(const oci::State& state) const;
  Result<> WriteFile(const char* name, std::string_view bytes) const;
  // One that is not there, and that nobody reads before the state names a process.
  Result<> WriteNew(const char* name, std::string_view bytes) const;
  // 0755, below this one.
  Result<> MakeDirectory(const char* name) const;
  Result<std::string> ReadFile(const char* name) const;
  // The copy of config.json that create made; parsed once per process.
  Result<std::shared_ptr<const oci::Spec>> ReadSpec() const;
  // Keeps a Spec that was parsed already for ReadSpec.
  void RememberSpec(std::shared_ptr<const oci::Spec> spec) const;

  // Removes everything in it and the directory: files that the runtime makes, and the notify directory with whatever a
  // container that could write there has left.
  Result<> Remove();

 private:
  Result<> LockMade();
  // Whether its path still names it.
  [[nodiscard]] bool IsAtItsPath() const;
  StateDir(std::string path, Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {
  }
  std::string path_;
  Fd fd_;
};

}  // namespace nucleus::container
