#include "runtime/trace/record.h"

#include <linux/audit.h>
#include <sys/syscall.h>

#include <boost/test/unit_test.hpp>

#include "runtime/trace/arguments.h"
#include "runtime/trace/generate.h"
#include "runtime/trace/read.h"

namespace nucleus::trace {
namespace {

Trace ReadBack(Record& record) {
  Trace trace;
  const Result<> read = ReadTrace(record.Text(), "t", trace);
  BOOST_REQUIRE_MESSAGE(read, read.error().message);
  return trace;
}

Record Empty() {
  return Record{FormatHeader("box", std::string(64, '0'), false)};
}

std::size_t Lines(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count(text, '\n'));
}

BOOST_AUTO_TEST_SUITE(trace_record)

BOOST_AUTO_TEST_CASE(counts_the_same_call_on_one_line) {
  Record record = Empty();
  for (int i = 0; i < 3; ++i) {
    record.AddSyscall(AUDIT_ARCH_X86_64, SYS_read, {static_cast<std::uint64_t>(i)});
  }
  record.AddSyscall(AUDIT_ARCH_X86_64, SYS_socket, {1, 1 | 02000000, 0});
  record.AddSyscall(AUDIT_ARCH_X86_64, SYS_socket, {1, 1, 0});
  record.AddSyscall(AUDIT_ARCH_X86_64, SYS_socket, {2, 1, 6});
  record.End();
  const Trace trace = ReadBack(record);
  BOOST_TEST(trace.warnings.empty());
  BOOST_TEST(trace.calls.at({"read", "SCMP_ARCH_X86_64"}).at({}) == 3);
  BOOST_TEST(trace.calls.at({"socket", "SCMP_ARCH_X86_64"}).at({1, 1, 0}) == 2);
  BOOST_TEST(trace.calls.at({"socket", "SCMP_ARCH_X86_64"}).at({2, 1, 6}) == 1);
}

BOOST_AUTO_TEST_CASE(lines_keep_their_place_and_length) {
  Record record = Empty();
  record.AddSyscall(AUDIT_ARCH_X86_64, SYS_read, {});
  const std::string before = record.Text();
  for (int i = 0; i < 100000; ++i) {
    record.AddSyscall(AUDIT_ARCH_X86_64, SYS_read, {});
  }
  record.AddSyscall(AUDIT_ARCH_X86_64, SYS_write, {});
  const std::string after = record.Text();
  BOOST_TEST(after.size() > before.size());
  BOOST_TEST(after.find('\n', before.size() - 1) == before.size() - 1);
  // Any mixture of the two is a trace.
  for (std::size_t cut = 0; cut < before.size(); ++cut) {
    Trace trace;
    BOOST_TEST(ReadTrace(after.substr(0, cut) + before.substr(cut), "t", trace).has_value());
  }
}

BOOST_AUTO_TEST_CASE(bounded_whatever_the_arguments) {
  Record record = Empty();
  for (std::uint64_t i = 0; i < 100000; ++i) {
    record.AddSyscall(AUDIT_ARCH_X86_64, SYS_ioctl, {0, i});
    record.AddSyscall(AUDIT_ARCH_X86_64, static_cast<int>(1000 + i), {});
  }
  BOOST_TEST(Lines(record.Text()) < 100U);
  const Trace trace = ReadBack(record);
  BOOST_TEST(trace.calls.at({"ioctl", "SCMP_ARCH_X86_64"}).at({}) == 100000U - 32);
  BOOST_TEST(trace.unknown == 100000U);
  BOOST_TEST(GenerateProfile(trace).find("\"args\"") == std::string::npos);
}

BOOST_AUTO_TEST_CASE(paths_are_bounded_and_what_is_dropped_is_told) {
  Record record = Empty();
  for (int i = 0; i < 30000; ++i) {
    record.Add(R"({"path":"/)" + std::to_string(i) + R"("})");
  }
  record.End();
  const Trace trace = ReadBack(record);
  BOOST_TEST(trace.files.size() == 20000U);
  BOOST_REQUIRE(trace.warnings.size() == 1U);
  BOOST_TEST(trace.warnings[0].find("10000 calls found no room") != std::string::npos);
}

BOOST_AUTO_TEST_CASE(other_architectures) {
  Record record = Empty();
  record.AddSyscall(AUDIT_ARCH_I386, 3, {});             // read
  record.AddSyscall(AUDIT_ARCH_I386, 90, {0xffff0000});  // mmap: takes a pointer
  record.AddSyscall(AUDIT_ARCH_X86_64, 0x40000000, {});  // x32's read
  const Trace trace = ReadBack(record);
  BOOST_TEST(trace.calls.contains({"read", "SCMP_ARCH_X86"}));
  BOOST_TEST(trace.calls.at({"mmap", "SCMP_ARCH_X86"}).contains({}));
  BOOST_TEST(trace.calls.contains({"read", "SCMP_ARCH_X32"}));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace
}  // namespace nucleus::trace
