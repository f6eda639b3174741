#include "runtime/container/filter_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>

namespace nucleus::container {
namespace {

namespace fs = std::filesystem;

class Directory {
 public:
  Directory() {
    char name[] = "/tmp/nucleus-test-cache-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name) != nullptr);
    top = name;
  }
  ~Directory() {
    fs::remove_all(top);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  [[nodiscard]] std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(top)) {
      files.push_back(entry.path());
    }
    return files;
  }
  std::string top;
};

oci::Seccomp Profile(const std::string& name) {
  oci::Seccomp seccomp;
  seccomp.syscalls.push_back({.names = {name, "exit_group"}, .action = oci::SeccompAction::kAllow});
  return seccomp;
}

bool Same(const confine::SeccompProgram& a, const confine::SeccompProgram& b) {
  return a.flags == b.flags && a.listener == b.listener && a.filter.size() == b.filter.size() &&
         std::memcmp(a.filter.data(), b.filter.data(), a.filter.size() * sizeof(sock_filter)) == 0;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(filter_cache)

BOOST_AUTO_TEST_CASE(what_is_kept_is_what_was_compiled) {
  Directory cache;
  const auto compiled = confine::CompileSeccomp(Profile("read"));
  const auto first = CompileCached(cache.top, Profile("read"));
  BOOST_TEST_REQUIRE((compiled.has_value() && first.has_value()));
  BOOST_TEST(cache.Files().size() == 1U);
  const auto second = CompileCached(cache.top, Profile("read"));
  BOOST_TEST_REQUIRE(second.has_value());
  BOOST_TEST(Same(*compiled, *first));
  BOOST_TEST(Same(*compiled, *second));
}

BOOST_AUTO_TEST_CASE(the_second_time_the_file_is_used) {
  Directory cache;
  BOOST_TEST_REQUIRE(CompileCached(cache.top, Profile("read")).has_value());
  const fs::path file = cache.Files().at(0);
  // The last instruction is changed in the file: it comes back changed.
  const auto size = fs::file_size(file);
  std::fstream bytes{file, std::ios::in | std::ios::out | std::ios::binary};
  bytes.seekp(static_cast<std::streamoff>(size) - 1);
  bytes.put('\x7f');
  bytes.close();
  const auto program = CompileCached(cache.top, Profile("read"));
  BOOST_TEST_REQUIRE(program.has_value());
  BOOST_TEST((program->filter.back().k >> 24) == 0x7fU);
}

BOOST_AUTO_TEST_CASE(another_profiles_file_under_the_same_name_is_not_used) {
  Directory cache;
  BOOST_TEST_REQUIRE(CompileCached(cache.top, Profile("read")).has_value());
  const fs::path file = cache.Files().at(0);
  BOOST_TEST_REQUIRE(CompileCached(cache.top, Profile("write")).has_value());
  for (const fs::path& other : cache.Files()) {
    if (other != file) {
      fs::copy_file(other, file, fs::copy_options::overwrite_existing);
    }
  }
  const auto wanted = confine::CompileSeccomp(Profile("read"));
  const auto program = CompileCached(cache.top, Profile("read"));
  BOOST_TEST_REQUIRE((wanted.has_value() && program.has_value()));
  BOOST_TEST(Same(*wanted, *program));
}

BOOST_AUTO_TEST_CASE(a_broken_file_is_replaced) {
  Directory cache;
  BOOST_TEST_REQUIRE(CompileCached(cache.top, Profile("read")).has_value());
  const fs::path file = cache.Files().at(0);
  const auto size = fs::file_size(file);
  for (const std::uintmax_t length : {std::uintmax_t{0}, std::uintmax_t{3}, size - 1}) {
    fs::resize_file(file, length);
    BOOST_TEST(CompileCached(cache.top, Profile("read")).has_value());
    BOOST_TEST(fs::file_size(file) == size);
  }
}

BOOST_AUTO_TEST_CASE(a_directory_that_others_can_write_is_not_used) {
  Directory cache;
  BOOST_TEST_REQUIRE(::chmod(cache.top.c_str(), 0777) == 0);
  BOOST_TEST(CompileCached(cache.top, Profile("read")).has_value());
  BOOST_TEST(cache.Files().empty());
  BOOST_TEST(CompileCached("", Profile("read")).has_value());
  BOOST_TEST(CompileCached("/proc/no/such", Profile("read")).has_value());
}

BOOST_AUTO_TEST_CASE(every_part_of_a_profile_is_in_its_key) {
  const std::string plain = FilterKey(Profile("read"));
  std::vector<oci::Seccomp> others(9, Profile("read"));
  others[0].default_action = oci::SeccompAction::kKillProcess;
  others[1].default_errno_ret = 5;
  others[2].architectures = {"SCMP_ARCH_X86"};
  others[3].flags.emplace();
  others[4].syscalls[0].action = oci::SeccompAction::kLog;
  others[5].syscalls[0].errno_ret = 1;
  others[6].syscalls[0].args.push_back({.index = 1, .value = 2});
  others[7].syscalls[0].names = {"read\n10 exit_group"};
  others[8].syscalls.push_back(others[8].syscalls[0]);
  for (std::size_t i = 0; i < others.size(); ++i) {
    BOOST_TEST(FilterKey(others[i]) != plain, i);
  }
  BOOST_TEST(FilterKey(Profile("read")) == plain);
}

BOOST_AUTO_TEST_CASE(many_profiles_do_not_pile_up) {
  Directory cache;
  for (int i = 0; i < 70; ++i) {
    BOOST_TEST_REQUIRE(CompileCached(cache.top, Profile("no_such_call_" + std::to_string(i))).has_value());
  }
  BOOST_TEST(cache.Files().size() <= 64U);
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::container
