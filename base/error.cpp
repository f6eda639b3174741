#include "base/error.h"

#include <cctype>
#include <cstring>

#include "base/one_line.h"

namespace nucleus {
namespace {}  // namespace

std::string OneLine(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      c = '?';
    }
  }
  return text;
}

std::string ErrnoText(int err) {
  const char* description = strerrordesc_np(err);
  if (description == nullptr) {
    return "errno " + std::to_string(err);
  }
  std::string text = description;
  // Words that begin with an acronym ("RPC ...") stay as they are.
  if (text.size() > 1 && std::islower(static_cast<unsigned char>(text[1])) != 0) {
    text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
  }
  return text;
}

std::string ErrnoName(int err) {
  const char* name = strerrorname_np(err);
  return name != nullptr ? name : "errno " + std::to_string(err);
}

Error SysError(std::string_view operation, std::string_view path, int err) {
  std::string message{operation};
  if (!path.empty()) {
    message += ' ';
    message += path;
  }
  message += ": ";
  message += ErrnoText(err);
  return Error{.message = OneLine(std::move(message)), .code = err};
}

Error Failure(std::string message, int code) {
  return Error{.message = OneLine(std::move(message)), .code = code};
}

Error Context(std::string_view where, Error error) {
  error.message.insert(0, OneLine(std::string{where}) + ": ");
  return error;
}

}  // namespace nucleus
