#include "shim/cli/report.h"

#include "base/json_writer.h"

namespace nucleus::shim {

Report& Report::Section(std::string_view name) {
  sections_.emplace_back(name, std::vector<Entry>{});
  return *this;
}

Report& Report::Row(std::string_view name, std::string value) {
  sections_.back().second.push_back({.name = std::string{name}, .values = {std::move(value)}});
  return *this;
}

Report& Report::List(std::string_view name, std::vector<std::string> values) {
  sections_.back().second.push_back({.name = std::string{name}, .values = std::move(values), .list = true});
  return *this;
}

std::string Report::Json() const {
  JsonWriter out{2};
  out.BeginObject();
  for (const auto& [name, entries] : sections_) {
    out.Key(name).BeginObject();
    for (const Entry& entry : entries) {
      out.Key(entry.name);
      if (!entry.list) {
        out.String(entry.values[0]);
        continue;
      }
      out.BeginArray();
      for (const std::string& value : entry.values) {
        out.String(value);
      }
      out.EndArray();
    }
    out.EndObject();
  }
  out.EndObject();
  return out.Take() + "\n";
}

std::string Report::Text() const {
  constexpr std::size_t kColumn = 20;
  std::string text;
  for (const auto& [name, entries] : sections_) {
    text += (text.empty() ? "" : "\n") + name + "\n";
    for (const Entry& entry : entries) {
      std::string first = "  " + entry.name;
      first.append(first.size() < kColumn ? kColumn - first.size() : 1, ' ');
      for (const std::string& value : entry.values) {
        std::string line = first + value;
        // Values come from documents that nobody may have looked at.
        for (char& c : line) {
          if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            c = '?';
          }
        }
        text += line + "\n";
        first.assign(kColumn, ' ');
      }
    }
  }
  return text;
}

}  // namespace nucleus::shim
