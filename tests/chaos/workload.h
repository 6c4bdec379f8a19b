// Clients that write and read without pause while members are killed under them.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/chaos/history.h"
#include "tests/chaos/kv_client.h"

namespace gavel::chaos {

struct WorkloadOptions {
  std::vector<std::string> targets;
  int writers = 6;
  int readers = 3;
  uint64_t seed = 1;
  int pause_us = 2000;  // Between two operations of one client.
};

// All keys of the workload begin with this.
inline constexpr char kPrefix[] = "chaos/";

// Starts its threads when made. Each client moves to another member after an error.
class Workload {
 public:
  explicit Workload(WorkloadOptions options);
  ~Workload();

  // Ends all threads, after their calls under way.
  void Stop();

  // How many writes were acknowledged so far.
  int64_t acknowledged() const { return acknowledged_; }
  std::vector<Operation> TakeOperations() { return history_.Take(); }
  // Values of writes that were certainly not carried out. After Stop.
  std::vector<std::string> TakeRefused();

 private:
  void Write(int client);
  void Read(int client);
  void AddRefused(std::string value);

  WorkloadOptions options_;
  History history_;
  std::mutex refused_mutex_;
  std::vector<std::string> refused_;
  std::atomic<int64_t> acknowledged_ = 0;
  std::atomic<bool> stopping_ = false;
  std::vector<std::thread> threads_;
};

// Reads what the store holds at every revision up to `last`, from `target`. False with the
// reason in `error` if a revision cannot be read.
bool ReadTruth(const std::string& target, int64_t last, Truth* truth, std::string* error);

}  // namespace gavel::chaos
