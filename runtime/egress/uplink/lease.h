// Which container has which number of the pool of addresses, and which ports of the host: one file each,
// DIRECTORY/NAMESPACE-NUMBER, under one lock. A lease is written before anything is made in its name and goes after all
// that is gone, so that whoever comes next finds what a process left that was killed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/publish.h"

namespace nucleus::uplink {

struct Lease {
  std::uint32_t number = 0;
  std::string token;  // 16 hex digits: of this lease and no other one, ever
  std::vector<oci::PublishedPort> publish;
};

// The leases of one network namespace, locked for as long as this lives.
class Leases {
 public:
  // Makes the directory (0700) where it is missing. An error where it is not this user's alone.
  static Result<Leases> Lock(const std::string& directory, const std::string& netns);

  // A file that nobody can read is a lease whose token is "": of nobody.
  [[nodiscard]] Result<std::vector<Lease>> List() const;
  // Takes the number. EEXIST where it is taken.
  [[nodiscard]] Result<Lease> Take(std::uint32_t number, const std::vector<oci::PublishedPort>& publish) const;
  // No error where it is gone.
  [[nodiscard]] Result<> Drop(std::uint32_t number) const;

  // A small file beside them, of this namespace: ENOENT where there is none.
  [[nodiscard]] Result<std::string> Read(const std::string& name) const;
  [[nodiscard]] Result<> Write(const std::string& name, const std::string& text) const;
  [[nodiscard]] Result<> Delete(const std::string& name) const;

 private:
  Leases(Fd directory, Fd lock, std::string netns)
      : directory_(std::move(directory)), lock_(std::move(lock)), netns_(std::move(netns)) {
  }
  [[nodiscard]] std::string FileOf(const std::string& name) const {
    return netns_ + "-" + name;
  }
  Fd directory_;
  Fd lock_;
  std::string netns_;
};

}  // namespace nucleus::uplink
