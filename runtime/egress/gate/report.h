// What the gate has to tell: NDJSON on a descriptor that is never waited for. Docs: docs/gate.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nucleus::gate {

class Report {
 public:
  // -1: nothing is told. Made non-blocking by its owner.
  explicit Report(int fd) : fd_(fd) {
  }

  // `reason`: "name", "type", "address", "set".
  void Refused(std::string_view name, std::string_view type, std::string_view reason,
               const std::vector<std::string>& addresses = {});
  // "parser" or "setter", and what follows: "restart" or "kill".
  void Died(std::string_view process, int status, std::string_view then);

 private:
  // A flood of refused names does not become one of lines: so many at once, and so many a second.
  static constexpr std::int64_t kBurst = 200;
  static constexpr std::int64_t kPerSecond = 50;
  bool May();
  void Write(std::string line);

  int fd_;
  std::int64_t tokens_ = kBurst * 1000;
  std::int64_t last_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace nucleus::gate
