#include "runtime/egress/gate/cache.h"

#include <boost/test/unit_test.hpp>

namespace nucleus::gate {
namespace {

std::shared_ptr<const Answer> Lasting(std::uint32_t ttl, std::size_t bytes = 4) {
  Answer answer;
  answer.ttl = ttl;
  answer.records.push_back({.owner = {}, .type = 16, .data = Bytes(bytes), .address = {}});
  return std::make_shared<const Answer>(std::move(answer));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gate_cache)

BOOST_AUTO_TEST_CASE(time) {
  Cache cache;
  const std::string key = Cache::Key("a.test", 1);
  BOOST_TEST(key != Cache::Key("a.test", 28));
  cache.Add(key, Lasting(5), 1000);
  BOOST_TEST(cache.Find(key, 1000).ttl == 5U);
  BOOST_TEST(cache.Find(key, 1001).ttl == 4U);
  BOOST_TEST(cache.Find(key, 5000).ttl == 1U);
  // Less than a second is nothing that a client could be told.
  BOOST_TEST(!cache.Find(key, 5001).answer);
  BOOST_TEST(cache.size() == 0U);
  BOOST_TEST(!cache.Find(key, 1000).answer);
  cache.Add(key, Lasting(5), 0);
  cache.Add(key, Lasting(9), 0);
  BOOST_TEST(cache.Find(key, 0).ttl == 9U);
  BOOST_TEST(cache.size() == 1U);
}

BOOST_AUTO_TEST_CASE(bounds) {
  Cache cache;
  for (std::size_t i = 0; i < Cache::kMaxEntries + 10; ++i) {
    cache.Add(std::to_string(i), Lasting(100), 0);
    BOOST_TEST((cache.Find("0", 0).answer != nullptr));  // it is in use
  }
  BOOST_TEST(cache.size() == Cache::kMaxEntries);
  BOOST_TEST(!cache.Find("1", 0).answer);
  BOOST_TEST(!cache.Find("10", 0).answer);
  BOOST_TEST((cache.Find("11", 0).answer != nullptr));
  for (int i = 0; i < 100; ++i) {
    cache.Add("large" + std::to_string(i), Lasting(100, Cache::kMaxBytes / 10), 0);
  }
  BOOST_TEST(cache.size() < 10U);
  BOOST_TEST((cache.Find("large99", 0).answer != nullptr));
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::gate
