// The bundle, read and typed: what is wrong with it is said before anything is made. For create and restore.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "oci-config/annotations.h"
#include "oci-config/spec.h"
#include "policies/policies.h"
#include "runtime/confine/confine.h"
#include "runtime/container/container.h"

namespace nucleus::container {

struct Bundle {
  std::string path;  // absolute
  std::string text;  // of config.json
  std::shared_ptr<const oci::Spec> spec;
  oci::Annotations annotations;  // the runtime's own of the spec's
  policies::Policies policies;
  std::shared_ptr<const confine::SeccompProgram> policy_filter;  // where `policies` knows it: of the seccomp policy
};

// `config`: path of config.json where it is not the bundle's own. `digest`: sha256:HEX that it must have; empty: any.
// `warn` hears of pins without a digest. `find_filter`: a seccomp policy whose filter has been kept is not parsed, if
// the container is the kernel's.
Result<Bundle> LoadBundle(const std::string& directory, const std::string& config, const std::string& digest = {},
                          void (*warn)(const std::string& message) = nullptr, bool find_filter = false);

// The bundle of a create or run that is to come. What is wrong with it is told to the events as well.
Result<Bundle> OpenBundle(const Settings& settings, const CreateOptions& options);

// realpath(3).
Result<std::string> AbsolutePath(const std::string& path);

// The absolute path of root.path, which has to be a directory.
Result<std::string> RootDirectory(const std::string& path);

// RFC 3339 with nanoseconds, UTC.
std::string Now();

}  // namespace nucleus::container
