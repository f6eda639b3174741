// update: the limits of a file, and on top of them those of the flags.

#include <unistd.h>

#include "base/fd.h"
#include "oci-config/parse.h"
#include "shim/cli/commands.h"

namespace nucleus::shim {
namespace {

template <class T>
void Take(T& target, const T& flag) {
  if (flag) {
    target = flag;
  }
}

void Take(std::string& target, const std::string& flag) {
  if (!flag.empty()) {
    target = flag;
  }
}

oci::Resources Merge(oci::Resources resources, const oci::Resources& flags) {
  if (flags.memory) {
    oci::MemoryResources& memory = resources.memory ? *resources.memory : resources.memory.emplace();
    Take(memory.limit, flags.memory->limit);
    Take(memory.reservation, flags.memory->reservation);
    Take(memory.swap, flags.memory->swap);
  }
  if (flags.cpu) {
    oci::CpuResources& cpu = resources.cpu ? *resources.cpu : resources.cpu.emplace();
    Take(cpu.shares, flags.cpu->shares);
    Take(cpu.quota, flags.cpu->quota);
    Take(cpu.burst, flags.cpu->burst);
    Take(cpu.period, flags.cpu->period);
    Take(cpu.realtime_runtime, flags.cpu->realtime_runtime);
    Take(cpu.realtime_period, flags.cpu->realtime_period);
    Take(cpu.idle, flags.cpu->idle);
    Take(cpu.cpus, flags.cpu->cpus);
    Take(cpu.mems, flags.cpu->mems);
  }
  if (flags.block_io) {
    oci::BlockIoResources& io = resources.block_io ? *resources.block_io : resources.block_io.emplace();
    Take(io.weight, flags.block_io->weight);
  }
  Take(resources.pids_limit, flags.pids_limit);
  return resources;
}

}  // namespace

Result<> UpdateLimits(const container::Settings& settings, const UpdateCommand& command) {
  oci::Resources resources;
  if (!command.resources_file.empty()) {
    const bool standard_input = command.resources_file == "-";
    const std::string name = standard_input ? "standard input" : command.resources_file;
    const std::string text = standard_input ? TRY(ReadAll(STDIN_FILENO, oci::kMaxConfigBytes, name))
                                            : TRY(ReadFile(command.resources_file, oci::kMaxConfigBytes));
    resources = TRY(oci::ParseResources(text, name));
  }
  return container::Update(settings, command.id, Merge(std::move(resources), command.resources), command.rdt);
}

}  // namespace nucleus::shim
