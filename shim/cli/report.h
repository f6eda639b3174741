// Sections of names with values, for people and as JSON: explain and doctor.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nucleus::shim {

class Report {
 public:
  // Rows go to the section that was begun last. A name is there once in its section.
  Report& Section(std::string_view name);
  Report& Row(std::string_view name, std::string value);
  // Left out of the text where it is empty, [] in JSON.
  Report& List(std::string_view name, std::vector<std::string> values);

  // {"section":{"name":"value","list":["value"]}}, and one newline.
  [[nodiscard]] std::string Json() const;
  // A heading for each section, names in a column.
  [[nodiscard]] std::string Text() const;

 private:
  struct Entry {
    std::string name;
    std::vector<std::string> values;
    bool list = false;
  };
  std::vector<std::pair<std::string, std::vector<Entry>>> sections_;
};

}  // namespace nucleus::shim
