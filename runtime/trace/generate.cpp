#include "runtime/trace/generate.h"

#include <seccomp.h>

#include <set>

#include "base/json_writer.h"
#include "runtime/confine/seccomp_names.h"
#include "runtime/confine/seccomp_trace.h"
#include "runtime/trace/arguments.h"

namespace nucleus::trace {
namespace {

constexpr std::size_t kFew = 32;  // rules of one system call

using Values = std::set<std::vector<std::uint32_t>>;

void WriteRule(JsonWriter& out, const std::string& name, const std::vector<std::uint32_t>& values) {
  const std::span<const Argument> matter = ArgumentsThatMatter(name);
  out.BeginObject();
  out.Key("names").BeginArray().String(name).EndArray();
  out.Key("action").String("SCMP_ACT_ALLOW");
  out.Key("args").BeginArray();
  for (std::size_t i = 0; i < values.size(); ++i) {
    out.BeginObject();
    out.Key("index").Uint(matter[i].index);
    out.Key("value").Uint(matter[i].mask);
    out.Key("valueTwo").Uint(values[i]);
    out.Key("op").String("SCMP_CMP_MASKED_EQ");
    out.EndObject();
  }
  out.EndArray();
  out.EndObject();
}

}  // namespace

std::string GenerateProfile(const Trace& trace) {
  std::set<std::string> whole{confine::kUntraced.begin(), confine::kUntraced.end()};
  std::map<std::string, Values> by_name;
  std::set<std::string> architectures;
  for (const auto& [call, lines] : trace.calls) {
    architectures.insert(call.architecture);
    for (const auto& [values, count] : lines) {
      by_name[call.name].insert(values);
    }
  }
  if (architectures.empty()) {
    architectures.emplace(confine::ArchitectureName(::seccomp_arch_native()));
  }
  std::erase_if(by_name, [&whole](const auto& entry) {
    const bool any = entry.second.contains({}) || entry.second.size() > kFew;
    if (any) {
      whole.insert(entry.first);
    }
    return any;
  });
  constexpr int kIndent = 2;
  JsonWriter out{kIndent};
  out.BeginObject();
  out.Key("defaultAction").String("SCMP_ACT_ERRNO");
  out.Key("defaultErrnoRet").Uint(EPERM);
  out.Key("architectures").BeginArray();
  for (const std::string& architecture : architectures) {
    out.String(architecture);
  }
  out.EndArray();
  out.Key("syscalls").BeginArray();
  out.BeginObject();
  out.Key("names").BeginArray();
  for (const std::string& name : whole) {
    out.String(name);
  }
  out.EndArray();
  out.Key("action").String("SCMP_ACT_ALLOW");
  out.EndObject();
  for (const auto& [name, values] : by_name) {
    for (const std::vector<std::uint32_t>& combination : values) {
      WriteRule(out, name, combination);
    }
  }
  out.EndArray();
  out.EndObject();
  std::string text = out.Take();
  if (!text.ends_with('\n')) {
    text += '\n';
  }
  return text;
}

}  // namespace nucleus::trace
