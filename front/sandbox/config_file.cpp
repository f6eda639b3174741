#include "front/sandbox/config_file.h"

#include <algorithm>
#include <charconv>

#include "base/fd.h"
#include "base/suggest.h"
#include "oci-config/json_reader.h"
#include "policies/toml.h"

namespace nucleus::front {
namespace {

constexpr std::size_t kMaxConfig = std::size_t{1} << 20;
constexpr std::string_view kCommand = "command";

const OptionRow* FindRow(std::string_view key) {
  for (const OptionRow& row : SandboxRows()) {
    if (key == row.name) {
      return &row;
    }
  }
  return nullptr;
}

std::string UnknownKey(std::string_view key) {
  std::vector<std::string_view> names = {kCommand};
  for (const OptionRow& row : SandboxRows()) {
    names.emplace_back(row.name);
  }
  return "unknown key" + Suggestion(key, names);
}

// ---- TOML

void ApplyToml(policies::TomlReader& in, const toml::node& node, std::string_view key, const OptionRow* row,
               SandboxOptions& options) {
  const toml::table& root = in.root();
  const auto apply = [&](const std::string& value) {
    if (const Result<> applied = row->apply(options, value); !applied) {
      in.Fail(node, key, applied.error().message);
    }
  };
  const OptionKind kind = row == nullptr ? OptionKind::kList : row->kind;
  switch (kind) {
    case OptionKind::kFlag:
      if (const auto flag = in.Boolean(root, "", key); flag && *flag) {
        apply("");
      }
      break;
    case OptionKind::kText:
      if (const auto text = in.Text(root, "", key); text) {
        apply(text->value);
      }
      break;
    case OptionKind::kInteger:
      if (const auto number = in.Integer(root, "", key, 0, INT32_MAX); number) {
        apply(std::to_string(*number));
      }
      break;
    case OptionKind::kList: {
      // Not Texts: words of a command may be there twice.
      const toml::array* array = node.as_array();
      if (array == nullptr) {
        in.Fail(node, key, "expected an array of strings");
        break;
      }
      for (std::size_t i = 0; i < array->size() && !in.failed(); ++i) {
        const toml::node& element = *array->get(i);
        const std::string path = std::string{key} + "[" + std::to_string(i) + "]";
        const toml::value<std::string>* text = element.as_string();
        if (text == nullptr || text->get().find('\0') != std::string::npos) {
          in.Fail(element, path, "expected a string");
        } else if (row == nullptr) {
          options.command.push_back(text->get());
        } else if (const Result<> applied = row->apply(options, text->get()); !applied) {
          in.Fail(element, path, applied.error().message);
        }
      }
      break;
    }
  }
}

Result<> ReadToml(const std::string& text, const std::string& name, SandboxOptions& options) {
  policies::TomlReader in{text, name};
  for (const auto& [key, node] : in.root()) {
    if (in.failed()) {
      break;
    }
    const OptionRow* row = FindRow(key.str());
    if (row == nullptr && key.str() != kCommand) {
      in.Fail(node, key.str(), UnknownKey(key.str()));
    } else {
      ApplyToml(in, node, key.str(), row, options);
    }
  }
  return in.Finish();
}

// ---- JSON

void ApplyJson(oci::JsonReader& in, const OptionRow* row, SandboxOptions& options) {
  const auto apply = [&](const std::string& value) {
    if (in.failed()) {
      return;
    }
    if (const Result<> applied = row->apply(options, value); !applied) {
      in.Fail(applied.error().message);
    }
  };
  switch (row == nullptr ? OptionKind::kList : row->kind) {
    case OptionKind::kFlag:
      if (in.Boolean()) {
        apply("");
      }
      break;
    case OptionKind::kText:
      apply(std::string{in.Text()});
      break;
    case OptionKind::kInteger:
      apply(std::to_string(in.Integer(0, INT32_MAX)));
      break;
    case OptionKind::kList:
      in.Array([&](std::size_t) {
        const std::string value{in.Text()};
        if (row != nullptr) {
          apply(value);
        } else if (!in.failed()) {
          options.command.push_back(value);
        }
      });
      break;
  }
}

Result<> ReadJson(const std::string& text, const std::string& name, SandboxOptions& options) {
  oci::JsonReader in{text, name, oci::JsonReader::Rules::kPolicy};
  std::vector<std::string> seen;
  in.Map([&](std::string_view key) {
    const OptionRow* row = FindRow(key);
    if (row == nullptr && key != kCommand) {
      in.Fail(UnknownKey(key));
      return;
    }
    if (std::ranges::find(seen, key) != seen.end()) {
      in.Fail("is there twice");
      return;
    }
    seen.emplace_back(key);
    ApplyJson(in, row, options);
  });
  return in.Finish();
}

}  // namespace

Result<> ApplyConfig(const std::string& source, SandboxOptions& options) {
  std::string text;
  if (source.starts_with("fd:")) {
    int fd = -1;
    const char* const end = source.data() + source.size();
    const auto parsed = std::from_chars(source.data() + 3, end, fd);
    if (parsed.ec != std::errc{} || parsed.ptr != end || fd < 0) {
      return std::unexpected(Failure("--config: \"" + source + "\" must be a file or fd:N", EINVAL));
    }
    text = TRY_IN("--config", ReadAll(fd, kMaxConfig, source));
  } else {
    text = TRY_IN("--config", ReadFile(source, kMaxConfig));
  }
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first != std::string::npos && text[first] == '{';
  return json ? ReadJson(text, source, options) : ReadToml(text, source, options);
}

}  // namespace nucleus::front
