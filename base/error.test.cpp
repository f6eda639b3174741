// The words that callers match on.

#include "base/error.h"

#include <boost/test/unit_test.hpp>
#include <memory>

namespace nucleus {
namespace {

Result<int> Number(bool good) {
  if (!good) {
    return std::unexpected(Failure("no number", EDOM));
  }
  return 7;
}
Result<std::unique_ptr<int>> MoveOnly() {
  return std::make_unique<int>(3);
}
Result<int> Through(bool good) {
  const std::unique_ptr<int> three = TRY(MoveOnly());
  return *three + TRY(Number(good));
}
Result<> InContext(bool good) {
  TRY_IN("here", Number(good));
  return {};
}

}  // namespace

BOOST_AUTO_TEST_SUITE(errors)

BOOST_AUTO_TEST_CASE(words) {
  BOOST_TEST(ErrnoText(ENOENT) == "no such file or directory");
  BOOST_TEST(ErrnoText(EACCES) == "permission denied");
  BOOST_TEST(ErrnoText(EPERM) == "operation not permitted");
  BOOST_TEST(ErrnoText(EBUSY) == "device or resource busy");
  BOOST_TEST(ErrnoText(ENOTDIR) == "not a directory");
  BOOST_TEST(ErrnoText(E2BIG) == "argument list too long");
  BOOST_TEST(ErrnoText(EDOTDOT) == "RFS specific error");
  BOOST_TEST(ErrnoText(99999) == "errno 99999");
  BOOST_TEST(ErrnoText(-1) == "errno -1");
  BOOST_TEST(ErrnoName(ENOENT) == "ENOENT");
  BOOST_TEST(ErrnoName(99999) == "errno 99999");
}

BOOST_AUTO_TEST_CASE(system_errors) {
  const Error error = SysError("open", "/etc/x", EACCES);
  BOOST_TEST(error.message == "open /etc/x: permission denied");
  BOOST_TEST(error.code == EACCES);
  BOOST_TEST(SysError("clone", "", EAGAIN).message == "clone: resource temporarily unavailable");
  errno = ENOSPC;
  BOOST_TEST(SysError("write", "f").code == ENOSPC);
}

BOOST_AUTO_TEST_CASE(one_line_whatever_is_quoted) {
  BOOST_TEST(Failure("a\nb\x1b[31m\x7f").message == "a?b?[31m?");
  BOOST_TEST(SysError("open", "/a\nb", ENOENT).message == "open /a?b: no such file or directory");
  BOOST_TEST(Context("k\rl", Failure("m")).message == "k?l: m");
}

BOOST_AUTO_TEST_CASE(context_keeps_the_code) {
  const Error error = Context("a", Context("b", Failure("c", EIO)));
  BOOST_TEST(error.message == "a: b: c");
  BOOST_TEST(error.code == EIO);
}

BOOST_AUTO_TEST_CASE(try_unwraps_or_returns) {
  BOOST_TEST(Through(true).value() == 10);
  BOOST_REQUIRE(!Through(false).has_value());
  BOOST_TEST(Through(false).error().message == "no number");
  BOOST_TEST(Through(false).error().code == EDOM);
  BOOST_TEST(InContext(true).has_value());
  BOOST_TEST(InContext(false).error().message == "here: no number");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus
