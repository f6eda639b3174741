// checkpoint and restore: criu writes a container's processes to a directory of images, and makes them anew from it.
// Source: criu(8), https://criu.org/RPC, runc-checkpoint(8), runc-restore(8).
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "runtime/container/container.h"

namespace nucleus::container {

// What criu itself is told. Those of one command alone have no meaning for the other.
struct CriuOptions {
  std::string image_path = "checkpoint";
  std::string work_path;     // of its log; empty: where the images are
  std::string parent_path;   // of a checkpoint before this, relative to image_path
  std::string cgroups_mode;  // soft, full, strict, ignore; empty: criu's default
  std::string page_server;   // ADDRESS:PORT
  std::string lsm_profile;   // TYPE:NAME
  std::string lsm_mount_context;
  std::vector<std::string> empty_namespaces;
  int status_fd = -1;  // gets a NUL once lazy pages can be asked for
  bool leave_running = false;
  bool pre_dump = false;
  bool tcp_established = false;
  bool tcp_skip_in_flight = false;
  bool link_remap = false;
  bool external_unix_sockets = false;
  bool shell_job = false;
  bool file_locks = false;
  bool auto_dedup = false;
  bool lazy_pages = false;
};

// Is there a criu to do it?
bool CheckpointAvailable();

// The container is removed afterwards, unless it is to go on. Takes the host's root.
Result<> Checkpoint(const Settings& settings, const std::string& id, const CriuOptions& options);

// A container `options.id` from a bundle and the images of one that was checkpointed; it runs afterwards. prestart and
// createRuntime hooks run. Takes the host's root.
Result<Launched> Restore(const Settings& settings, const CreateOptions& options, const CriuOptions& criu);

}  // namespace nucleus::container
