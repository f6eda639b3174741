#include "runtime/container/bundle_policies.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/sha256.h"
#include "oci-config/annotations.h"
#include "oci-config/parse.h"
#include "policies/builtin.h"
#include "policies/closure.h"
#include "runtime/confine/seccomp_names.h"
#include "runtime/container/filter_file.h"

namespace nucleus::container {
namespace {

// Of a copy in the state directory that has a file of its own: a policy that has taken the place of the first, and
// those of a container that an earlier version has made.
std::string FileName(const std::string& kind) {
  return kind + ".policy";
}

// All that were there when it was created are in one file: a line with kind and length before each.
void AddSection(std::string& text, std::string_view kind, std::string_view bytes) {
  text.append(kind).append(" ").append(std::to_string(bytes.size())).append("\n").append(bytes);
}

// Nothing where there is none of that kind.
std::optional<std::string> Find(std::string_view text, std::string_view kind) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const std::size_t blank = line.find(' ');
    if (line.size() == text.size() || blank == std::string_view::npos) {
      return std::nullopt;
    }
    std::size_t size = 0;
    const char* const end = line.data() + line.size();
    const auto [read, error] = std::from_chars(line.data() + blank + 1, end, size);
    text.remove_prefix(line.size() + 1);
    if (error != std::errc{} || read != end || size > text.size()) {
      return std::nullopt;
    }
    if (line.substr(0, blank) == kind) {
      return std::string{text.substr(0, size)};
    }
    text.remove_prefix(size);
  }
  return std::nullopt;
}

}  // namespace

Result<policies::Policies> LoadPolicies(const oci::Annotations& annotations, const std::string& bundle,
                                        void (*warn)(const std::string&), const policies::FilterIsKnown& known) {
  policies::Policies result = TRY(policies::Load(annotations, bundle, confine::IsSyscall, known));
  if (known && result.mode && !annotations.seccomp_policy) {
    result.filter_known = known(SeccompPolicyDigest(result));
  }
  TRY(oci::RefuseUnsupported(annotations));
  const auto warn_of_no_digest = [warn](const policies::Document& document, const std::string& key) {
    if (!document.pinned && warn != nullptr) {
      warn("annotations[\"dev.nucleus." + key + "\"]: " + document.file.path +
           ": no digest is pinned; it is sha256:" + document.file.digest);
    }
  };
  for (const policies::Document& document : result.documents) {
    warn_of_no_digest(document, "policy." + document.kind);
  }
  for (const std::optional<policies::Document>* document : {&result.rootfs_manifest, &result.rootfs_closure}) {
    if (document->has_value()) {
      warn_of_no_digest(**document, (*document)->kind);
    }
  }
  return result;
}

std::string SeccompPolicyDigest(const policies::Policies& policies) {
  const auto document = std::ranges::find(policies.documents, "seccomp", &policies::Document::kind);
  return document != policies.documents.end() ? document->file.digest : Sha256Hex(policies::BuiltinAgentSeccomp());
}

Result<> KeepPolicies(const StateDir& directory, const policies::Policies& policies,
                      const confine::SeccompProgram* filter) {
  const std::string program = filter != nullptr ? FormatFilter(*filter) : "";
  if (policies.documents.empty()) {
    return filter == nullptr ? Result<>{} : directory.WriteNew(kFilterFile, program);
  }
  std::string text;
  for (const policies::Document& document : policies.documents) {
    AddSection(text, document.kind, document.file.bytes);
  }
  if (filter != nullptr) {
    AddSection(text, kFilterFile, program);
  }
  return directory.WriteNew(kPoliciesFile, text);
}

Result<confine::SeccompProgram> KeptFilter(const StateDir& directory) {
  const std::string name = directory.path() + "/" + kFilterFile;
  const Result<std::string> own = directory.ReadFile(kFilterFile);
  if (own) {
    return ParseFilter(*own, name);
  }
  const Result<std::string> all =
      own.error().code == ENOENT ? directory.ReadFile(kPoliciesFile) : std::unexpected(own.error());
  const std::optional<std::string> found = all ? Find(*all, kFilterFile) : std::nullopt;
  return found ? ParseFilter(*found, name) : std::unexpected(own.error());
}

