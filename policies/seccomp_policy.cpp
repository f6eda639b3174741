#include "policies/seccomp_policy.h"

#include <algorithm>
#include <unordered_map>

#include "oci-config/parse.h"

namespace nucleus::policies {
namespace {

// Of the `occurrence`th string `text` of the document.
std::size_t LineOf(std::string_view json, const std::string& text, std::size_t occurrence) {
  const std::string quoted = "\"" + text + "\"";
  std::size_t at = json.find(quoted);
  for (; occurrence > 0 && at != std::string_view::npos; --occurrence) {
    at = json.find(quoted, at + 1);
  }
  const std::string_view before = json.substr(0, at == std::string_view::npos ? 0 : at);
  return 1 + static_cast<std::size_t>(std::ranges::count(before, '\n'));
}

// Rules with different arguments may stand side by side; the same arguments are the same rule.
std::string ArgumentsKey(const std::vector<oci::SeccompArg>& args) {
  std::vector<std::string> parts;
  parts.reserve(args.size());
  for (const oci::SeccompArg& arg : args) {
    parts.push_back(std::to_string(arg.index) + " " + std::to_string(static_cast<int>(arg.op)) + " " +
                    std::to_string(arg.value) + " " + std::to_string(arg.value_two) + ";");
  }
  std::ranges::sort(parts);
  std::string key;
  for (const std::string& part : parts) {
    key += part;
  }
  return key;
}

}  // namespace

Result<oci::Seccomp> ParseSeccompPolicy(std::string_view json, const std::string& name,
                                        bool (*is_syscall)(std::string_view name)) {
  oci::Seccomp seccomp = TRY(oci::ParseSeccompDocument(json, name));
  std::unordered_map<std::string_view, std::vector<std::string>> rules;  // the arguments of each name's
  for (std::size_t i = 0; i < seccomp.syscalls.size(); ++i) {
    const oci::SeccompSyscall& rule = seccomp.syscalls[i];
    const std::string arguments = ArgumentsKey(rule.args);
    for (std::size_t j = 0; j < rule.names.size(); ++j) {
      const std::string& syscall = rule.names[j];
      std::vector<std::string>& before = rules[syscall];
      const auto fail = [&](const std::string& message) {
        return std::unexpected(Failure(name + ":" + std::to_string(LineOf(json, syscall, before.size())) +
                                           ": syscalls[" + std::to_string(i) + "].names[" + std::to_string(j) +
                                           "]: " + message,
                                       EINVAL));
      };
      if (!is_syscall(syscall)) {
        return fail("unknown syscall \"" + syscall.substr(0, 64) + "\"");
      }
      // One without arguments stands alone.
      const bool alone = rule.args.empty() || (!before.empty() && before.front().empty());
      if ((alone && !before.empty()) || std::ranges::find(before, arguments) != before.end()) {
        return fail("a second rule for \"" + syscall + "\"");
      }
      before.push_back(arguments);
    }
  }
  return seccomp;
}

}  // namespace nucleus::policies
