// Writers of numbered transactions (change_log.h).
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "tests/chaos/change_log.h"

namespace gavel::chaos {

// Starts its threads when made. Each moves to another member after an error.
class WatchWriters {
 public:
  WatchWriters(std::vector<std::string> targets, int writers, uint64_t seed);
  ~WatchWriters();

  // Ends all threads. Returns how each write ended, by its number.
  std::map<uint64_t, WriteEnd> Stop();

 private:
  void Write(int writer, uint64_t seed);

  const std::vector<std::string> targets_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::map<uint64_t, WriteEnd> writes_;  // Guarded by mutex_.
  std::vector<std::thread> threads_;
};

}  // namespace gavel::chaos
