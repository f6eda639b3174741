#include "runtime/egress/gate/cache.h"

#include <utility>

namespace nucleus::gate {
namespace {

std::size_t SizeOf(const std::string& key, const Answer& answer) {
  std::size_t bytes = 2 * key.size() + sizeof(Answer) + 256;  // with what the containers take
  for (const Record& record : answer.records) {
    bytes += sizeof record + record.owner.size() + record.data.size() + 64;
  }
  return bytes + (answer.soa ? answer.soa->owner.size() + answer.soa->data.size() : 0);
}

}  // namespace

std::string Cache::Key(const std::string& name, std::uint16_t type) {
  return name + '/' + std::to_string(type);
}

void Cache::Remove(List::iterator entry) {
  bytes_ -= entry->bytes;
  index_.erase(entry->key);
  entries_.erase(entry);
}

Cache::Hit Cache::Find(const std::string& key, std::int64_t now) {
  const auto found = index_.find(key);
  if (found == index_.end()) {
    return {};
  }
  const auto entry = found->second;
  const std::int64_t left = (entry->until - now) / 1000;
  if (left < 1) {
    Remove(entry);
    return {};
  }
  entries_.splice(entries_.begin(), entries_, entry);
  return {.answer = entry->answer, .ttl = static_cast<std::uint32_t>(left)};
}

void Cache::Add(const std::string& key, std::shared_ptr<const Answer> answer, std::int64_t now) {
  if (const auto found = index_.find(key); found != index_.end()) {
    Remove(found->second);
  }
  const std::size_t bytes = SizeOf(key, *answer);
  const std::int64_t until = now + std::int64_t{answer->ttl} * 1000;
  entries_.push_front({.key = key, .answer = std::move(answer), .until = until, .bytes = bytes});
  index_.emplace(key, entries_.begin());
  bytes_ += bytes;
  while (entries_.size() > kMaxEntries || bytes_ > kMaxBytes) {
    Remove(std::prev(entries_.end()));
  }
}

}  // namespace nucleus::gate
