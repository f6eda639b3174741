// Descriptors that close themselves, and reading and writing whole files.

#include "base/fd.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <thread>

namespace nucleus {
namespace {

Fd MemoryFile(std::string_view content) {
  Fd fd{::memfd_create("test", MFD_CLOEXEC)};
  BOOST_REQUIRE(WriteAll(fd.get(), content, "memfd").has_value());
  ::lseek(fd.get(), 0, SEEK_SET);
  return fd;
}
bool IsOpen(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(descriptors)

BOOST_AUTO_TEST_CASE(owned) {
  int number = -1;
  {
    const Fd fd = MemoryFile("");
    number = fd.get();
    BOOST_TEST(IsOpen(number));
  }
  BOOST_TEST(!IsOpen(number));
  Fd one = MemoryFile("");
  number = one.get();
  Fd other = std::move(one);
  BOOST_TEST(!one.valid());
  BOOST_TEST(other.get() == number);
  Fd third = MemoryFile("");
  const int closed = third.get();
  third = std::move(other);
  BOOST_TEST(!IsOpen(closed));
  BOOST_TEST(third.get() == number);
  BOOST_TEST(third.Release() == number);
  BOOST_TEST(!third.valid());
  BOOST_TEST(IsOpen(number));
  third.Reset(number);
  third.Reset();
  BOOST_TEST(!IsOpen(number));
}

BOOST_AUTO_TEST_CASE(read_all) {
  for (const std::size_t size : {0UL, 1UL, 16383UL, 16384UL, 16385UL, 100000UL}) {
    const std::string content(size, 'x');
    const Fd file = MemoryFile(content);
    BOOST_TEST(ReadAll(file.get(), size, "f").value() == content);
    if (size > 0) {
      ::lseek(file.get(), 0, SEEK_SET);
      const Result<std::string> beyond = ReadAll(file.get(), size - 1, "f");
      BOOST_REQUIRE(!beyond.has_value());
      BOOST_TEST(beyond.error().code == EFBIG);
      BOOST_TEST(beyond.error().message == "read f: file too large");
    }
    ::lseek(file.get(), 0, SEEK_SET);
    BOOST_TEST(ReadAll(file.get(), SIZE_MAX, "f").value() == content);
  }
}

// A pipe tells no size beforehand and comes in pieces.
BOOST_AUTO_TEST_CASE(read_all_of_a_pipe) {
  for (const std::size_t limit : {std::size_t{70000}, SIZE_MAX}) {
    int ends[2];
    BOOST_REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    const Fd reader{ends[0]};
    std::thread writer{[end = ends[1]] {
      const Fd fd{end};
      for (int i = 0; i < 70; ++i) {
        (void)WriteAll(fd.get(), std::string(1000, 'y'), "pipe");
      }
    }};
    const Result<std::string> text = ReadAll(reader.get(), limit, "pipe");
    writer.join();
    BOOST_REQUIRE(text.has_value());
    BOOST_TEST(text->size() == 70000U);
  }
}

// What is known of a file may be old by the time it is read.
BOOST_AUTO_TEST_CASE(read_all_of_a_file_that_has_changed) {
  const Fd file = MemoryFile(std::string(1000, 'x'));
  struct stat status{};
  BOOST_REQUIRE(::fstat(file.get(), &status) == 0);
  for (const long size : {0L, 999L, 1001L, 16384L, 30000L}) {
    ::lseek(file.get(), 0, SEEK_SET);
    struct stat before = status;
    before.st_size = size;
    BOOST_TEST(ReadAll(file.get(), before, 40000, "f").value().size() == 1000U);
  }
}

BOOST_AUTO_TEST_CASE(records_of_the_kernel) {
  const Result<std::string> status = ReadRecord("/proc/self/status");
  BOOST_REQUIRE(status.has_value());
  BOOST_TEST(status->starts_with("Name:"));
  BOOST_TEST(status->ends_with("\n"));
  BOOST_TEST(ReadRecord("/proc/self/none").error().code == ENOENT);
  BOOST_TEST(ReadRecord("/dev/zero").error().code == EFBIG);
}

BOOST_AUTO_TEST_CASE(endless_files_are_bounded) {
  const Result<std::string> zeros = ReadFile("/dev/zero", 1000000);
  BOOST_REQUIRE(!zeros.has_value());
  BOOST_TEST(zeros.error().code == EFBIG);
}

BOOST_AUTO_TEST_CASE(read_file_names_the_path) {
  const Result<std::string> missing = ReadFile("/nonexistent/x", 10);
  BOOST_REQUIRE(!missing.has_value());
  BOOST_TEST(missing.error().message == "open /nonexistent/x: no such file or directory");
  BOOST_TEST(ReadFile("/", 10).error().message == "read /: is a directory");
  BOOST_TEST(!ReadFile("/proc/self/status", 1 << 20).value().empty());
}

BOOST_AUTO_TEST_CASE(write_errors) {
  const Fd reader{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
  const Result<> written = WriteAll(reader.get(), "x", "f");
  BOOST_REQUIRE(!written.has_value());
  BOOST_TEST(written.error().message == "write f: bad file descriptor");
  BOOST_TEST(WriteAll(reader.get(), "", "f").has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus
