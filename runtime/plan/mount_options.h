// mounts[].options → what the mount API is told. One table; within a list the last word on a flag wins.
// Source: config.md "Mounts", mount(8), mount_setattr(2).
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace nucleus::plan {

struct MountOptions {
  // MOUNT_ATTR_* for this mount, and for it with all below (r... options).
  std::uint64_t set = 0;
  std::uint64_t clear = 0;
  std::uint64_t recursive_set = 0;
  std::uint64_t recursive_clear = 0;
  // MS_SHARED, MS_SLAVE, MS_PRIVATE or MS_UNBINDABLE; 0: as it comes.
  std::uint64_t propagation = 0;
  bool propagation_recursive = false;
  bool bind = false;
  bool recursive_bind = false;
  bool remount = false;
  // Flags of the superblock ("sync", "async", "dirsync", ...), last word per flag.
  std::vector<std::string> superblock_flags;
  // The filesystem's own parameters: key and value, or a flag (no value).
  struct Parameter {
    std::string key;
    std::string value;
    bool has_value = false;
  };
  std::vector<Parameter> parameters;
  bool tmpcopyup = false;
  bool idmap = false;
  bool recursive_idmap = false;
};

MountOptions ParseMountOptions(const std::vector<std::string>& options);

// Every option that the table knows, sorted: for `features`.
std::vector<std::string> KnownMountOptions();

}  // namespace nucleus::plan
