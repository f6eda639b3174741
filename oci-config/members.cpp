#include "oci-config/members.h"

#include <algorithm>
#include <charconv>

namespace nucleus::oci {
namespace {

constexpr std::size_t kMaxMembers = 256;
constexpr std::size_t kMaxLabel = 63;
constexpr std::size_t kMaxName = 253;

// RFC 1123, section 2.1, in lower case; underscores are in use.
bool IsName(std::string_view name) {
  if (name.empty() || name.size() > kMaxName) {
    return false;
  }
  while (true) {
    const std::string_view label = name.substr(0, name.find('.'));
    const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'; };
    if (label.empty() || label.size() > kMaxLabel || !std::ranges::all_of(label, good)) {
      return false;
    }
    if (label.size() == name.size()) {
      return true;
    }
    name.remove_prefix(label.size() + 1);
  }
}

Result<std::uint32_t> ReadNumber(std::string_view text) {
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < kFirstMember || number > kLastMember) {
    return std::unexpected(Failure("\"" + std::string{text} + "\": must be a number from " +
                                       std::to_string(kFirstMember) + " to " + std::to_string(kLastMember),
                                   EINVAL));
  }
  return number;
}

}  // namespace

Result<Members> ParseMembers(std::string_view text) {
  Members members;
  members.number = TRY(ReadNumber(text.substr(0, text.find(','))));
  while (text.find(',') != std::string_view::npos) {
    text.remove_prefix(text.find(',') + 1);
    const std::string_view entry = text.substr(0, text.find(','));
    const std::size_t equals = entry.find('=');
    const std::string_view name = entry.substr(0, equals);
    if (equals == std::string_view::npos || !IsName(name)) {
      return std::unexpected(
          Failure("\"" + std::string{entry} + "\": must be NAME=NUMBER, the name in lower case", EINVAL));
    }
    if (std::ranges::find(members.others, name, &Member::name) != members.others.end()) {
      return std::unexpected(Failure("\"" + std::string{name} + "\" is there twice", EINVAL));
    }
    if (members.others.size() >= kMaxMembers) {
      return std::unexpected(Failure("more than " + std::to_string(kMaxMembers) + " members", E2BIG));
    }
    members.others.push_back({.name = std::string{name}, .number = TRY(ReadNumber(entry.substr(equals + 1)))});
  }
  return members;
}

}  // namespace nucleus::oci
