// Any bytes as a topology: either it has problems, each with a line, or its order can be told.

#include "front/compose/topology.h"

#include <cstdint>
#include <cstdlib>

#include "front/compose/graph.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus::front::compose;
  const Reading reading = ReadTopology({reinterpret_cast<const char*>(data), size}, "project");
  for (const Problem& problem : reading.problems) {
    if (problem.at.line == 0 || problem.message.empty()) {
      std::abort();
    }
  }
  if (!reading.problems.empty()) {
    return 0;
  }
  Graph graph;
  for (const auto& [name, service] : reading.topology.services) {
    if (service.options.command.empty() == service.bundle.empty()) {
      std::abort();
    }
    graph[name];
    for (const auto& [other, dependency] : service.depends_on) {
      graph[name].insert(other);
    }
  }
  std::size_t count = 0;
  for (const auto& layer : Layers(graph)) {
    count += layer.size();
  }
  if (count != graph.size()) {
    std::abort();
  }
  return 0;
}
