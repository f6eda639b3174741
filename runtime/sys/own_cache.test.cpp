// What a user keeps for itself is found again, and nothing that anybody else could have had a hand in.

#include "runtime/sys/own_cache.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "base/sha256.h"
#include "base/test_directory.h"

namespace nucleus::sys {
namespace {

namespace fs = std::filesystem;

class Directory : public TestDirectory {
 public:
  [[nodiscard]] fs::path Only() const {
    return fs::directory_iterator {
      top
    } -> path();
  }
  [[nodiscard]] long Count() const {
    return std::distance(fs::directory_iterator{top}, fs::directory_iterator{});
  }
};

std::string ContentOf(const fs::path& file) {
  std::ifstream stream{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{stream}, {}};
}

void Overwrite(const fs::path& file, const std::string& bytes) {
  std::ofstream{file, std::ios::binary} << bytes;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(own_cache)

BOOST_AUTO_TEST_CASE(kept_and_found) {
  const Directory directory;
  const OwnCache cache{directory.top};
  BOOST_TEST(!cache.Find("a\nkey").has_value());
  cache.Keep("a\nkey", std::string_view{"con\0tent", 8});
  BOOST_TEST(cache.Find("a\nkey").value_or("") == (std::string{"con\0tent", 8}));
  BOOST_TEST(!cache.Find("a\nkey ").has_value());
  cache.Keep("a\nkey", "");
  BOOST_TEST(cache.Find("a\nkey").value_or("none") == "");
  struct stat status{};
  BOOST_TEST(::stat(directory.Only().c_str(), &status) == 0);
  BOOST_TEST((status.st_mode & 0777U) == 0600U);
  cache.Forget("other");
  BOOST_TEST(directory.Count() == 1);
  cache.Forget("a\nkey");
  BOOST_TEST(directory.Count() == 0);
}

BOOST_AUTO_TEST_CASE(each_byte_counts) {
  const Directory directory;
  const OwnCache cache{directory.top};
  cache.Keep("key", "content");
  const fs::path file = directory.Only();
  const std::string bytes = ContentOf(file);
  // The digest, the key, the content.
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] ^= 1;
    Overwrite(file, changed);
    BOOST_TEST(!cache.Find("key").has_value(), i);
    Overwrite(file, bytes.substr(0, i));
    BOOST_TEST(!cache.Find("key").has_value(), "length " << i);
  }
  Overwrite(file, bytes + "x");
  BOOST_TEST(!cache.Find("key").has_value());
  // Another key, with the digest that belongs to it.
  const std::string other = "3\nkex" + std::string{"content"};
  Overwrite(file, Sha256Hex(other) + "\n" + other);
  BOOST_TEST(!cache.Find("key").has_value());
  Overwrite(file, bytes);
  BOOST_TEST(cache.Find("key").has_value());
}

BOOST_AUTO_TEST_CASE(a_file_that_is_not_this_users_alone) {
  const std::vector<std::function<void(const fs::path&)>> ways = {
      [](const fs::path& file) { BOOST_TEST(::chmod(file.c_str(), 0620) == 0); },
      [](const fs::path& file) { BOOST_TEST(::chmod(file.c_str(), 0602) == 0); },
      [](const fs::path& file) { fs::create_hard_link(file, file.string() + ".other"); },
      [](const fs::path& file) {
        fs::rename(file, file.string() + ".other");
        fs::create_symlink(file.string() + ".other", file);
      },
      [](const fs::path& file) {
        const int changed = ::geteuid() == 0 ? ::chown(file.c_str(), 65534, 65534) : ::chmod(file.c_str(), 0604);
        BOOST_TEST(changed == 0);
      },
      [](const fs::path& file) {
        fs::remove(file);
        fs::create_directory(file);
      },
      [](const fs::path& file) {
        fs::remove(file);
        BOOST_TEST(::mkfifo(file.c_str(), 0600) == 0);
      },
  };
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const Directory directory;
    const OwnCache cache{directory.top};
    cache.Keep("key", "content");
    ways[i](directory.Only());
    BOOST_TEST(!cache.Find("key").has_value(), i);
  }
}

BOOST_AUTO_TEST_CASE(a_directory_that_is_not_this_users_alone) {
  const Directory directory;
  OwnCache{directory.top}.Keep("key", "content");
  BOOST_TEST(OwnCache{directory.top}.valid());
  for (const mode_t mode : {0770U, 0707U, 0750U}) {
    BOOST_TEST(::chmod(directory.top.c_str(), mode) == 0);
    const OwnCache cache{directory.top};
    BOOST_TEST(!cache.valid());
    BOOST_TEST(!cache.Find("key").has_value());
    cache.Keep("other", "content");
    cache.Forget("key");
  }
  BOOST_TEST(::chmod(directory.top.c_str(), 0700) == 0);
  BOOST_TEST(directory.Count() == 1);
  for (const char* path : {"", "/proc/no/such"}) {
    BOOST_TEST(!OwnCache{path}.valid());
  }
  fs::create_directory_symlink(directory.top, directory.top + ".link");
  BOOST_TEST(!OwnCache{directory.top + ".link"}.valid());
  fs::remove(directory.top + ".link");
}

BOOST_AUTO_TEST_CASE(it_does_not_grow_without_end) {
  const Directory directory;
  const OwnCache cache{directory.top};
  for (int i = 0; i < 70; ++i) {
    cache.Keep(std::to_string(i), "content");
  }
  BOOST_TEST(directory.Count() <= 64);
  cache.Keep("large", std::string(std::size_t{4} << 20, 'x'));
  BOOST_TEST(!cache.Find("large").has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::sys
