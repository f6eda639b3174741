// Who waits for whom.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

namespace nucleus::front::compose {

// Service → those that it depends on.
using Graph = std::map<std::string, std::set<std::string>>;

// Each set of services that wait for each other, by one of its cycles: "a", "b", "a". From the least name on.
std::vector<std::vector<std::string>> Cycles(const Graph& graph);

// Those that have nothing to wait for, then those that wait for these alone, and so on. Of a graph without cycles.
std::vector<std::vector<std::string>> Layers(const Graph& graph);

// The graph's arrows the other way round: who is to end before.
Graph Reversed(const Graph& graph);

}  // namespace nucleus::front::compose
