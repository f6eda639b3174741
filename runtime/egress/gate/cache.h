// The answers that clients may still be told: bounded in number and in bytes, the least recently used goes first.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "runtime/egress/gate/message.h"

namespace nucleus::gate {

class Cache {
 public:
  static constexpr std::size_t kMaxEntries = 4096;
  static constexpr std::size_t kMaxBytes = std::size_t{8} << 20;

  struct Hit {
    std::shared_ptr<const Answer> answer;
    std::uint32_t ttl = 0;  // what is left of it: at least a second
  };
  // Nothing where it is not known any more. `now` in milliseconds of a clock that never goes back.
  [[nodiscard]] Hit Find(const std::string& key, std::int64_t now);
  void Add(const std::string& key, std::shared_ptr<const Answer> answer, std::int64_t now);

  [[nodiscard]] std::size_t size() const {
    return entries_.size();
  }

  // Of a name in lower case.
  static std::string Key(const std::string& name, std::uint16_t type);

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const Answer> answer;
    std::int64_t until = 0;
    std::size_t bytes = 0;
  };
  using List = std::list<Entry>;
  void Remove(List::iterator entry);

  List entries_;  // the most recently used first
  std::unordered_map<std::string, List::iterator> index_;
  std::size_t bytes_ = 0;
};

}  // namespace nucleus::gate
