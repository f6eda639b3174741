// Counters as the kernel writes them, on v1 and v2.

#include "runtime/cgroup/stats.h"

#include <unistd.h>

#include <boost/test/unit_test.hpp>
#include <filesystem>
#include <fstream>

#include "base/test_directory.h"
#include "runtime/cgroup/stats_read.h"

namespace nucleus::cgroup {
namespace {

class Directory : private TestDirectory {
 public:
  void Add(const std::string& file, const std::string& content) const {
    std::ofstream{top + "/" + file} << content;
  }
  [[nodiscard]] const std::string& path() const {
    return top;
  }
};

using Numbers = std::vector<unsigned>;

}  // namespace

BOOST_AUTO_TEST_SUITE(cgroup_stats)

BOOST_AUTO_TEST_CASE(numbers) {
  BOOST_TEST(Number("max") == UINT64_MAX);
  BOOST_TEST(Number("18446744073709551615") == UINT64_MAX);
  BOOST_TEST(Number("0") == 0U);
  BOOST_TEST(Number("") == 0U);
  BOOST_TEST(Number("x") == 0U);
  BOOST_TEST(Words("  a  b c ").size() == 3U);
  BOOST_TEST(Words("").empty());
  BOOST_TEST(Lines("a\n\nb").size() == 3U);
  BOOST_TEST(Lines("").empty());
}

BOOST_AUTO_TEST_CASE(v2) {
  const Directory cgroup;
  cgroup.Add("cpu.stat",
             "usage_usec 30\nuser_usec 10\nsystem_usec 20\nnr_periods 4\nnr_throttled 2\nthrottled_usec 7\n");
  cgroup.Add("cpu.pressure",
             "some avg10=1.50 avg60=0.25 avg300=0.00 total=900\nfull avg10=0.00 avg60=0.00 avg300=0.10 total=5\n");
  cgroup.Add("memory.current", "4096\n");
  cgroup.Add("memory.max", "8192\n");
  cgroup.Add("memory.peak", "5000\n");
  cgroup.Add("memory.swap.max", "1000\n");
  cgroup.Add("memory.swap.current", "100\n");
  cgroup.Add("memory.stat", "anon 1\nfile 2048\n");
  cgroup.Add("memory.events", "low 0\nhigh 0\nmax 6\noom 1\noom_kill 1\n");
  cgroup.Add("cpuset.cpus", "0-1,3\n");
  cgroup.Add("cpuset.mems", "\n");
  cgroup.Add("pids.current", "3\n");
  cgroup.Add("pids.max", "max\n");
  cgroup.Add("io.stat", "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=1\n253:0 \n");
  cgroup.Add("hugetlb.2MB.current", "2097152\n");
  cgroup.Add("hugetlb.2MB.events", "max 9\n");

  const Result<Stats> read = ReadStats({{.hierarchy = "", .path = cgroup.path()}});
  BOOST_REQUIRE(read.has_value());
  BOOST_TEST(read->cpu->total == 30000U);
  BOOST_TEST(read->cpu->user == 10000U);
  BOOST_TEST(read->cpu->kernel == 20000U);
  BOOST_TEST(read->cpu->periods == 4U);
  BOOST_TEST(read->cpu->throttled_periods == 2U);
  BOOST_TEST(read->cpu->throttled_time == 7000U);
  BOOST_TEST(read->cpu->pressure->some.avg10 == 1.5);
  BOOST_TEST(read->cpu->pressure->some.avg60 == 0.25);
  BOOST_TEST(read->cpu->pressure->some.total == 900U);
  BOOST_TEST(read->cpu->pressure->full.avg300 == 0.1);
  BOOST_TEST(read->cpu->pressure->full.total == 5U);
  BOOST_TEST(read->memory->usage.usage == 4096U);
  BOOST_TEST(read->memory->usage.limit == 8192U);
  BOOST_TEST(read->memory->usage.max == 5000U);
  BOOST_TEST(read->memory->usage.failures == 6U);
  BOOST_TEST(read->memory->cache == 2048U);
  BOOST_TEST(read->memory->raw.at("anon") == 1U);
  // Memory and swap together.
  BOOST_TEST(read->memory->swap.limit == 9192U);
  BOOST_TEST(read->memory->swap.usage == 4196U);
  BOOST_TEST(read->cpuset->cpus == (Numbers{0, 1, 3}), boost::test_tools::per_element());
  BOOST_TEST(read->cpuset->mems.empty());
  BOOST_TEST(read->pids->current == 3U);
  BOOST_TEST(read->pids->limit == 0U);
  const std::vector<IoEntry>& bytes = read->io->lists.at("ioServiceBytesRecursive");
  BOOST_REQUIRE(bytes.size() == 3U);
  BOOST_TEST(bytes[0].major == 8U);
  BOOST_TEST(bytes[0].minor == 16U);
  BOOST_TEST(bytes[0].op == "Read");
  BOOST_TEST(bytes[0].value == 1459200U);
  BOOST_TEST(bytes[1].op == "Write");
  BOOST_TEST(bytes[2].op == "Discard");
  BOOST_TEST(read->io->lists.at("ioServicedRecursive").at(1).value == 353U);
  BOOST_TEST(read->hugetlb.at("2MB").usage == 2097152U);
  BOOST_TEST(read->hugetlb.at("2MB").failures == 9U);
}

BOOST_AUTO_TEST_CASE(v2_without_limits) {
  const Directory cgroup;
  cgroup.Add("memory.current", "1\n");
  cgroup.Add("memory.max", "max\n");
  cgroup.Add("memory.swap.max", "0\n");
  const Stats stats = ReadStatsV2(cgroup.path()).value();
  BOOST_TEST(stats.memory->usage.limit == UINT64_MAX);
  BOOST_TEST(stats.memory->swap.limit == UINT64_MAX);
  BOOST_TEST(!stats.pids.has_value());
  BOOST_TEST(!stats.cpuset.has_value());
  BOOST_TEST(!stats.io.has_value());
  BOOST_TEST(stats.hugetlb.empty());
}

BOOST_AUTO_TEST_CASE(v1) {
  const Directory cpu;
  const Directory memory;
  const Directory blkio;
  cpu.Add("cpuacct.usage", "12345\n");
  cpu.Add("cpuacct.stat", "user 3\nsystem 4\n");
  cpu.Add("cpuacct.usage_percpu", "100 200 \n");
  cpu.Add("cpuacct.usage_all", "cpu user system\n0 1 2\n1 3 4\n");
  cpu.Add("cpu.stat", "nr_periods 1\nnr_throttled 2\nthrottled_time 3\n");
  memory.Add("memory.usage_in_bytes", "10\n");
  memory.Add("memory.limit_in_bytes", "20\n");
  memory.Add("memory.max_usage_in_bytes", "15\n");
  memory.Add("memory.failcnt", "1\n");
  memory.Add("memory.memsw.usage_in_bytes", "11\n");
  memory.Add("memory.stat", "cache 5\ntotal_cache 7\n");
  blkio.Add("blkio.bfq.io_service_bytes_recursive", "Total 0\n");
  blkio.Add("blkio.throttle.io_service_bytes_recursive", "8:0 Read 4096\n8:0 Total 4096\nTotal 4096\n");
  blkio.Add("blkio.time_recursive", "8:0 512\n");
  const Result<Stats> read = ReadStats({{.hierarchy = "cpu,cpuacct", .path = cpu.path()},
                                        {.hierarchy = "memory", .path = memory.path()},
                                        {.hierarchy = "blkio", .path = blkio.path()}});
  BOOST_REQUIRE(read.has_value());
  const auto tick = 1000000000U / static_cast<unsigned>(::sysconf(_SC_CLK_TCK));
  BOOST_TEST(read->cpu->total == 12345U);
  BOOST_TEST(read->cpu->user == 3U * tick);
  BOOST_TEST(read->cpu->kernel == 4U * tick);
  BOOST_TEST(read->cpu->per_cpu == (std::vector<std::uint64_t>{100, 200}), boost::test_tools::per_element());
  BOOST_TEST(read->cpu->per_cpu_user == (std::vector<std::uint64_t>{1, 3}), boost::test_tools::per_element());
  BOOST_TEST(read->cpu->per_cpu_kernel == (std::vector<std::uint64_t>{2, 4}), boost::test_tools::per_element());
  BOOST_TEST(read->cpu->throttled_time == 3U);
  BOOST_TEST(read->memory->usage.usage == 10U);
  BOOST_TEST(read->memory->usage.limit == 20U);
  BOOST_TEST(read->memory->usage.max == 15U);
  BOOST_TEST(read->memory->usage.failures == 1U);
  BOOST_TEST(read->memory->swap.usage == 11U);
  BOOST_TEST(read->memory->cache == 7U);
  // BFQ is there and has counted nothing: the throttling layer's.
  const std::vector<IoEntry>& bytes = read->io->lists.at("ioServiceBytesRecursive");
  BOOST_REQUIRE(bytes.size() == 2U);
  BOOST_TEST(bytes[0].op == "Read");
  BOOST_TEST(bytes[0].value == 4096U);
  BOOST_TEST(read->io->lists.at("ioTimeRecursive").at(0).op.empty());
  BOOST_TEST(read->io->lists.at("ioTimeRecursive").at(0).value == 512U);
  BOOST_TEST(!read->pids.has_value());
}

BOOST_AUTO_TEST_CASE(directories_that_are_gone) {
  const Stats none = ReadStatsV2("/nonexistent/cgroup").value();
  BOOST_TEST(!none.memory.has_value());
  BOOST_TEST(none.cpu->total == 0U);
  BOOST_TEST(ReadStats({}).has_value());
}

BOOST_AUTO_TEST_SUITE_END()

}  // namespace nucleus::cgroup
