// config.json's top level, root, mounts and hooks.

#include "oci-config/parse.h"

#include <boost/test/unit_test.hpp>

#include "oci-config/test_util.h"

namespace nucleus::oci {
namespace {

using testing::Config;
using testing::ErrorOf;
using testing::Good;
using testing::LinuxConfig;
using testing::Refusal;
using testing::Strings;

std::string WithVersion(const std::string& version) {
  return R"({"ociVersion": ")" + version + R"(", "root": {"path": "r"}})";
}

}  // namespace

BOOST_AUTO_TEST_SUITE(top_level)

BOOST_AUTO_TEST_CASE(versions) {
  for (const char* version : {"1.0.0", "1.0", "1.0.2-dev", "1.0.2", "1.1.0+dev", "1.1.0", "1.2.1", "1.3.0", "1.99.7",
                              "1.0.0-rc5", "1.0.0-rc5-dev", "1.0.2_dev"}) {
    BOOST_TEST_CONTEXT(version) {
      // An underscore is no version of SemVer.
      const bool good = std::string_view{version}.find('_') == std::string_view::npos;
      BOOST_TEST((ErrorOf(WithVersion(version)) == "accepted") == good);
    }
  }
  for (const char* version : {"0.9.0", "2.0.0", "1", "1.", "1.x", "v1.0.0", "10.0.0", " 1.0.0", "1.0.0 ", "1.0/0"}) {
    BOOST_TEST(ErrorOf(WithVersion(version)) ==
               "config.json: ociVersion: unsupported version \"" + std::string{version} + "\"");
  }
  BOOST_TEST(Good(WithVersion("1.0.2-dev")).oci_version == "1.0.2-dev");
  BOOST_TEST(ErrorOf(R"({"root": {"path": "r"}})") == "config.json: ociVersion: required");
}

BOOST_AUTO_TEST_CASE(root) {
  BOOST_TEST(Good(Config("")).root.path == "rootfs");
  BOOST_TEST(!Good(Config("")).root.readonly);
  BOOST_TEST(Good(R"({"ociVersion": "1.0.0", "root": {"path": "/a b", "readonly": true}})").root.readonly);
  BOOST_TEST(ErrorOf(R"({"ociVersion": "1.0.0"})") == "config.json: root: required");
  BOOST_TEST(ErrorOf(R"({"ociVersion": "1.0.0", "root": {}})") == "config.json: root.path: required");
  BOOST_TEST(ErrorOf(R"({"ociVersion": "1.0.0", "root": {"path": ""}})") == "config.json: root.path: required");
  BOOST_TEST(ErrorOf(R"({"ociVersion": "1.0.0", "root": {"path": "r", "readonly": "true"}})") ==
             "config.json: root.readonly: expected boolean");
  BOOST_TEST(ErrorOf(R"({"ociVersion": "1.0.0", "root": "r"})") == "config.json: root: expected object");
}

BOOST_AUTO_TEST_CASE(names) {
  const std::string longest(64, 'h');
  BOOST_TEST(Good(Config("\"hostname\": \"" + longest + "\"")).hostname == longest);
  BOOST_TEST(Good(Config("\"domainname\": \"" + longest + "\"")).domainname == longest);
  BOOST_TEST(ErrorOf(Config("\"hostname\": \"x" + longest + "\"")) == "config.json: hostname: longer than 64 bytes");
  BOOST_TEST(ErrorOf(Config("\"domainname\": \"x" + longest + "\"")) ==
             "config.json: domainname: longer than 64 bytes");
  BOOST_TEST(ErrorOf(Config(R"("hostname": 1)")) == "config.json: hostname: expected string");
}

BOOST_AUTO_TEST_CASE(annotations) {
  const Spec spec = Good(Config(R"("annotations": {"a": "1", "b.c/d": ""})"));
  BOOST_TEST(spec.annotations.size() == 2U);
  BOOST_TEST(spec.annotations.at("a") == "1");
  BOOST_TEST(spec.annotations.at("b.c/d").empty());
  BOOST_TEST(ErrorOf(Config(R"("annotations": {"": "x"})")) == "config.json: annotations: an empty key");
  BOOST_TEST(ErrorOf(Config(R"("annotations": ["x"])")) == "config.json: annotations: expected object");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(mounts)

BOOST_AUTO_TEST_CASE(every_property) {
  const Spec spec = Good(Config(R"("mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/data", "source": "/srv/data", "options": ["rbind", "ro", "size=1,mode=2"],
     "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
     "gidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}]},
    {"destination": "relative", "type": "tmpfs", "options": []}])"));
  BOOST_REQUIRE(spec.mounts.size() == 3U);
  BOOST_TEST(spec.mounts[0].destination == "/proc");
  BOOST_TEST(spec.mounts[0].type == "proc");
  BOOST_TEST(spec.mounts[0].source == "proc");
  BOOST_TEST(spec.mounts[0].options.empty());
  BOOST_TEST(spec.mounts[1].options == (Strings{"rbind", "ro", "size=1,mode=2"}), boost::test_tools::per_element());
  BOOST_TEST(spec.mounts[1].uid_mappings.at(0).host_id == 1000U);
  BOOST_TEST(spec.mounts[1].gid_mappings.at(0).size == 10U);
  BOOST_TEST(spec.mounts[2].destination == "relative");
}

BOOST_AUTO_TEST_CASE(refusals) {
  static constexpr Refusal kRefusals[] = {
      {R"({"type": "proc"})", "mounts[0].destination: required"},
      {R"({"destination": ""})", "mounts[0].destination: required"},
      {R"({"destination": 1})", "mounts[0].destination: expected string"},
      {R"({"destination": "/a", "type": []})", "mounts[0].type: expected string"},
      {R"({"destination": "/a", "source": {}})", "mounts[0].source: expected string"},
      {R"({"destination": "/a", "options": "ro"})", "mounts[0].options: expected array"},
      {R"({"destination": "/a", "uidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]})",
       "mounts[0].gidMappings: uidMappings and gidMappings go together"},
      {R"({"destination": "/a", "gidMappings": [{"containerID": 0, "hostID": 0, "size": 1}]})",
       "mounts[0].uidMappings: uidMappings and gidMappings go together"},
      {R"({"destination": "/a", "gidMappings": [{"size": 0}], "uidMappings": []})",
       "mounts[0].gidMappings[0].size: must be greater than 0"},
  };
  for (const Refusal& refusal : kRefusals) {
    BOOST_TEST_CONTEXT("the fragment " << refusal.fragment) {
      BOOST_TEST(ErrorOf(Config("\"mounts\": [" + std::string{refusal.fragment} + "]")) ==
                 "config.json: " + std::string{refusal.error});
    }
  }
  BOOST_TEST(ErrorOf(Config(R"("mounts": {})")) == "config.json: mounts: expected array");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(hooks)

