// Errors and results, used by every layer.
//
// The project's one choice: a fallible function returns Result<T>; nothing throws across a layer. An Error's text is
// one line, reads as a sentence, and ends with the kernel's words for errno in lower case ("no such file or
// directory", "permission denied"), because podman and containerd match on those words.
#pragma once

#include <cerrno>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace nucleus {

struct Error {
  // The whole line, errno's words included; no trailing newline. The functions below put '?' for control characters.
  std::string message;
  // The errno behind it, or 0 where none is.
  int code = 0;
};

template <class T = void>
using Result = std::expected<T, Error>;

// The kernel's words for an errno, lower case at the start: "no such file or directory".
std::string ErrnoText(int err);

// `operation path: errno's words`, for example "open /etc/x: permission denied". An empty path is left out.
Error SysError(std::string_view operation, std::string_view path, int err = errno);

// An error that no errno stands behind, or that already names it in the text.
Error Failure(std::string message, int code = 0);

// Puts `where: ` in front.
Error Context(std::string_view where, Error error);

// The errno's symbol, "ENOENT"; "errno 999" for one that has none.
std::string ErrnoName(int err);

namespace detail {
template <class T>
T Take(Result<T>&& result) {
  return *std::move(result);
}
inline void Take(Result<void>&&) {
}
}  // namespace detail

}  // namespace nucleus

// Unwraps a Result inside a function that returns a Result; on error returns it. `TRY(auto fd, Open(...))` is not
// needed: the macro is an expression, `Fd fd = TRY(Open(...));`.
#define TRY(...)                                              \
  ({                                                          \
    auto try_result_ = (__VA_ARGS__);                         \
    if (!try_result_.has_value()) {                           \
      return std::unexpected(std::move(try_result_).error()); \
    }                                                         \
    ::nucleus::detail::Take(std::move(try_result_));          \
  })

// The same, with a context put in front of the error.
#define TRY_IN(where, ...)                                                                 \
  ({                                                                                       \
    auto try_result_ = (__VA_ARGS__);                                                      \
    if (!try_result_.has_value()) {                                                        \
      return std::unexpected(::nucleus::Context((where), std::move(try_result_).error())); \
    }                                                                                      \
    ::nucleus::detail::Take(std::move(try_result_));                                       \
  })
