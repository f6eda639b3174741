#include "policies/landlock_policy.h"

#include <algorithm>
#include <set>
#include <utility>

#include "policies/toml.h"

namespace nucleus::policies {
namespace {

using Words = std::initializer_list<std::pair<std::string_view, unsigned>>;

constexpr int kAbiRefer = 2;
constexpr int kAbiTruncate = 3;
constexpr int kAbiTcp = 4;
constexpr int kAbiIoctl = 5;
constexpr int kAbiScope = 6;
constexpr int kNewestAbi = 99;  // of min_abi: what kernels will have

unsigned ReadWords(TomlReader& in, const toml::table& table, std::string_view where, std::string_view key,
                   Words words) {
  unsigned bits = 0;
  for (const TomlText& text : in.Texts(table, where, key).value_or(std::vector<TomlText>{})) {
    const auto* word = std::ranges::find(words, text.value, &std::pair<std::string_view, unsigned>::first);
    if (word == words.end()) {
      std::string known;
      for (const auto& [name, bit] : words) {
        known += (known.empty() ? "" : ", ") + std::string{name};
      }
      in.Fail(text, "unknown word \"" + text.value + "\", must be of " + known);
      return 0;
    }
    bits |= word->second;
  }
  return bits;
}

unsigned ReadAccess(TomlReader& in, const TomlReader::Element& rule, Words words) {
  const unsigned access = ReadWords(in, *rule.table, rule.where, "access", words);
  if (access == 0) {
    in.Fail(*rule.table, KeyPath(rule.where, "access"), "required");
  }
  return access;
}

bool IsPlainPath(std::string_view path) {
  return path.starts_with('/') && (std::string{path} + "/").find("/../") == std::string::npos;
}

}  // namespace

int LandlockPolicy::NeededAbi() const {
  int abi = min_abi;
  for (const LandlockRule& rule : rules) {
    abi = std::max(abi, (rule.access & kLandlockRefer) != 0 ? kAbiRefer : 1);
    abi = std::max(abi, (rule.access & kLandlockTruncate) != 0 ? kAbiTruncate : 1);
    abi = std::max(abi, (rule.access & kLandlockIoctl) != 0 ? kAbiIoctl : 1);
  }
  abi = std::max(abi, handles_tcp ? kAbiTcp : 1);
  return std::max(abi, scope != 0 ? kAbiScope : 1);
}

Result<LandlockPolicy> ParseLandlockPolicy(std::string_view toml, const std::string& name) {
  TomlReader in{toml, name};
  LandlockPolicy policy;
  const toml::table& root = in.root();
  in.OnlyKeys(root, "", {"min_abi", "scope", "rules", "tcp"});
  policy.min_abi = static_cast<int>(in.Integer(root, "", "min_abi", 1, kNewestAbi).value_or(1));
  policy.scope =
      ReadWords(in, root, "", "scope", {{"abstract-unix-socket", kLandlockAbstractUnix}, {"signal", kLandlockSignal}});
  std::set<std::string> paths;
  for (const TomlReader::Element& element : in.Tables(root, "", "rules")) {
    in.OnlyKeys(*element.table, element.where, {"path", "access"});
    LandlockRule rule;
    if (const std::optional<TomlText> path = in.Text(*element.table, element.where, "path")) {
      if (!IsPlainPath(path->value)) {
        in.Fail(*path, "must be absolute and without \"..\"");
      }
      if (!paths.insert(path->value).second) {
        in.Fail(*path, "a second rule for \"" + path->value + "\"");
      }
      rule.path = path->value;
    } else {
      in.Fail(*element.table, KeyPath(element.where, "path"), "required");
    }
    rule.access = ReadAccess(in, element,
                             {{"read", kLandlockRead},
                              {"write", kLandlockWrite},
                              {"execute", kLandlockExecute},
                              {"create", kLandlockCreate},
                              {"remove", kLandlockRemove},
                              {"refer", kLandlockRefer},
                              {"truncate", kLandlockTruncate},
                              {"ioctl", kLandlockIoctl}});
    policy.rules.push_back(std::move(rule));
  }
  policy.handles_tcp = root.contains("tcp");
  std::set<std::int64_t> ports;
  for (const TomlReader::Element& element : in.Tables(root, "", "tcp")) {
    in.OnlyKeys(*element.table, element.where, {"port", "access"});
    const std::optional<std::int64_t> port = in.Integer(*element.table, element.where, "port", 0, UINT16_MAX);
    if (!port) {
      in.Fail(*element.table, KeyPath(element.where, "port"), "required");
    } else if (!ports.insert(*port).second) {
      in.Fail(*element.table, KeyPath(element.where, "port"), "a second rule for port " + std::to_string(*port));
    }
    policy.tcp.push_back({.port = static_cast<std::uint16_t>(port.value_or(0)),
                          .access = ReadAccess(in, element, {{"bind", kLandlockBind}, {"connect", kLandlockConnect}})});
  }
  TRY(in.Finish());
  return policy;
}

}  // namespace nucleus::policies
