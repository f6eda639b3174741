// Device rules on cgroup v2: an eBPF program attached to the cgroup.
// Source: bpf(2), Documentation/admin-guide/cgroup-v2.rst "Device controller".

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "runtime/cgroup/device_program.h"
#include "runtime/cgroup/resources.h"
#include "runtime/sys/syscalls.h"

namespace nucleus::cgroup {
namespace {

long Bpf(int command, bpf_attr& attributes) {
  return ::syscall(SYS_bpf, command, &attributes, sizeof attributes);
}

Result<Fd> LoadProgram(const std::vector<bpf_insn>& program) {
  static constexpr char kLicense[] = "Apache-2.0";
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<std::uintptr_t>(program.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(program.size());
  attributes.license = reinterpret_cast<std::uintptr_t>(kLicense);
  std::memcpy(attributes.prog_name, "nucleus_dev", sizeof "nucleus_dev");
  Fd fd{static_cast<int>(Bpf(BPF_PROG_LOAD, attributes))};
  if (!fd) {
    return std::unexpected(SysError("bpf load", "device program"));
  }
  return fd;
}

// What is attached already: replaced by the new program in one step, so that there is no moment without one.
Result<std::vector<std::uint32_t>> Attached(int cgroup, const std::string& directory) {
  constexpr std::size_t kMost = 64;
  std::array<std::uint32_t, kMost> ids{};
  bpf_attr attributes{};
  attributes.query.target_fd = static_cast<std::uint32_t>(cgroup);
  attributes.query.attach_type = BPF_CGROUP_DEVICE;
  attributes.query.prog_ids = reinterpret_cast<std::uintptr_t>(ids.data());
  attributes.query.prog_cnt = ids.size();
  if (Bpf(BPF_PROG_QUERY, attributes) != 0) {
    return std::unexpected(SysError("bpf query", directory));
  }
  return std::vector<std::uint32_t>(ids.begin(), ids.begin() + attributes.query.prog_cnt);
}

Result<Fd> OpenProgram(std::uint32_t id) {
  bpf_attr attributes{};
  attributes.prog_id = id;
  Fd fd{static_cast<int>(Bpf(BPF_PROG_GET_FD_BY_ID, attributes))};
  if (!fd) {
    return std::unexpected(SysError("bpf open", "device program"));
  }
  return fd;
}

}  // namespace

Result<> ApplyDevicesV2(const std::string& directory, const std::vector<oci::DeviceRule>& rules) {
  const Fd cgroup = TRY(sys::Open(directory, O_RDONLY | O_DIRECTORY));
  const Fd program = TRY(LoadProgram(CompileDeviceProgram(rules)));
  const std::vector<std::uint32_t> old = TRY(Attached(cgroup.get(), directory));
  Fd replaced;
  bpf_attr attributes{};
  attributes.target_fd = static_cast<std::uint32_t>(cgroup.get());
  attributes.attach_bpf_fd = static_cast<std::uint32_t>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (old.size() == 1) {
    replaced = TRY(OpenProgram(old[0]));
    attributes.attach_flags |= BPF_F_REPLACE;
    attributes.replace_bpf_fd = static_cast<std::uint32_t>(replaced.get());
  }
  if (Bpf(BPF_PROG_ATTACH, attributes) != 0) {
    return std::unexpected(SysError("bpf attach", directory));
  }
  return {};
}

}  // namespace nucleus::cgroup
