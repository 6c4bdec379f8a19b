// One process that contends for a lock, and what it tells of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/chaos/fencing.h"
#include "tests/chaos/lock_client.h"

namespace gavel::chaos {

inline constexpr char kLockName[] = "lock/it";
// Holds "counter token writer"; a writer's name begins with its contender's number and a dot.
inline constexpr char kCounterKey[] = "counter";

struct ContenderOptions {
  std::vector<std::string> targets;
  int number = 0;  // Of the contender. Its place and its life tell writers apart.
  int life = 0;    // How often it was started before.
  uint64_t seed = 0;
  LockWay way = LockWay::kMutex;
};

// Takes the lock, adds to the counter some times, gives it up, and so on, until it is killed. Each
// step is printed in one write, before or after it is done, so that a kill loses at most answers.
void RunContender(const ContenderOptions& options);

// Adds what the file of one contender tells, over all its lives. False with the line in `error` if
// it is not understood.
bool ReadContenderLog(const std::string& path, int number, FencingHistory* history,
                      std::string* error);

// Parses what kCounterKey holds.
bool ParseCounter(const std::string& text, CounterValue* value);

}  // namespace gavel::chaos
