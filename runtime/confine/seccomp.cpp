// linux.seccomp → a classic BPF program, through libseccomp.
// Source: config-linux.md "Seccomp", seccomp(2), seccomp_rule_add(3).

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "runtime/confine/confine.h"
#include "runtime/confine/seccomp_enosys.h"
#include "runtime/confine/seccomp_names.h"
#include "runtime/confine/seccomp_shrink.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

namespace nucleus::confine {
namespace {

class FilterContext {
 public:
  explicit FilterContext(std::uint32_t default_action) : context_(::seccomp_init(default_action)) {
  }
  ~FilterContext() {
    if (context_ != nullptr) {
      ::seccomp_release(context_);
    }
  }
  FilterContext(const FilterContext&) = delete;
  FilterContext& operator=(const FilterContext&) = delete;
  [[nodiscard]] scmp_filter_ctx get() const {
    return context_;
  }

 private:
  scmp_filter_ctx context_;
};

std::unexpected<Error> LibraryError(const std::string& what, int result) {
  return std::unexpected(SysError(what, "", -result));
}

std::uint32_t ActionNumber(oci::SeccompAction action, const std::optional<std::uint32_t>& errno_ret) {
  const std::uint32_t value = errno_ret.value_or(EPERM);
  switch (action) {
    case oci::SeccompAction::kKillThread:
      return SCMP_ACT_KILL_THREAD;
    case oci::SeccompAction::kKillProcess:
      return SCMP_ACT_KILL_PROCESS;
    case oci::SeccompAction::kTrap:
      return SCMP_ACT_TRAP;
    case oci::SeccompAction::kErrno:
      return SCMP_ACT_ERRNO(value);
    case oci::SeccompAction::kTrace:
      return SCMP_ACT_TRACE(value);
    case oci::SeccompAction::kAllow:
      return SCMP_ACT_ALLOW;
    case oci::SeccompAction::kLog:
      return SCMP_ACT_LOG;
    case oci::SeccompAction::kNotify:
      return SCMP_ACT_NOTIFY;
  }
  return SCMP_ACT_KILL_PROCESS;
}

scmp_compare Operator(oci::SeccompOperator op) {
  switch (op) {
    case oci::SeccompOperator::kNe:
      return SCMP_CMP_NE;
    case oci::SeccompOperator::kLt:
      return SCMP_CMP_LT;
    case oci::SeccompOperator::kLe:
      return SCMP_CMP_LE;
    case oci::SeccompOperator::kEq:
      return SCMP_CMP_EQ;
    case oci::SeccompOperator::kGe:
      return SCMP_CMP_GE;
    case oci::SeccompOperator::kGt:
      return SCMP_CMP_GT;
    case oci::SeccompOperator::kMaskedEq:
      return SCMP_CMP_MASKED_EQ;
  }
  return SCMP_CMP_EQ;
}

scmp_arg_cmp Comparison(const oci::SeccompArg& arg) {
  // For MASKED_EQ the specification's value is the mask and valueTwo what must remain; libseccomp takes them in that
  // order.
  return {.arg = arg.index, .op = Operator(arg.op), .datum_a = arg.value, .datum_b = arg.value_two};
}

// Adds the listed architectures that this kernel can run; returns those of the filter, the native one first.
Result<std::vector<std::uint32_t>> AddArchitectures(scmp_filter_ctx context, const std::vector<std::string>& names) {
  const std::uint32_t native = ::seccomp_arch_native();
  std::vector<std::uint32_t> tokens = {native};
  for (const std::string& name : names) {
    const std::uint32_t token = ArchitectureToken(name);
    if (!RunsHere(token) || std::find(tokens.begin(), tokens.end(), token) != tokens.end()) {
      continue;
    }
    const int added = ::seccomp_arch_add(context, token);
    if (added != 0 && added != -EEXIST) {
      return LibraryError("architectures: " + name, added);
    }
    tokens.push_back(token);
  }
  return tokens;
}

Result<> AddRule(scmp_filter_ctx context, std::uint32_t action, int number, const std::string& name,
                 const std::vector<scmp_arg_cmp>& arguments) {
  const int added =
      ::seccomp_rule_add_array(context, action, number, static_cast<unsigned>(arguments.size()), arguments.data());
  if (added != 0 && added != -EEXIST) {
    return LibraryError("syscalls: " + name, added);
  }
  return {};
}

Result<> AddSyscall(scmp_filter_ctx context, const oci::SeccompSyscall& rule, std::uint32_t action,
                    const std::string& name) {
  const int number = SyscallNumber(name);
  if (number == __NR_SCMP_ERROR) {
    // Profiles name the syscalls of all architectures and kernels; one that nothing here knows cannot be called here.
    return {};
  }
  std::vector<scmp_arg_cmp> arguments;
  arguments.reserve(rule.args.size());
  std::array<bool, 6> seen{};
  bool repeated = false;
  for (const oci::SeccompArg& arg : rule.args) {
    arguments.push_back(Comparison(arg));
    repeated = repeated || seen.at(arg.index);
    seen.at(arg.index) = true;
  }
  if (!repeated) {
    return AddRule(context, action, number, name, arguments);
  }
  // libseccomp compares an argument once a rule. Profiles that list one twice mean "either", as every runtime reads
  // them.
  for (const scmp_arg_cmp& argument : arguments) {
    TRY(AddRule(context, action, number, name, {argument}));
  }
  return {};
}

Result<std::vector<sock_filter>> Export(scmp_filter_ctx context) {
  const Fd file{::memfd_create("seccomp", MFD_CLOEXEC)};
  if (!file) {
    return std::unexpected(SysError("memfd_create", "seccomp"));
  }
  if (const int result = ::seccomp_export_bpf(context, file.get()); result != 0) {
    return LibraryError("compile", result);
  }
  const off_t size = ::lseek(file.get(), 0, SEEK_END);
  std::vector<sock_filter> program(static_cast<std::size_t>(size) / sizeof(sock_filter));
  if (size < 0 || ::pread(file.get(), program.data(), program.size() * sizeof(sock_filter), 0) != size) {
    return std::unexpected(SysError("read", "the compiled filter"));
  }
  return program;
}

unsigned LoadFlags(const oci::Seccomp& seccomp, bool listener) {
  if (!seccomp.flags) {
    return SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  }
  unsigned flags = 0;
  for (const oci::SeccompFlag flag : *seccomp.flags) {
    switch (flag) {
      case oci::SeccompFlag::kTsync:
        // The process has one thread: there is nobody to bring along.
        break;
      case oci::SeccompFlag::kLog:
        flags |= SECCOMP_FILTER_FLAG_LOG;
        break;
      case oci::SeccompFlag::kSpecAllow:
        flags |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
        break;
      case oci::SeccompFlag::kWaitKillableRecv:
        // About the agent's side alone: without one the kernel would refuse it.
        flags |= listener ? SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV : 0;
        break;
    }
  }
  return flags;
}

}  // namespace

Result<SeccompProgram> CompileSeccomp(const oci::Seccomp& seccomp) {
  // All that this libseccomp can do; what the kernel cannot is refused when the filter is loaded.
  constexpr unsigned kApiLevel = 6;
  (void)::seccomp_api_set(kApiLevel);
  const std::uint32_t default_action = ActionNumber(seccomp.default_action, seccomp.default_errno_ret);
  const FilterContext context{default_action};
  if (context.get() == nullptr) {
    return std::unexpected(Failure("seccomp_init: invalid default action", EINVAL));
  }
  const std::vector<std::uint32_t> architectures = TRY(AddArchitectures(context.get(), seccomp.architectures));
  // A binary search over syscall numbers in place of a walk: costs nothing to make, and every syscall is faster.
  constexpr std::uint32_t kBinaryTree = 2;
  if (const int set = ::seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, kBinaryTree); set != 0) {
    return LibraryError("optimize", set);
  }
  SeccompProgram program;
  NewestSyscalls newest{architectures};
  for (const oci::SeccompSyscall& rule : seccomp.syscalls) {
    const std::uint32_t action = ActionNumber(rule.action, rule.errno_ret);
    program.listener = program.listener || rule.action == oci::SeccompAction::kNotify;
    for (const std::string& name : rule.names) {
      newest.Add(name);
      // libseccomp refuses a rule that says what the default says already.
      if (action != default_action) {
        TRY(AddSyscall(context.get(), rule, action, name));
      }
    }
  }
  program.flags = LoadFlags(seccomp, program.listener);
  program.filter = TRY(Export(context.get()));
  const bool denies = seccomp.default_action == oci::SeccompAction::kErrno ||
                      seccomp.default_action == oci::SeccompAction::kTrap ||
                      seccomp.default_action == oci::SeccompAction::kKillThread ||
                      seccomp.default_action == oci::SeccompAction::kKillProcess;
  if (denies && default_action != SCMP_ACT_ERRNO(ENOSYS)) {
    std::vector<sock_filter> stub = newest.MakeStub();
    program.filter.insert(program.filter.begin(), stub.begin(), stub.end());
  }
  program.filter = ShrinkFilter(program.filter);
  if (program.filter.size() > BPF_MAXINSNS) {
    return std::unexpected(
        Failure("the filter is longer than the kernel's " + std::to_string(BPF_MAXINSNS) + " instructions", E2BIG));
  }
  return program;
}

