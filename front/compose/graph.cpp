#include "front/compose/graph.h"

#include <algorithm>
#include <deque>

namespace nucleus::front::compose {
namespace {

// The shortest way from `start` back to it; empty: there is none.
std::vector<std::string> ShortestCycle(const Graph& graph, const std::string& start) {
  std::map<std::string, std::string> from;
  std::deque<std::string> next = {start};
  while (!next.empty()) {
    const std::string at = next.front();
    next.pop_front();
    const auto edges = graph.find(at);
    if (edges == graph.end()) {
      continue;
    }
    for (const std::string& to : edges->second) {
      if (to == start) {
        std::vector<std::string> cycle = {start};
        for (std::string back = at; back != start; back = from.at(back)) {
          cycle.push_back(back);
        }
        cycle.push_back(start);
        std::ranges::reverse(cycle);
        return cycle;
      }
      if (from.emplace(to, at).second) {
        next.push_back(to);
      }
    }
  }
  return {};
}

}  // namespace

std::vector<std::vector<std::string>> Cycles(const Graph& graph) {
  std::vector<std::vector<std::string>> cycles;
  std::set<std::string> told;
  for (const auto& [name, edges] : graph) {
    if (told.contains(name)) {
      continue;
    }
    std::vector<std::string> cycle = ShortestCycle(graph, name);
    if (cycle.empty() || std::ranges::any_of(cycle, [&told](const std::string& one) { return told.contains(one); })) {
      continue;
    }
    told.insert(cycle.begin(), cycle.end());
    cycles.push_back(std::move(cycle));
  }
  return cycles;
}

std::vector<std::vector<std::string>> Layers(const Graph& graph) {
  std::vector<std::vector<std::string>> layers;
  std::set<std::string> done;
  while (done.size() < graph.size()) {
    std::vector<std::string> layer;
    for (const auto& [name, edges] : graph) {
      const bool ready = std::ranges::all_of(
          edges, [&](const std::string& other) { return done.contains(other) || !graph.contains(other); });
      if (ready && !done.contains(name)) {
        layer.push_back(name);
      }
    }
    if (layer.empty()) {
      break;
    }
    done.insert(layer.begin(), layer.end());
    layers.push_back(std::move(layer));
  }
  return layers;
}

Graph Reversed(const Graph& graph) {
  Graph reversed;
  for (const auto& [name, edges] : graph) {
    reversed[name];
    for (const std::string& other : edges) {
      reversed[other].insert(name);
    }
  }
  return reversed;
}

}  // namespace nucleus::front::compose
