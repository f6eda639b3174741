// gVisor's place in nucleus: the backend is a program of its own, nucleus-gvisor, so that a container of the kernel's
// own pays for none of it. It has the same commands and does the whole of this one.

#include <fcntl.h>
#include <unistd.h>

#include "runtime/sys/own_program.h"
#include "shim/backend.h"

#ifndef NUCLEUS_GVISOR
#define NUCLEUS_GVISOR ""
#endif

namespace nucleus::shim {
namespace {

constexpr const char* kProgram = NUCLEUS_GVISOR;

// Does not return but with an error.
Error HandOver(char** argv) {
  if (kProgram[0] != '/') {
    return Failure("dev.nucleus.runtime gvisor: this build has no nucleus-gvisor", ENOTSUP);
  }
  const Result<Fd> program = sys::OpenOwnProgram(kProgram);
  if (!program) {
    return Context("dev.nucleus.runtime gvisor", program.error());
  }
  ::execveat(program->get(), "", argv, environ, AT_EMPTY_PATH);
  return SysError("exec", kProgram);
}

class Elsewhere final : public Backend {
 public:
  explicit Elsewhere(char** argv) : argv_(argv) {
  }
  Result<container::Launched> Create(const container::Settings&, const container::CreateOptions&,
                                     container::Bundle) override {
    return std::unexpected(HandOver(argv_));
  }
  Result<container::Launched> CreateAndStart(const container::Settings&, const container::CreateOptions&,
                                             container::Bundle) override {
    return std::unexpected(HandOver(argv_));
  }
  Result<> Start(const container::Settings&, const std::string&) override {
    return std::unexpected(HandOver(argv_));
  }
  Result<> Kill(const container::Settings&, const std::string&, int, bool) override {
    return std::unexpected(HandOver(argv_));
  }
  Result<container::Launched> Exec(const container::Settings&, const container::ExecOptions&) override {
    return std::unexpected(HandOver(argv_));
  }
  Result<> Checkpoint(const container::Settings&, const std::string&, const container::CriuOptions&) override {
    return std::unexpected(HandOver(argv_));
  }
  Result<std::vector<std::string>> Differences(const container::Bundle&, const plan::Plan&) override {
    return std::unexpected(HandOver(argv_));
  }
  Result<std::vector<std::pair<std::string, std::string>>> Describe(bool) override {
    return std::unexpected(HandOver(argv_));
  }
  Result<std::optional<std::string>> Processes(const container::Settings&, const std::string&, bool) override {
    return std::unexpected(HandOver(argv_));
  }

 private:
  char** argv_;
};

}  // namespace

Backend& GvisorBackend(char** argv) {
  static Elsewhere backend{argv};
  return backend;
}

}  // namespace nucleus::shim
