#include "runtime/attest/attest.h"

#include "runtime/attest/escape.h"

namespace nucleus::attest {

std::string Line(const Finding& finding) {
  std::string line;
  switch (finding.kind) {
    case Kind::kMissing:
      line = "missing ";
      break;
    case Kind::kExtra:
      line = "extra ";
      break;
    case Kind::kDifferent:
      line = "different ";
      break;
  }
  AppendEscaped(line, finding.path);
  return finding.what.empty() ? line : line + ": " + finding.what;
}

Result<> VerifyTree(const TreeRoot& tree, std::string_view manifest, std::string_view manifest_name,
                    std::string_view root_name) {
  const Manifest expected = TRY(ParseManifest(manifest, manifest_name));
  const Report report = TRY_IN(root_name, CompareTree(tree, expected));
  if (report.count == 0) {
    return {};
  }
  std::string text = std::string{root_name} + " is not as " + std::string{manifest_name} + " says: ";
  for (const Finding& finding : report.first) {
    text += Line(finding) + ", ";
  }
  if (report.count > report.first.size()) {
    text += "and " + std::to_string(report.count - report.first.size()) + " more, ";
  }
  return std::unexpected(Failure(text + std::to_string(report.count) + " in all"));
}

}  // namespace nucleus::attest
