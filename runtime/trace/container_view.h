// A bundle's filesystem as its container would see it, looked at from the host after the container has ended.
#pragma once

#include <string>
#include <vector>

#include "oci-config/spec.h"
#include "runtime/trace/propose.h"

namespace nucleus::trace {

class ContainerView {
 public:
  // `bundle`: absolute, where relative paths of `spec` start.
  ContainerView(const oci::Spec& spec, const std::string& bundle);

  // Symbolic links are followed as they would be inside, through mounts. What was mounted and is no bind mount is gone:
  // of it there is its place alone. Opens nothing but O_PATH descriptors.
  [[nodiscard]] Kind KindOf(const std::string& path) const;

 private:
  struct Place {
    std::string destination;
    std::string source;  // on the host; empty: gone
  };
  [[nodiscard]] const Place& PlaceOf(const std::string& path) const;
  std::vector<Place> places_;  // the longest destination first; the root filesystem is the last
};

}  // namespace nucleus::trace
