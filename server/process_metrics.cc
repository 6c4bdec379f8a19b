#include "server/process_metrics.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace gavel::server {
namespace {

// The fields of /proc/self/stat that are told, counted as proc(5) does.
struct ProcessStat {
  double cpu_seconds = 0;
  double start_seconds_since_boot = 0;
  double virtual_bytes = 0;
  double resident_bytes = 0;
};

ProcessStat ReadStat() {
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  ProcessStat stat;
  // The name, field 2, may hold anything; field 3 follows its last parenthesis.
  const size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return stat;
  std::istringstream fields(line.substr(name_end + 1));
  const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
  std::string field;
  for (int number = 3; fields >> field; ++number) {
    if (number == 14 || number == 15) stat.cpu_seconds += std::stod(field) / ticks_per_second;
    if (number == 22) stat.start_seconds_since_boot = std::stod(field) / ticks_per_second;
    if (number == 23) stat.virtual_bytes = std::stod(field);
    if (number == 24) {
      stat.resident_bytes = std::stod(field) * static_cast<double>(sysconf(_SC_PAGESIZE));
      break;
    }
  }
  return stat;
}

// When the machine was started, in seconds since 1970.
double BootSeconds() {
  std::ifstream file("/proc/stat");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("btime ")) return std::stod(line.substr(6));
  }
  return 0;
}

double OpenFiles() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  int count = -3;  // ".", ".." and the directory itself.
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

double OpenFilesMax() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return static_cast<double>(limit.rlim_cur);
}

// As Prometheus' own clients tell what is unlimited.
double VirtualMemoryMax() {
  rlimit limit{};
  getrlimit(RLIMIT_AS, &limit);
  return static_cast<double>(limit.rlim_cur);
}

}  // namespace

std::shared_ptr<void> AddProcessMetrics(Metrics& metrics) {
  Counter& cpu = metrics.AddCounter("process_cpu_seconds_total",
                                    "Total user and system CPU time spent in seconds.");
  Gauge& resident =
      metrics.AddGauge("process_resident_memory_bytes", "Resident memory size in bytes.");
  Gauge& virtual_memory =
      metrics.AddGauge("process_virtual_memory_bytes", "Virtual memory size in bytes.");
  Gauge& open = metrics.AddGauge("process_open_fds", "Number of open file descriptors.");
  Gauge& used = metrics.AddGauge("os_fd_used", "The number of used file descriptors.");
  metrics.AddGauge("process_max_fds", "Maximum number of open file descriptors.")
      .Set(OpenFilesMax());
  metrics
      .AddGauge("process_virtual_memory_max_bytes",
                "Maximum amount of virtual memory available in bytes.")
      .Set(VirtualMemoryMax());
  metrics.AddGauge("os_fd_limit", "The file descriptor limit.").Set(OpenFilesMax());
  metrics
      .AddGauge("process_start_time_seconds",
                "Start time of the process since unix epoch in seconds.")
      .Set(BootSeconds() + ReadStat().start_seconds_since_boot);
  return metrics.OnScrape([&cpu, &resident, &virtual_memory, &open, &used] {
    const ProcessStat stat = ReadStat();
    cpu.RaiseTo(stat.cpu_seconds);
    resident.Set(stat.resident_bytes);
    virtual_memory.Set(stat.virtual_bytes);
    const double files = OpenFiles();
    open.Set(files);
    used.Set(files);
  });
}

}  // namespace gavel::server
