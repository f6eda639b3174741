// Names of the same inode.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "runtime/attest/inspect.h"

namespace nucleus::attest {

struct Inode {
  std::uint64_t device = 0;
  std::uint64_t number = 0;
  auto operator<=>(const Inode&) const = default;
};

inline Inode InodeOf(const Handle& handle) {
  constexpr int kMinorBits = 32;
  return {.device = (std::uint64_t{handle.status.stx_dev_major} << kMinorBits) | handle.status.stx_dev_minor,
          .number = handle.status.stx_ino};
}

struct Link {
  Inode inode;
  std::size_t entry = 0;  // its index in the manifest
  auto operator<=>(const Link&) const = default;
};

// Sorts `links` and calls `act(first, later)` for each entry that is a later name of an inode.
template <class Act>
void ForEachLaterLink(std::vector<Link>& links, Act act) {
  std::ranges::sort(links);
  const Link* first = nullptr;
  for (const Link& link : links) {
    if (first != nullptr && first->inode == link.inode) {
      act(first->entry, link.entry);
    } else {
      first = &link;
    }
  }
}

}  // namespace nucleus::attest
