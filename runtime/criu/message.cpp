#include "runtime/criu/message.h"

namespace nucleus::criu {
namespace {

constexpr unsigned kVarint = 0;
constexpr unsigned kFixed64 = 1;
constexpr unsigned kBytes = 2;
constexpr unsigned kFixed32 = 5;
constexpr unsigned kTypeBits = 3;

std::unexpected<Error> Malformed() {
  return std::unexpected(Failure("malformed answer of criu", EPROTO));
}

Result<std::uint64_t> TakeVarint(std::string_view& bytes) {
  constexpr unsigned kGroup = 7;
  constexpr unsigned kMax = 64;
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < kMax && !bytes.empty(); shift += kGroup) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fU} << shift;
    if (byte < 0x80) {
      return value;
    }
  }
  return Malformed();
}

Result<std::string_view> Take(std::string_view& bytes, std::uint64_t size) {
  if (size > bytes.size()) {
    return Malformed();
  }
  const std::string_view taken = bytes.substr(0, size);
  bytes.remove_prefix(size);
  return taken;
}

}  // namespace

void Message::Varint(std::uint64_t value) {
  while (value >= 0x80) {
    bytes_ += static_cast<char>((value & 0x7f) | 0x80);
    value >>= 7;
  }
  bytes_ += static_cast<char>(value);
}

Message& Message::Number(unsigned field, std::uint64_t value) {
  Varint(std::uint64_t{field} << kTypeBits | kVarint);
  Varint(value);
  return *this;
}

Message& Message::Text(unsigned field, std::string_view text) {
  Varint(std::uint64_t{field} << kTypeBits | kBytes);
  Varint(text.size());
  bytes_ += text;
  return *this;
}

Result<std::vector<Field>> ParseMessage(std::string_view bytes) {
  std::vector<Field> fields;
  while (!bytes.empty()) {
    const std::uint64_t key = TRY(TakeVarint(bytes));
    Field field{.number = static_cast<unsigned>(key >> kTypeBits), .value = 0, .bytes = {}};
    switch (key & ((1U << kTypeBits) - 1)) {
      case kVarint:
        field.value = TRY(TakeVarint(bytes));
        break;
      case kBytes: {
        const std::uint64_t size = TRY(TakeVarint(bytes));
        field.bytes = TRY(Take(bytes, size));
        break;
      }
      case kFixed64:
        TRY(Take(bytes, 8));
        break;
      case kFixed32:
        TRY(Take(bytes, 4));
        break;
      default:
        return Malformed();
    }
    fields.push_back(field);
  }
  return fields;
}

Result<Answer> ParseAnswer(std::string_view bytes) {
  // criu_resp: 1 type, 2 success, 4 restore {1 pid}, 5 notify {1 script, 2 pid}, 7 cr_errno, 9 cr_errmsg.
  Answer answer;
  for (const Field& field : TRY(ParseMessage(bytes))) {
    switch (field.number) {
      case 1:
        answer.type = static_cast<RequestType>(field.value);
        break;
      case 2:
        answer.success = field.value != 0;
        break;
      case 4:
      case 5:
        for (const Field& inner : TRY(ParseMessage(field.bytes))) {
          const unsigned pid_field = field.number == 4 ? 1 : 2;
          if (inner.number == pid_field) {
            answer.pid = static_cast<std::int32_t>(inner.value);
          } else if (field.number == 5 && inner.number == 1) {
            answer.stage = inner.bytes;
          }
        }
        break;
      case 7:
        answer.error = static_cast<std::int32_t>(field.value);
        break;
      case 9:
        answer.error_message = field.bytes;
        break;
      default:
        break;
    }
  }
  return answer;
}

}  // namespace nucleus::criu
