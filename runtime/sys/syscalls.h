// Thin typed wrappers of the system calls that the native path is made of. They add nothing but an error that names the
// operation and what it was done to. Safe after clone: no locks beyond malloc's, no threads.
// Source: the man pages of the same names; Documentation/filesystems/mount_api.rst.
#pragma once

#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace nucleus::sys {

// ---- paths

// openat2(2) with O_CLOEXEC. `resolve` is RESOLVE_*. Retries EAGAIN (a rename raced with the walk) a bounded number of
// times.
Result<Fd> OpenAt2(int dirfd, const std::string& path, std::uint64_t flags, std::uint64_t resolve, mode_t mode = 0);
// open(2) with O_CLOEXEC | O_NOCTTY, for paths of the host.
Result<Fd> Open(const std::string& path, int flags, mode_t mode = 0);
Result<struct stat> Fstat(int fd, const std::string& name);
// The text of a symlink below dirfd.
Result<std::string> ReadLinkAt(int dirfd, const std::string& path);
// A second descriptor of the same file, close-on-exec.
Result<Fd> Duplicate(int fd);

// ---- mounts, by descriptor

// A detached copy of the mount at dirfd/path ("" with AT_EMPTY_PATH: dirfd itself).
Result<Fd> CloneTree(int dirfd, const std::string& path, bool recursive, const std::string& name);
Result<Fd> FsOpen(const std::string& type);
Result<> FsConfigString(int fs, const std::string& key, const std::string& value);
Result<> FsConfigFlag(int fs, const std::string& key);
Result<> FsConfigCreate(int fs);
// The filesystem whose mount `mount` is the root of, to be configured anew.
Result<Fd> FsPick(int mount, const std::string& name);
Result<> FsConfigReconfigure(int fs);
Result<Fd> FsMount(int fs, std::uint64_t attributes);
// What the filesystem had to say in its log, "" for nothing; one line.
std::string FsLog(int fs);
// MOUNT_ATTR_* to set and clear, MS_PRIVATE... as propagation (0: leave); on the mount that `mount` is the root of.
Result<> SetMountAttributes(int mount, std::uint64_t set, std::uint64_t clear, std::uint64_t propagation,
                            bool recursive, const std::string& name);
// MOUNT_ATTR_IDMAP with the mapping of the user namespace `userns`; `mount` must be detached.
Result<> SetIdMapping(int mount, int userns, bool recursive, const std::string& name);
// Attaches the detached `mount` on the directory or file that `target` refers to.
Result<> MoveMount(int mount, int target, const std::string& name);

// ---- processes and namespaces

struct CloneRequest {
  std::uint64_t flags = 0;  // CLONE_NEW* and CLONE_PARENT; CLONE_PIDFD is added where pidfd is not null
  int cgroup_fd = -1;       // CLONE_INTO_CGROUP
  Fd* pidfd = nullptr;
};
// clone3(2) as fork: 0 in the child. No atfork handlers run.
Result<pid_t> Clone3(const CloneRequest& request);
Result<Fd> PidfdOpen(pid_t pid);
Result<> PidfdSendSignal(int pidfd, int signal);
// Waits until the process behind the pidfd has ended, at most `timeout_ms` (-1: for ever). False on time-out.
Result<bool> PidfdWait(int pidfd, int timeout_ms);
Result<> SetNs(int fd, int type, const std::string& name);
Result<> Unshare(int flags, const std::string& name);
// Marks every descriptor from `first` on close-on-exec.
Result<> CloseOnExecFrom(int first);

// Closes every descriptor from `first` on but those in `keep`.
Result<> CloseFrom(int first, std::vector<int> keep);
// With a call for each run of numbers, not for each number.
void CloseAll(std::vector<Fd>& descriptors);

// A null-terminated array of the strings, as execve(2) takes it; valid as long as `strings`.
std::vector<char*> Pointers(const std::vector<std::string>& strings);

// ---- sockets

// A pair of connected SOCK_SEQPACKET sockets, close-on-exec.
Result<> SocketPair(Fd& one, Fd& other);
// Connects to the AF_UNIX stream socket at `path`, however long the path.
Result<Fd> ConnectUnix(const std::string& path, int type);
// One message with one descriptor attached (SCM_RIGHTS).
Result<> SendFd(int socket, int fd, std::string_view payload, const std::string& name);

}  // namespace nucleus::sys
