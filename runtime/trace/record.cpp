#include "runtime/trace/record.h"

#include <seccomp.h>

#include <algorithm>
#include <cstdio>
#include <span>

#include "base/json_writer.h"
#include "runtime/confine/seccomp_names.h"
#include "runtime/trace/arguments.h"

namespace nucleus::trace {
namespace {

constexpr std::size_t kMaxLines = 20000;
constexpr std::size_t kMaxDistinct = 32;  // of one system call's arguments; beyond that they do not tell anything
constexpr std::size_t kDigits = 20;       // of the largest count
constexpr std::uint32_t kX32Bit = 0x40000000;

std::uint32_t Token(std::uint32_t architecture, int number) {
  const bool x32 = architecture == SCMP_ARCH_X86_64 && (static_cast<std::uint32_t>(number) & kX32Bit) != 0;
  return x32 ? std::uint32_t{SCMP_ARCH_X32} : architecture;
}

// "mmap" of 32-bit systems takes a pointer to its arguments.
bool TakesPointer(std::uint32_t token, std::string_view name) {
  return name == "mmap" && token == SCMP_ARCH_X86;
}

std::string FormatSyscall(std::string_view name, std::uint32_t token, std::span<const std::uint32_t> values) {
  JsonWriter out;
  out.BeginObject();
  out.Key("syscall").String(name);
  out.Key("arch").String(confine::ArchitectureName(token));
  if (!values.empty()) {
    out.Key("args").BeginArray();
    for (const std::uint32_t value : values) {
      out.Uint(value);
    }
    out.EndArray();
  }
  out.EndObject();
  return out.Take();
}

}  // namespace

std::string FormatHeader(std::string_view id, std::string_view digest, bool files) {
  JsonWriter out;
  out.BeginObject();
  out.Key("nucleusTrace").Int(kFormatVersion);
  out.Key("id").String(id);
  out.Key("config").String("sha256:" + std::string{digest});
  out.Key("files").Bool(files);
  out.EndObject();
  return out.Take();
}

Record::Record(std::string_view header) : text_(header) {
  text_ += '\n';
}

std::size_t Record::Append(std::string_view object) {
  object.remove_suffix(1);
  text_ += object;
  text_ += ",\"count\":";
  lines_.push_back({.at = text_.size(), .count = 1});
  text_.append(kDigits, ' ');
  text_ += "}\n";
  return lines_.size() - 1;
}

Record::Syscall& Record::Find(std::uint32_t token, int number) {
  const auto known = syscalls_.find({token, number});
  if (known != syscalls_.end()) {
    return known->second;
  }
  Syscall syscall;
  syscall.name = confine::SyscallNameOn(token, number);
  // All that have no name share one: there may be four thousand million of them.
  Syscall& slot = syscalls_[{token, syscall.name.empty() ? INT32_MIN : number}];
  if (!slot.name.empty()) {
    return slot;
  }
  if (syscall.name.empty()) {
    syscall.name = kUnknown;
  } else if (!TakesPointer(token, syscall.name)) {
    for (const Argument& argument : ArgumentsThatMatter(syscall.name)) {
      syscall.index.at(syscall.arguments) = argument.index;
      syscall.mask.at(syscall.arguments) = argument.mask;
      ++syscall.arguments;
    }
  }
  slot = std::move(syscall);
  return slot;
}

void Record::AddSyscall(std::uint32_t architecture, int number, const std::array<std::uint64_t, 6>& arguments) {
  const std::uint32_t token = Token(architecture, number);
  Syscall& syscall = Find(token, number);
  Key key{token, static_cast<std::uint32_t>(number), 0, 0, 0};
  unsigned count = syscall.arguments;
  for (unsigned i = 0; i < count; ++i) {
    key.at(2 + i) = static_cast<std::uint32_t>(arguments.at(syscall.index.at(i))) & syscall.mask.at(i);
  }
  if (syscall.name == kUnknown) {
    key[2] = static_cast<std::uint32_t>(number);
    count = 1;
  }
  if (const auto known = keys_.find(key); known != keys_.end()) {
    ++lines_[known->second].count;
    return;
  }
  if (syscall.any != SIZE_MAX) {
    ++lines_[syscall.any].count;
    return;
  }
  if (lines_.size() >= kMaxLines) {
    ++dropped_;
    return;
  }
  const bool all = count != 0 && syscall.distinct >= kMaxDistinct;
  const std::span<const std::uint32_t> values{key.data() + 2, all ? 0U : count};
  const std::size_t line = Append(FormatSyscall(syscall.name, token, values));
  if (all) {
    syscall.any = line;
  } else {
    keys_[key] = line;
    ++syscall.distinct;
  }
}

void Record::Add(std::string_view object) {
  if (const auto known = others_.find(object); known != others_.end()) {
    ++lines_[known->second].count;
  } else if (lines_.size() < kMaxLines) {
    others_.emplace(object, Append(object));
  } else {
    ++dropped_;
  }
}

const std::string& Record::Text() {
  std::array<char, kDigits + 1> digits{};
  for (const Line& line : lines_) {
    std::snprintf(digits.data(), digits.size(), "%-20llu", static_cast<unsigned long long>(line.count));
    std::copy_n(digits.begin(), kDigits, text_.begin() + static_cast<std::ptrdiff_t>(line.at));
  }
  return text_;
}

void Record::End() {
  text_ += std::string{kEndStart} + ",\"dropped\":" + std::to_string(dropped_) + "}\n";
}

}  // namespace nucleus::trace
