// For unit tests: a directory of its own, gone with the object.
#pragma once

#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace nucleus {

class TestDirectory {
 public:
  TestDirectory() {
    char name[] = "/tmp/nucleus-test-XXXXXX";
    BOOST_REQUIRE(::mkdtemp(name) != nullptr);
    top = name;
  }
  ~TestDirectory() {
    std::filesystem::remove_all(top);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  std::string top;
};

}  // namespace nucleus
