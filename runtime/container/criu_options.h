// What checkpoint and restore have in common. Inside runtime/container only.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "oci-config/spec.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/container/checkpoint.h"
#include "runtime/criu/message.h"

namespace nucleus::container {

// In the images' directory: what the standard streams were, so that pipes can be handed over anew. runc's name and
// form.
inline constexpr const char* kDescriptorsFile = "descriptors.json";

// criu's fields of both commands (criu_opts), with its directories open as long as this lives.
struct CriuRequest {
  criu::Message options;
  Fd images;
  Fd work;
  std::string log;  // path of criu's log file
};

// Opens the directories; the work directory is made where it is missing. `log`: its name there.
Result<CriuRequest> BeginRequest(const CriuOptions& options, const std::string& log);

// Tells criu of the directories: by descriptors of this process, which it opens anew.
void AddDirectories(CriuRequest& request);

// What criu failed with, and what its log says of it.
Error WithLog(const Error& error, const std::string& log);

// Calls `external` for what of the bundle is mounted from outside the container: its place in the container and, on the
// host, what is mounted there.
void ForEachExternalMount(const oci::Spec& spec, const std::string& bundle, const cgroup::Host& host,
                          const std::vector<oci::StateCgroup>& cgroups,
                          const std::function<void(const std::string& place, const std::string& source)>& external);

// ext_mount_map and its place in criu_opts.
void AddExternalMount(criu::Message& options, const std::string& key, const std::string& value);

// The name that a namespace which the container has joined has in the images; empty for a type that criu takes no such
// name for.
std::string ExternalNamespaceKey(oci::NamespaceType type);

Result<> NeedsRoot(const char* command);

}  // namespace nucleus::container
