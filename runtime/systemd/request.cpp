#include "runtime/systemd/request.h"

#include <array>
#include <charconv>

namespace nucleus::systemd {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"start", "set", "attach", "launch", "stop"};

// Strings that each end with NUL, and counts as strings.
class Fields {
 public:
  explicit Fields(std::string_view text) : text_(text) {
  }

  [[nodiscard]] bool AtEnd() const {
    return text_.empty();
  }

  Result<std::string> Next() {
    const std::size_t end = text_.find('\0');
    if (end == std::string_view::npos) {
      return std::unexpected(Failure("malformed request", EPROTO));
    }
    std::string field{text_.substr(0, end)};
    text_.remove_prefix(end + 1);
    return field;
  }

 private:
  std::string_view text_;
};

Result<Property> NextProperty(Fields& fields) {
  Property property;
  property.name = TRY(fields.Next());
  property.signature = TRY(fields.Next());
  const std::string count = TRY(fields.Next());
  std::size_t items = 0;
  const auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), items);
  if (error != std::errc{} || end != count.data() + count.size() || items > kMaxRequest) {
    return std::unexpected(Failure("malformed request", EPROTO));
  }
  while (property.items.size() < items) {
    property.items.push_back(TRY(fields.Next()));
  }
  return property;
}

}  // namespace

Result<std::string> Encode(const Request& request) {
  std::string text;
  const auto add = [&text](std::string_view field) {
    text += field;
    text += '\0';
  };
  add(kNames.at(static_cast<std::size_t>(request.operation)));
  add(request.user ? "user" : "system");
  add(request.unit);
  for (const Property& property : request.properties) {
    add(property.name);
    add(property.signature);
    add(std::to_string(property.items.size()));
    for (const std::string& item : property.items) {
      add(item);
    }
  }
  if (text.size() > kMaxRequest) {
    return std::unexpected(Failure("too much to ask of systemd", E2BIG));
  }
  return text;
}

Result<Request> Decode(std::string_view text) {
  Fields fields{text};
  Request request;
  const std::string operation = TRY(fields.Next());
  std::size_t number = 0;
  while (number < kNames.size() && kNames.at(number) != operation) {
    ++number;
  }
  const std::string instance = TRY(fields.Next());
  if (number == kNames.size() || (instance != "user" && instance != "system")) {
    return std::unexpected(Failure("malformed request", EPROTO));
  }
  request.operation = static_cast<Operation>(number);
  request.user = instance == "user";
  request.unit = TRY(fields.Next());
  while (!fields.AtEnd()) {
    request.properties.push_back(TRY(NextProperty(fields)));
  }
  return request;
}

}  // namespace nucleus::systemd
