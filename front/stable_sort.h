// std::stable_sort for short lists: that of libstdc++ 12 uses a function which clang, rightly, calls deprecated in
// C++23.
#pragma once

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

namespace nucleus::front {

template <class T, class Key>
void StableSort(std::vector<T>& items, Key key) {
  std::vector<std::size_t> order(items.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair{std::invoke(key, items[i]), i}; });
  std::vector<T> sorted;
  sorted.reserve(items.size());
  for (const std::size_t i : order) {
    sorted.push_back(std::move(items[i]));
  }
  items = std::move(sorted);
}

}  // namespace nucleus::front