BOOST_AUTO_TEST_CASE(every_property) {
  const Spec spec = Good(Config(R"("hooks": {
    "prestart": [{"path": "/1"}],
    "createRuntime": [{"path": "/2", "args": ["2", "x"], "env": ["A=B"], "timeout": 1}, {"path": "/2b"}],
    "createContainer": [{"path": "/3"}],
    "startContainer": [{"path": "/4"}],
    "poststart": [{"path": "/5"}],
    "poststop": [{"path": "/6", "timeout": 2147483647}]})"));
  BOOST_TEST(spec.hooks.prestart.at(0).path == "/1");
  BOOST_REQUIRE(spec.hooks.create_runtime.size() == 2U);
  BOOST_TEST(spec.hooks.create_runtime[0].args == (Strings{"2", "x"}), boost::test_tools::per_element());
  BOOST_TEST(spec.hooks.create_runtime[0].env == Strings{"A=B"}, boost::test_tools::per_element());
  BOOST_TEST(*spec.hooks.create_runtime[0].timeout == 1);
  BOOST_TEST(!spec.hooks.create_runtime[1].timeout.has_value());
  BOOST_TEST(spec.hooks.create_container.at(0).path == "/3");
  BOOST_TEST(spec.hooks.start_container.at(0).path == "/4");
  BOOST_TEST(spec.hooks.poststart.at(0).path == "/5");
  BOOST_TEST(*spec.hooks.poststop.at(0).timeout == 2147483647);
}

BOOST_AUTO_TEST_CASE(what_callers_write) {
  BOOST_TEST(Good(Config(R"("hooks": {})")).hooks.prestart.empty());
  BOOST_TEST(Good(Config(R"("hooks": {"prestart": null, "poststop": []})")).hooks.poststop.empty());
}

BOOST_AUTO_TEST_CASE(refusals) {
  for (const std::string list :
       {"prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"}) {
    const auto error = [&list](std::string_view hook) {
      return ErrorOf(Config("\"hooks\": {\"" + list + "\": [{\"path\": \"/ok\"}, " + std::string{hook} + "]}"));
    };
    const std::string where = "config.json: hooks." + list + "[1]";
    BOOST_TEST(error(R"({})") == where + ".path: must be an absolute path");
    BOOST_TEST(error(R"({"path": "bin/x"})") == where + ".path: must be an absolute path");
    BOOST_TEST(error(R"({"path": "/x", "timeout": 0})") == where + ".timeout: must be greater than 0");
    BOOST_TEST(error(R"({"path": "/x", "timeout": -1})") == where + ".timeout: must be greater than 0");
    BOOST_TEST(error(R"({"path": "/x", "timeout": 2147483648})") == where + ".timeout: out of range");
    BOOST_TEST(error(R"({"path": "/x", "timeout": "1s"})") == where + ".timeout: expected integer");
    BOOST_TEST(error(R"({"path": "/x", "args": "a"})") == where + ".args: expected array");
    BOOST_TEST(error(R"({"path": "/x", "env": [1]})") == where + ".env[0]: expected string");
  }
  BOOST_TEST(ErrorOf(Config(R"("hooks": [])")) == "config.json: hooks: expected object");
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::oci
