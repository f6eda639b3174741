#include "runtime/container/exec_process.h"

#include <algorithm>

#include "base/fd.h"
#include "oci-config/parse.h"

namespace nucleus::container {
namespace {

void AddCapabilities(oci::Process& process, const std::vector<std::string>& names) {
  if (names.empty()) {
    return;
  }
  if (!process.capabilities) {
    process.capabilities.emplace();
  }
  oci::Capabilities& sets = *process.capabilities;
  for (const std::string& name : names) {
    for (std::vector<std::string>* set : {&sets.bounding, &sets.effective, &sets.permitted}) {
      set->push_back(name);
    }
    // Never into the inheritable set: a capability that execve hands on to any file was CVE-2022-29162.
    if (std::find(sets.inheritable.begin(), sets.inheritable.end(), name) != sets.inheritable.end()) {
      sets.ambient.push_back(name);
    }
  }
}

}  // namespace

Result<oci::Process> ExecProcess(const ExecOptions& options, const oci::Spec& spec) {
  if (!options.process_file.empty()) {
    const std::string text = TRY(ReadFile(options.process_file, oci::kMaxConfigBytes));
    return oci::ParseProcess(text, options.process_file);
  }
  if (!spec.process) {
    return std::unexpected(Failure("the container has no process to take the defaults from"));
  }
  oci::Process process = *spec.process;
  process.args = options.args;
  process.terminal = options.terminal.value_or(false);
  process.console_size.reset();
  if (process.args.empty()) {
    return std::unexpected(Failure("process args cannot be empty"));
  }
  if (options.cwd) {
    process.cwd = *options.cwd;
  }
  if (process.cwd.empty() || process.cwd.front() != '/') {
    return std::unexpected(Failure("cwd must be an absolute path"));
  }
  process.env.insert(process.env.end(), options.env.begin(), options.env.end());
  if (options.user) {
    process.user.uid = options.user->first;
    if (options.user->second) {
      process.user.gid = *options.user->second;
    }
  }
  process.user.additional_gids.insert(process.user.additional_gids.end(), options.additional_gids.begin(),
                                      options.additional_gids.end());
  AddCapabilities(process, options.capabilities);
  if (options.no_new_privileges) {
    process.no_new_privileges = *options.no_new_privileges;
  }
  if (!options.selinux_label.empty()) {
    process.selinux_label = options.selinux_label;
  }
  if (!options.apparmor_profile.empty()) {
    process.apparmor_profile = options.apparmor_profile;
  }
  return process;
}

}  // namespace nucleus::container
