#include "runtime/container/filter_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "base/sha256.h"
#include "base/test_directory.h"

namespace nucleus::container {
namespace {

namespace fs = std::filesystem;

class Directory : public TestDirectory {
 public:
  [[nodiscard]] std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(top)) {
      files.push_back(entry.path());
    }
    return files;
  }
};

oci::Seccomp Profile(const std::string& name) {
  oci::Seccomp seccomp;
  seccomp.syscalls.push_back({.names = {name, "exit_group"}, .action = oci::SeccompAction::kAllow});
  return seccomp;
}

std::string ContentOf(const fs::path& file) {
  std::ifstream stream{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

void Overwrite(const fs::path& file, const std::string& bytes) {
  std::ofstream{file, std::ios::binary} << bytes;
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
  // The last instruction is changed in the file, and the digest with it: it comes back changed.
  std::string bytes = ContentOf(file);
  bytes.back() = '\x7f';
  Overwrite(file, Sha256Hex(bytes.substr(65)) + bytes.substr(64));
  const auto program = CompileCached(cache.top, Profile("read"));
  BOOST_TEST_REQUIRE(program.has_value());
  BOOST_TEST((program->filter.back().k >> 24) == 0x7fU);
}

BOOST_AUTO_TEST_CASE(a_file_that_was_tampered_with_is_not_used) {
  const auto wanted = confine::CompileSeccomp(Profile("read"));
  BOOST_TEST_REQUIRE(wanted.has_value());
  const auto changed = [](const fs::path& file) {
    std::string bytes = ContentOf(file);
    bytes.back() = '\x7f';
    Overwrite(file, Sha256Hex(bytes.substr(65)) + bytes.substr(64));
  };
  const std::vector<std::function<void(const fs::path&)>> ways = {
      [](const fs::path& file) {  // a byte, and not the digest
        std::string bytes = ContentOf(file);
        bytes.back() = '\x7f';
        Overwrite(file, bytes);
      },
      [&changed](const fs::path& file) {  // others may write to it
        changed(file);
        BOOST_TEST(::chmod(file.c_str(), 0620) == 0);
      },
      [&changed](const fs::path& file) {  // it has another name
        changed(file);
        fs::create_hard_link(file, file.string() + ".other");
      },
      [&changed](const fs::path& file) {  // it is elsewhere
        changed(file);
        fs::rename(file, file.string() + ".other");
        fs::create_symlink(file.string() + ".other", file);
      },
      [&changed](const fs::path& file) {  // it is another user's
        changed(file);
        if (::geteuid() == 0) {
          BOOST_TEST(::chown(file.c_str(), 65534, 65534) == 0);
        } else {
          BOOST_TEST(::chmod(file.c_str(), 0604) == 0);
        }
      },
  };
  for (std::size_t i = 0; i < ways.size(); ++i) {
    Directory cache;
    BOOST_TEST_REQUIRE(CompileCached(cache.top, Profile("read")).has_value());
    const fs::path file = cache.Files().at(0);
    const std::string before = ContentOf(file);
    ways[i](file);
    const auto program = CompileCached(cache.top, Profile("read"));
    BOOST_TEST_REQUIRE(program.has_value());
    BOOST_TEST(Same(*wanted, *program), i);
    // And it is there as it was, for the next one.
    BOOST_TEST((!fs::is_symlink(file) && ContentOf(file) == before), i);
  }
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

BOOST_AUTO_TEST_CASE(a_policys_filter_is_found_by_its_digest) {
  Directory cache;
  const std::string digest = Sha256Hex("a policy");
  BOOST_TEST((FindFilter(cache.top, digest) == nullptr));
  const auto compiled = CompilePolicy(cache.top, digest, Profile("read"));
  BOOST_TEST_REQUIRE(compiled.has_value());
  BOOST_TEST(cache.Files().size() == 1U);
  const auto found = FindFilter(cache.top, digest);
  BOOST_TEST_REQUIRE((found != nullptr));
  BOOST_TEST(Same(*compiled, *found));
  BOOST_TEST((FindFilter(cache.top, Sha256Hex("another policy")) == nullptr));
  BOOST_TEST((FindFilter("", digest) == nullptr));
  Overwrite(cache.Files()[0], ContentOf(cache.Files()[0]) + "x");
  BOOST_TEST((FindFilter(cache.top, digest) == nullptr));
}

BOOST_AUTO_TEST_CASE(a_policy_that_notifies_is_read_each_time) {
  Directory cache;
  oci::Seccomp policy = Profile("read");
  policy.syscalls.push_back({.names = {"mount"}, .action = oci::SeccompAction::kNotify});
  BOOST_TEST_REQUIRE(CompilePolicy(cache.top, "d", policy).has_value());
  BOOST_TEST(cache.Files().empty());
  BOOST_TEST((FindFilter(cache.top, "d") == nullptr));
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
