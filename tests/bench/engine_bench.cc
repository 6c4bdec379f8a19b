// What the state engine costs: CPU of batches, reads and scans, and memory, on RocksDB.
//
//   engine_bench DIRECTORY [KEYS] [VALUE_BYTES] [CACHE_MIB]
//
// Prints one line per measurement. DIRECTORY must not exist; it is left behind for a look.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include "raft/random.h"
#include "storage/engine/rocks_engine.h"

namespace gavel::storage {
namespace {

double CpuSeconds(int who) {
  rusage usage;
  getrusage(who, &usage);
  return usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
         (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double ResidentMib() {
  std::ifstream file("/proc/self/statm");
  uint64_t total = 0;
  uint64_t resident = 0;
  file >> total >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

void Check(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status << "\n";
  std::exit(1);
}

std::string BigEndian(uint64_t number, int bytes) {
  std::string text;
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    text.push_back(static_cast<char>(number >> shift));
  }
  return text;
}

std::string UserKey(uint64_t number) {
  char key[32];
  std::snprintf(key, sizeof(key), "/bench/key/%09llu", static_cast<unsigned long long>(number));
  return key;
}

std::string VersionPrefix(uint64_t number) { return UserKey(number) + std::string("\0\x01", 2); }

// Half of the bytes can be compressed away, as hexadecimal text can.
std::string Value(raft::Random& random, size_t bytes) {
  std::string value(bytes, '0');
  for (char& c : value) c = "0123456789abcdef"[random.Below(16)];
  return value;
}

class Bench {
 public:
  Bench(std::unique_ptr<Engine> engine, uint64_t keys, size_t value_bytes)
      : engine_(std::move(engine)), keys_(keys), value_bytes_(value_bytes) {}

  // Writes `puts` versions in batches, of keys in order or at random.
  void Puts(const char* name, uint64_t puts, int batch_size, bool in_order) {
    double writing = 0;
    const double before = CpuSeconds(RUSAGE_SELF);
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t done = 0; done < puts;) {
      WriteBatch batch;
      for (int i = 0; i < batch_size && done < puts; ++i, ++done) {
        const uint64_t key = in_order ? done % keys_ : random_.Below(keys_);
        ++revision_;
        batch.Put(Family::kVersions,
                  VersionPrefix(key) + BigEndian(~revision_, 8) + BigEndian(0, 4),
                  Value(random_, value_bytes_));
        batch.Put(Family::kChanges, BigEndian(revision_, 8) + BigEndian(0, 4), UserKey(key));
      }
      batch.Put(Family::kMeta, "applied", BigEndian(revision_, 8));
      const double thread = CpuSeconds(RUSAGE_THREAD);
      absl::Status status = engine_->Write(batch);
      writing += CpuSeconds(RUSAGE_THREAD) - thread;
      while (absl::IsResourceExhausted(status)) {
        ++stalls_;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        status = engine_->Write(batch);
      }
      Check(status);
    }
    const double wall =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf(
        "%-34s %6.2f us/put in Write, %6.2f us/put of the process, %.0f puts/s, %d stalls\n", name,
        writing / puts * 1e6, (CpuSeconds(RUSAGE_SELF) - before) / puts * 1e6, puts / wall,
        stalls_);
    stalls_ = 0;
  }

  // Seeks the newest version of keys below `range`; of keys that are not there if `missing`.
  void PointReads(const char* name, uint64_t reads, uint64_t range, bool missing) {
    uint64_t found = 0;
    const double before = CpuSeconds(RUSAGE_THREAD);
    for (uint64_t i = 0; i < reads; ++i) {
      const std::string prefix = missing ? UserKey(random_.Below(range)) + std::string("x\0\x01", 3)
                                         : VersionPrefix(random_.Below(range));
      std::string end = prefix;
      end.back() = '\x02';
      ReadOptions options;
      options.lower = prefix;
      options.upper = end;
      auto it = engine_->NewIterator(Family::kVersions, options);
      it->Seek(prefix);
      if (it->Valid()) found += it->value().size() > 0 ? 1 : 0;
      Check(it->status());
    }
    std::printf("%-34s %6.2f us, %.0f %% found\n", name,
                (CpuSeconds(RUSAGE_THREAD) - before) / reads * 1e6, 100.0 * found / reads);
  }

  void Scans(const char* name, int scans, int keys_each) {
    uint64_t rows = 0;
    const double before = CpuSeconds(RUSAGE_THREAD);
    for (int i = 0; i < scans; ++i) {
      const uint64_t first = random_.Below(keys_ - keys_each);
      const std::string lower = VersionPrefix(first);
      const std::string upper = VersionPrefix(first + keys_each);
      ReadOptions options;
      options.lower = lower;
      options.upper = upper;
      auto it = engine_->NewIterator(Family::kVersions, options);
      for (it->SeekToFirst(); it->Valid(); it->Next()) rows += it->value().size() > 0 ? 1 : 0;
      Check(it->status());
    }
    std::printf("%-34s %6.1f us per scan, %.1f versions per key\n", name,
                (CpuSeconds(RUSAGE_THREAD) - before) / scans * 1e6,
                static_cast<double>(rows) / scans / keys_each);
  }

  void Flush() {
    const auto start = std::chrono::steady_clock::now();
    Check(engine_->Flush());
    std::printf(
        "%-34s %6.1f ms\n", "flush",
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() * 1e3);
  }

  void Memory(const char* name) {
    const EngineStats stats = engine_->stats();
    std::printf("%-34s %6.0f MiB resident; engine %.0f MiB, disk %.0f MiB, live %.0f MiB\n", name,
                ResidentMib(), stats.memory_bytes / 1048576.0, stats.disk_bytes / 1048576.0,
                stats.live_bytes / 1048576.0);
  }

 private:
  std::unique_ptr<Engine> engine_;
  const uint64_t keys_;
  const size_t value_bytes_;
  raft::Random random_{1};
  uint64_t revision_ = 1;
  int stalls_ = 0;
};

int Main(int argc, char** argv) {
  if (argc < 2 || access(argv[1], F_OK) == 0) {
    std::cerr << "usage: engine_bench NEW_DIRECTORY [KEYS] [VALUE_BYTES] [CACHE_MIB]\n";
    return 2;
  }
  const uint64_t keys = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  const size_t value_bytes = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 256;
  RocksOptions options;
  options.path = argv[1];
  if (argc > 4) options.cache_bytes = std::strtoull(argv[4], nullptr, 10) << 20;
  {
    auto engine = OpenRocksEngine(options);
    Check(engine.status());
    Bench bench(*std::move(engine), keys, value_bytes);
    bench.Memory("memory, empty");
    bench.Puts("load in order, batches of 128", keys, 128, true);
    bench.Memory("memory, after load");
    bench.Flush();
    bench.Puts("puts at random, batches of 1", keys / 10, 1, false);
    bench.Puts("puts at random, batches of 16", keys / 5, 16, false);
    bench.Puts("puts at random, batches of 128", keys / 5, 128, false);
    bench.PointReads("newest of 10,000 hot keys", 200'000, 10'000, false);
    bench.PointReads("newest, uniform", 200'000, keys, false);
    bench.PointReads("missing key", 200'000, keys, true);
    bench.Scans("scan of 1,000 keys", 300, 1000);
    bench.Memory("memory, after all");
    bench.Flush();
  }
  const double cpu = CpuSeconds(RUSAGE_SELF);
  const auto start = std::chrono::steady_clock::now();
  auto engine = OpenRocksEngine(options);
  Check(engine.status());
  std::printf("%-34s %6.1f ms, %.1f ms CPU\n", "open",
              std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() * 1e3,
              (CpuSeconds(RUSAGE_SELF) - cpu) * 1e3);
  return 0;
}

}  // namespace
}  // namespace gavel::storage

int main(int argc, char** argv) { return gavel::storage::Main(argc, argv); }
