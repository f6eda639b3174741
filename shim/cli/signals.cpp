// Names and numbers of signals, as `kill` takes them.

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstring>

#include "shim/cli/command_line.h"

namespace nucleus::shim {

std::vector<std::string_view> SignalNames() {
  std::vector<std::string_view> names;
  for (int signal = 1; signal < SIGRTMIN; ++signal) {
    if (const char* known = sigabbrev_np(signal); known != nullptr) {
      names.emplace_back(known);
    }
  }
  return names;
}

Result<int> ParseSignal(const std::string& text) {
  const auto unknown = [&text] { return std::unexpected(Failure("unknown signal \"" + text + "\"", EINVAL)); };
  const auto number = [](std::string_view digits, int& value) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc{} && end == digits.data() + digits.size() && !digits.empty();
  };
  int value = 0;
  if (number(text, value)) {
    return value > 0 && value < NSIG ? Result<int>{value} : unknown();
  }
  std::string name = text;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (name.starts_with("SIG")) {
    name.erase(0, 3);
  }
  for (int signal = 1; signal < SIGRTMIN; ++signal) {
    const char* known = sigabbrev_np(signal);
    if (known != nullptr && name == known) {
      return signal;
    }
  }
  for (const auto& [base, sign, first] : {std::tuple{"RTMIN", '+', SIGRTMIN}, std::tuple{"RTMAX", '-', SIGRTMAX}}) {
    if (name == base) {
      return first;
    }
    if (name.starts_with(std::string{base} + sign) && number(std::string_view{name}.substr(6), value)) {
      const int signal = sign == '+' ? first + value : first - value;
      if (value >= 0 && signal >= SIGRTMIN && signal <= SIGRTMAX) {
        return signal;
      }
    }
  }
  return unknown();
}

}  // namespace nucleus::shim
