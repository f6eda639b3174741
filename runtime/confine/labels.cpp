#include "runtime/confine/labels.h"

#include <fcntl.h>

#include "runtime/sys/private_proc.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::confine {
namespace {

Result<> WriteAttribute(int proc, const std::string& file, const std::string& value) {
  // "thread-self" is a link of procfs itself; nothing else on the way may be one.
  const std::string name = "/proc/" + file;
  const Fd attribute =
      TRY(sys::OpenAt2(proc, file, O_WRONLY, RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS));
  return WriteAll(attribute.get(), value, name);
}

}  // namespace

Result<> SetLabels(const Confinement& confinement) {
  if (confinement.apparmor_profile.empty() && confinement.selinux_label.empty()) {
    return {};
  }
  const Fd proc = TRY(sys::MountPrivateProc());
  if (!confinement.apparmor_profile.empty()) {
    // The stacked interface where the kernel has it (since 5.8), the shared one else.
    const std::string order = "exec " + confinement.apparmor_profile;
    Result<> written = WriteAttribute(proc.get(), "thread-self/attr/apparmor/exec", order);
    if (!written && written.error().code == ENOENT) {
      written = WriteAttribute(proc.get(), "thread-self/attr/exec", order);
    }
    TRY_IN("process.apparmorProfile", written);
  }
  if (!confinement.selinux_label.empty()) {
    TRY_IN("process.selinuxLabel", WriteAttribute(proc.get(), "thread-self/attr/exec", confinement.selinux_label));
  }
  return {};
}

}  // namespace nucleus::confine
