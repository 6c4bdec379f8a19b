// What the write-ahead log costs on a real disk: rate, latency and CPU of appending and syncing,
// and the rates of opening a log and of reading entries back.
//
//   wal_bench DIRECTORY [SECONDS] [PAYLOAD_BYTES]
//
// Prints one line per measurement. DIRECTORY must not exist; it is left behind for a look. A second
// thread prepares segments, as in a member.
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "storage/disk/posix_disk.h"
#include "storage/wal/wal.h"

namespace gavel::storage {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration duration) { return std::chrono::duration<double>(duration).count(); }

// CPU of this thread, or of the process, in seconds.
double CpuSeconds(int who) {
  rusage usage;
  getrusage(who, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status << "\n";
  std::exit(1);
}

template <class T>
T Check(absl::StatusOr<T> value) {
  Check(value.status());
  return *std::move(value);
}

// Keeps the next segment prepared while it lives.
class Preparer {
 public:
  explicit Preparer(Wal& wal) : thread_([this, &wal] { Run(wal); }) {}
  ~Preparer() {
    stop_ = true;
    thread_.join();
  }

 private:
  void Run(Wal& wal) {
    while (!stop_) {
      if (!Check(wal.PrepareSegment())) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }

  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

struct Workload {
  std::string directory;
  double seconds = 0;
  size_t payload_bytes = 0;
};

void AppendAndSync(PosixDisk& disk, const Workload& workload, uint64_t per_batch) {
  const std::string directory = workload.directory + "/batch" + std::to_string(per_batch);
  const auto wal = Check(Wal::Create(disk, {.directory = directory}, {}));
  const auto payload = std::make_shared<const std::string>(workload.payload_bytes, 'x');
  std::vector<double> latencies;
  uint64_t next = 1;
  {
    const Preparer preparer(*wal);
    const double cpu = CpuSeconds(RUSAGE_THREAD);
    const auto start = Clock::now();
    while (Seconds(Clock::now() - start) < workload.seconds) {
      WalBatch batch;
      batch.hard_state = raft::HardState{raft::Term(1), std::nullopt, raft::Index()};
      for (uint64_t i = 0; i < per_batch; ++i) {
        batch.entries.push_back(
            {raft::Index(next++), raft::Term(1), raft::EntryKind::kCommand, payload});
      }
      const auto before = Clock::now();
      Check(wal->Append(batch));
      Check(wal->Sync());
      latencies.push_back(Seconds(Clock::now() - before));
    }
    const double wall = Seconds(Clock::now() - start);
    const double log_cpu = CpuSeconds(RUSAGE_THREAD) - cpu;
    std::sort(latencies.begin(), latencies.end());
    const double batches = static_cast<double>(latencies.size());
    std::printf(
        "append+sync, batch %4llu: %9.0f entries/s, %6.1f us CPU a batch, p50 %4.0f us, "
        "p99 %5.0f us, %llu segments (%llu not prepared)\n",
        static_cast<unsigned long long>(per_batch), static_cast<double>(next - 1) / wall,
        log_cpu / batches * 1e6, latencies[latencies.size() / 2] * 1e6,
        latencies[latencies.size() * 99 / 100] * 1e6,
        static_cast<unsigned long long>(wal->stats().segments),
        static_cast<unsigned long long>(wal->stats().unprepared_rolls));
  }
  Check(wal->WriteMark());
}

// Without a disk: what encoding and checksums cost.
void AppendOnly(PosixDisk& disk, const Workload& workload) {
  const auto wal = Check(Wal::Create(disk, {.directory = workload.directory + "/append"}, {}));
  const auto payload = std::make_shared<const std::string>(workload.payload_bytes, 'x');
  WalBatch batch;
  batch.hard_state = raft::HardState{raft::Term(1), std::nullopt, raft::Index()};
  constexpr uint64_t kEntries = 20000;
  for (uint64_t i = 1; i <= kEntries; ++i) {
    batch.entries.push_back({raft::Index(i), raft::Term(1), raft::EntryKind::kCommand, payload});
  }
  const double cpu = CpuSeconds(RUSAGE_THREAD);
  Check(wal->Append(batch));
  std::printf("append alone: %.3f us CPU an entry\n",
              (CpuSeconds(RUSAGE_THREAD) - cpu) / kEntries * 1e6);
  Check(wal->Sync());
}

void OpenAndRead(PosixDisk& disk, const std::string& directory) {
  const auto start = Clock::now();
  Wal::Opened opened = Check(Wal::Open(disk, {.directory = directory}, raft::Index(UINT64_MAX)));
  const double open = Seconds(Clock::now() - start);
  const WalStats stats = opened.wal->stats();
  const double megabytes = static_cast<double>(stats.disk_bytes) / 1e6;
  std::printf("open: %.0f MB, %llu entries in %.3f s (%.0f MB/s)\n", megabytes,
              static_cast<unsigned long long>(stats.last_index.value()), open, megabytes / open);
  const auto reading = Clock::now();
  uint64_t next = stats.first_index.value();
  while (next <= stats.last_index.value()) {
    next += Check(opened.wal->Read(raft::Index(next), 1 << 20)).size();
  }
  std::printf("read back by 1 MiB: %.0f entries/s\n",
              static_cast<double>(next - 1) / Seconds(Clock::now() - reading));
}

int Main(int argc, char** argv) {
  if (argc < 2) {
    std::cerr << "usage: wal_bench DIRECTORY [SECONDS] [PAYLOAD_BYTES]\n";
    return 2;
  }
  const Workload workload{.directory = argv[1],
                          .seconds = argc > 2 ? std::atof(argv[2]) : 3,
                          .payload_bytes = argc > 3 ? std::stoul(argv[3]) : 300};
  PosixDisk disk;
  Check(disk.CreateDirectories(workload.directory));
  for (const uint64_t per_batch : {1, 16, 64, 256}) AppendAndSync(disk, workload, per_batch);
  AppendOnly(disk, workload);
  OpenAndRead(disk, workload.directory + "/batch64");
  return 0;
}

}  // namespace
}  // namespace gavel::storage

int main(int argc, char** argv) { return gavel::storage::Main(argc, argv); }
