#include "runtime/container/filter_cache.h"

#include <seccomp.h>

#include "runtime/container/filter_file.h"
#include "runtime/container/host.h"
#include "runtime/sys/own_cache.h"

#ifndef NUCLEUS_VERSION
#define NUCLEUS_VERSION ""
#endif

namespace nucleus::container {
namespace {

// Raised when the code that compiles changes what it makes of a profile.
constexpr int kCompilerVersion = 2;

// Raised when a policy that was accepted no longer is.
constexpr int kPolicyVersion = 1;

// Fields are ended by characters that no name can hold.
void Add(std::string& key, const std::string& text) {
  key += text;
  key += '\n';
}

template <class T>
void AddNumber(std::string& key, T number) {
  key += std::to_string(static_cast<std::uint64_t>(number));
  key += ' ';
}

void AddErrno(std::string& key, const std::optional<std::uint32_t>& value) {
  key += value ? std::to_string(*value) : "-";
  key += ' ';
}

// Of libseccomp's names, too.
std::string Compiler() {
  std::string key;
  const scmp_version* library = ::seccomp_version();
  for (const unsigned part : {library->major, library->minor, library->micro}) {
    AddNumber(key, part);
  }
  AddNumber(key, kCompilerVersion);
  return key;
}

std::string PolicyKey(std::string_view digest) {
  std::string key = "policy ";
  AddNumber(key, kPolicyVersion);
  key += Compiler();
  Add(key, NUCLEUS_VERSION);
  key += digest;
  return key;
}

}  // namespace

std::string FilterKey(const oci::Seccomp& seccomp) {
  std::string key = Compiler();
  AddNumber(key, seccomp.default_action);
  AddErrno(key, seccomp.default_errno_ret);
  AddNumber(key, seccomp.architectures.size());
  for (const std::string& architecture : seccomp.architectures) {
    Add(key, architecture);
  }
  key += seccomp.flags ? "flags " : "no flags ";
  for (const oci::SeccompFlag flag : seccomp.flags.value_or(std::vector<oci::SeccompFlag>{})) {
    AddNumber(key, flag);
  }
  for (const oci::SeccompSyscall& rule : seccomp.syscalls) {
    key += "\nrule ";
    AddNumber(key, rule.action);
    AddErrno(key, rule.errno_ret);
    for (const oci::SeccompArg& arg : rule.args) {
      key += "arg ";
      AddNumber(key, arg.index);
      AddNumber(key, arg.op);
      AddNumber(key, arg.value);
      AddNumber(key, arg.value_two);
    }
    AddNumber(key, rule.names.size());
    for (const std::string& name : rule.names) {
      // A name is the profile's: its length keeps it from passing for something else.
      AddNumber(key, name.size());
      Add(key, name);
    }
  }
  return key;
}

Result<confine::SeccompProgram> CompileCached(const std::string& directory, const oci::Seccomp& seccomp) {
  const sys::OwnCache cache{directory};
  if (!cache.valid()) {
    return confine::CompileSeccomp(seccomp);
  }
  const std::string key = FilterKey(seccomp);
  if (const std::optional<std::string> kept = cache.Find(key)) {
    if (Result<confine::SeccompProgram> program = ParseFilter(*kept, "seccomp filter")) {
      return program;
    }
  }
  confine::SeccompProgram program = TRY(confine::CompileSeccomp(seccomp));
  cache.Keep(key, FormatFilter(program));
  return program;
}

std::shared_ptr<const confine::SeccompProgram> FindFilter(const std::string& directory, std::string_view digest) {
  if (directory.empty()) {
    return nullptr;
  }
  const std::optional<std::string> kept = sys::OwnCache{directory}.Find(PolicyKey(digest));
  if (!kept) {
    return nullptr;
  }
  Result<confine::SeccompProgram> program = ParseFilter(*kept, "seccomp filter");
  return program && !program->listener ? std::make_shared<const confine::SeccompProgram>(std::move(*program)) : nullptr;
}

Result<confine::SeccompProgram> CompilePolicy(const std::string& directory, std::string_view digest,
                                              const oci::Seccomp& policy) {
  confine::SeccompProgram program = TRY(confine::CompileSeccomp(policy));
  if (!program.listener) {
    sys::OwnCache{directory}.Keep(PolicyKey(digest), FormatFilter(program));
  }
  return program;
}

std::string FilterCacheDirectory() {
  return CacheDirectory("seccomp,cache");
}

}  // namespace nucleus::container