namespace {

// `all`: what kPoliciesFile holds, read when it is needed first.
Result<std::string> Kept(const StateDir& directory, const std::string& kind, std::optional<std::string>& all) {
  Result<std::string> own = directory.ReadFile(FileName(kind).c_str());
  if (own || own.error().code != ENOENT) {
    return own;
  }
  if (!all) {
    all = TRY(directory.ReadFile(kPoliciesFile));
  }
  std::optional<std::string> found = Find(*all, kind);
  return found ? Result<std::string>{std::move(*found)}
               : std::unexpected(Failure(directory.path() + "/" + kPoliciesFile + ": no policy of this kind", ENOENT));
}

}  // namespace

Result<std::string> KeptPolicy(const StateDir& directory, const std::string& kind) {
  std::optional<std::string> all;
  return Kept(directory, kind, all);
}

Result<> ReplacePolicy(const StateDir& directory, const std::string& kind, std::string_view bytes) {
  return directory.WriteFile(FileName(kind).c_str(), bytes);
}

Result<policies::Policies> KeptPolicies(const StateDir& directory, const oci::StringMap& annotations) {
  const oci::Annotations parsed = TRY(oci::ParseAnnotations(annotations));
  policies::Policies result;
  result.mode = parsed.mode;
  std::optional<std::string> all;
  for (const auto& [kind, pin] : policies::PolicyPins(parsed)) {
    if (pin->has_value()) {
      policies::PinnedFile file{.path = directory.path() + "/" + FileName(kind), .bytes = {}, .digest = {}};
      file.bytes = TRY(Kept(directory, kind, all));
      TRY(policies::AddDocument(result, {.kind = kind, .file = std::move(file), .pinned = true}, confine::IsSyscall));
    }
  }
  return result;
}

Result<std::vector<PinCheck>> VerifyPins(const std::string& bundle) {
  constexpr std::size_t kMaxOther = std::size_t{256} << 20;  // a manifest, runsc's binary
  const std::string text = TRY(ReadFile(bundle + "/config.json", oci::kMaxConfigBytes));
  const oci::Spec spec = TRY(oci::ParseSpec(text, "config.json"));
  const oci::Annotations annotations = TRY_IN("config.json", oci::ParseAnnotations(spec.annotations));
  std::vector<PinCheck> checks;
  checks.push_back({.name = "config.json", .pin = "config.json@sha256:" + Sha256Hex(text), .error = {}});
  struct Row {
    const char* name;
    const std::optional<oci::Pin>* pin;
    bool policy;
  };
  std::vector<Row> rows;
  for (const auto& [kind, pin] : policies::PolicyPins(annotations)) {
    rows.push_back({kind, pin, true});
  }
  rows.push_back({"rootfs.manifest", &annotations.rootfs_manifest, false});
  rows.push_back({"rootfs.closure", &annotations.rootfs_closure, false});
  rows.push_back({"gvisor.runsc", &annotations.gvisor_runsc, false});
  for (const Row& row : rows) {
    if (!row.pin->has_value()) {
      continue;
    }
    PinCheck check{.name = row.name, .pin = {}, .error = {}};
    Result<policies::PinnedFile> file =
        policies::ReadPinned(bundle, **row.pin, row.policy ? policies::kMaxPolicyBytes : kMaxOther);
    Result<> good = file ? Result<>{} : std::unexpected(file.error());
    if (file) {
      check.pin = (*row.pin)->path + "@sha256:" + file->digest;
      policies::Policies parsed;
      if (row.pin == &annotations.rootfs_closure) {
        const Result<std::vector<std::string>> closure = policies::ParseClosure(file->bytes, file->path);
        good = closure ? Result<>{} : std::unexpected(closure.error());
      } else if (row.policy) {
        good = policies::AddDocument(parsed, {.kind = row.name, .file = std::move(*file), .pinned = true},
                                     confine::IsSyscall);
      }
    }
    check.error = good ? "" : check.name + ": " + good.error().message;
    checks.push_back(std::move(check));
  }
  return checks;
}

}  // namespace nucleus::container
