// What is told of this process, against what this process knows of itself.
#include "server/process_metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <sstream>

#include "server/clock.h"
#include "tests/support/matchers.h"

namespace gavel::server {
namespace {

double Value(Metrics& metrics, const std::string& name) {
  std::istringstream text(metrics.Text());
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with(name + " ")) return std::stod(line.substr(name.size() + 1));
  }
  ADD_FAILURE() << "no metric " << name;
  return -1;
}

TEST(ProcessMetricsTest, MemoryAndTimesAreThoseOfThisProcess) {
  Metrics metrics;
  const std::shared_ptr<void> handle = AddProcessMetrics(metrics);
  EXPECT_GT(Value(metrics, "process_resident_memory_bytes"), 1e6);
  EXPECT_LT(Value(metrics, "process_resident_memory_bytes"), 1e10);
  EXPECT_GE(Value(metrics, "process_virtual_memory_bytes"),
            Value(metrics, "process_resident_memory_bytes"));
  const double now = static_cast<double>(SystemClock().WallNs()) / 1e9;
  EXPECT_NEAR(Value(metrics, "process_start_time_seconds"), now, 600);
  EXPECT_GT(Value(metrics, "os_fd_limit"), 10);
}

TEST(ProcessMetricsTest, TimeOfTheProcessorIsACounterThatGrows) {
  Metrics metrics;
  const std::shared_ptr<void> handle = AddProcessMetrics(metrics);
  const std::string type = "# TYPE process_cpu_seconds_total counter\n";
  EXPECT_NE(metrics.Text().find(type), std::string::npos);
  const double before = Value(metrics, "process_cpu_seconds_total");
  for (int i = 0; i < 100000 && Value(metrics, "process_cpu_seconds_total") <= before; ++i) {
  }
  EXPECT_GT(Value(metrics, "process_cpu_seconds_total"), before);
  // Every scrape tells the whole, not the whole once more.
  EXPECT_LT(Value(metrics, "process_cpu_seconds_total"), 2 * before + 10);
}

TEST(ProcessMetricsTest, OpenFilesAreCountedAtEachScrape) {
  Metrics metrics;
  const std::shared_ptr<void> handle = AddProcessMetrics(metrics);
  const double before = Value(metrics, "process_open_fds");
  const int file = open("/dev/null", O_RDONLY);
  EXPECT_EQ(Value(metrics, "process_open_fds"), before + 1);
  close(file);
  EXPECT_EQ(Value(metrics, "os_fd_used"), before);
}

}  // namespace
}  // namespace gavel::server
