// attest create and attest verify.
#include "runtime/attest/attest.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/sha256.h"
#include "policies/closure.h"
#include "policies/pinned_file.h"
#include "runtime/sys/syscalls.h"
#include "shim/cli/commands.h"
#include "shim/cli/progress.h"

namespace nucleus::shim {
namespace {

constexpr std::size_t kChunk = std::size_t{64} << 10;

// Writes the text a piece at a time; returns its digest.
Result<std::string> WriteManifest(const attest::Manifest& manifest, int fd, const std::string& name) {
  Sha256 hash;
  std::string text{attest::HeaderOf(manifest)};
  const auto flush = [&]() -> Result<> {
    hash.Update(text.data(), text.size());
    TRY(WriteAll(fd, text, name));
    text.clear();
    return {};
  };
  for (const attest::Entry& entry : manifest.entries) {
    attest::AppendEntry(text, manifest, entry);
    if (text.size() >= kChunk) {
      TRY(flush());
    }
  }
  TRY(flush());
  return Hex(hash.Finish());
}

Result<std::string> RealPath(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> real{::realpath(path.c_str(), nullptr), &::free};
  if (real == nullptr) {
    return std::unexpected(SysError("open", path));
  }
  return std::string{real.get()} + "/";
}

// A manifest inside of the tree would make the tree another one.
Result<> CheckOutside(const std::string& output, const std::string& directory) {
  const std::size_t slash = output.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : output.substr(0, slash + 1);
  if (TRY(RealPath(parent)).starts_with(TRY(RealPath(directory)))) {
    return std::unexpected(Failure(output + " lies inside of the tree that it is to describe", EINVAL));
  }
  return {};
}

// Under another name first: `output` is whole, or as it was.
Result<std::string> WriteFile(const attest::Manifest& manifest, const std::string& output) {
  std::string temporary = output + ".XXXXXX";
  const Fd file{::mkostemp(temporary.data(), O_CLOEXEC)};
  if (!file) {
    return std::unexpected(SysError("create", temporary));
  }
  constexpr mode_t kMode = 0644;
  Result<std::string> digest = WriteManifest(manifest, file.get(), temporary);
  if (digest && (::fchmod(file.get(), kMode) != 0 || ::rename(temporary.c_str(), output.c_str()) != 0)) {
    digest = std::unexpected(SysError("write", output));
  }
  if (!digest) {
    ::unlink(temporary.c_str());
  }
  return digest;
}

Result<attest::Manifest> Describe(const attest::TreeRoot& tree, const AttestCommand& command) {
  const Progress progress{"describing " + command.directory, {}};
  return TRY_IN(command.directory, attest::DescribeTree(tree, command.store));
}

Result<int> Create(const attest::TreeRoot& tree, const AttestCommand& command) {
  if (command.manifest.empty()) {
    const attest::Manifest manifest = TRY(Describe(tree, command));
    const std::string digest = TRY(WriteManifest(manifest, STDOUT_FILENO, "stdout"));
    TRY(WriteAll(STDERR_FILENO, "sha256:" + digest + "\n", "stderr"));
    return 0;
  }
  TRY(CheckOutside(command.manifest, command.directory));
  const attest::Manifest manifest = TRY(Describe(tree, command));
  const std::string digest = TRY(WriteFile(manifest, command.manifest));
  TRY(WriteAll(STDOUT_FILENO, command.manifest + "@sha256:" + digest + "\n", "stdout"));
  return 0;
}

Result<int> Verify(const attest::TreeRoot& tree, const AttestCommand& command) {
  attest::Manifest manifest;
  {
    const std::string text = TRY(ReadFile(command.manifest, attest::kManifestLimit));
    if (!command.digest.empty()) {
      if (const std::string digest = Sha256Hex(text); digest != command.digest) {
        return std::unexpected(
            Failure(command.manifest + ": its digest is sha256:" + digest + ", not sha256:" + command.digest));
      }
    }
    manifest = TRY(attest::ParseManifest(text, command.manifest));
  }
  std::optional<Progress> progress{std::in_place, "comparing " + command.directory, ""};
  const attest::Report report = TRY_IN(command.directory, attest::CompareTree(tree, manifest));
  progress.reset();
  if (report.count == 0) {
    return 0;
  }
  std::string lines;
  for (const attest::Finding& finding : report.first) {
    lines += attest::Line(finding) + "\n";
  }
  if (report.count > report.first.size()) {
    lines += "and " + std::to_string(report.count - report.first.size()) + " more\n";
  }
  TRY(WriteAll(STDOUT_FILENO, lines, "stdout"));
  return std::unexpected(Failure(command.directory + " is not as " + command.manifest +
                                 " says: differences: " + std::to_string(report.count)));
}

// Each path of the list where it lies here, in the tree as it is going to be mounted there.
Result<std::vector<Fd>> OpenClosure(const std::string& list, attest::TreeRoot& tree) {
  std::vector<Fd> nodes;
  if (list.empty()) {
    return nodes;
  }
  const std::string text = TRY(ReadFile(list, policies::kMaxPolicyBytes));
  for (std::string& path : TRY(policies::ParseClosure(text, list))) {
    nodes.push_back(TRY_IN(list, sys::OpenAt2(AT_FDCWD, path, O_PATH | O_NOFOLLOW, RESOLVE_NO_MAGICLINKS)));
    tree.grafts.emplace(std::move(path), nodes.back().get());
  }
  return nodes;
}

}  // namespace

Result<int> Attest(const AttestCommand& command) {
  const Fd root = TRY(sys::Open(command.directory, O_PATH | O_DIRECTORY));
  attest::TreeRoot tree{.root = root.get(), .grafts = {}};
  const std::vector<Fd> closure = TRY(OpenClosure(command.closure, tree));
  return command.verify ? Verify(tree, command) : Create(tree, command);
}

}  // namespace nucleus::shim