// ---- SharedProgram

namespace {

struct SharedLayout {
  std::uint32_t flags;
  std::uint32_t listener;
  std::uint64_t length;
  std::array<sock_filter, BPF_MAXINSNS> filter;
};

}  // namespace

Result<std::unique_ptr<SharedProgram>> SharedProgram::Create() {
  void* memory =
      ::mmap(nullptr, sizeof(SharedLayout), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    return std::unexpected(SysError("mmap", "seccomp program"));
  }
  std::unique_ptr<SharedProgram> program{new SharedProgram};
  program->memory_ = memory;
  return program;
}

SharedProgram::~SharedProgram() {
  ::munmap(memory_, sizeof(SharedLayout));
}

Result<> SharedProgram::Set(const SeccompProgram& program) {
  auto* layout = static_cast<SharedLayout*>(memory_);
  if (program.filter.empty() || program.filter.size() > layout->filter.size()) {
    return std::unexpected(
        Failure("seccomp: filter of " + std::to_string(program.filter.size()) + " instructions", E2BIG));
  }
  layout->flags = program.flags;
  layout->listener = program.listener ? 1 : 0;
  std::copy(program.filter.begin(), program.filter.end(), layout->filter.begin());
  layout->length = program.filter.size();
  return {};
}

SeccompProgram SharedProgram::Get() const {
  const auto* layout = static_cast<const SharedLayout*>(memory_);
  SeccompProgram program{.filter = {}, .flags = layout->flags, .listener = layout->listener != 0};
  program.filter.assign(layout->filter.begin(), layout->filter.begin() + static_cast<std::ptrdiff_t>(layout->length));
  return program;
}

}  // namespace nucleus::confine
