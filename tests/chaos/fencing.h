// What contenders for one lock saw, and the check that the lock kept them apart.
//
// Each contender that holds the lock adds to one counter, by transactions that its fence guards.
// The truth is the history of the counter and of the lock's keys, read back from the store.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gavel::chaos {

// Times are of the machine's monotonic clock, which all its processes share.
struct Acquisition {
  int contender = 0;
  int64_t token = 0;
  int64_t start_ns = 0;  // Of the call that asked for the lock.
  int64_t end_ns = 0;    // When it returned.
};

struct GuardedWrite {
  enum class End {
    kUnknown,
    kDone,     // Carried out at `revision`.
    kRefused,  // The guard did not hold at `revision`.
  };
  std::string writer;  // Unique; part of what is written.
  int64_t token = 0;
  End end = End::kUnknown;
  int64_t revision = 0;
};

// One life of a key of the lock; its token is the revision at which it came.
struct LockKey {
  int64_t created = 0;
  int64_t deleted = 0;  // 0: it is still there.
};

// The counter as some revision left it.
struct CounterValue {
  int64_t revision = 0;
  int64_t counter = 0;
  int64_t token = 0;
  std::string writer;
};

struct FencingHistory {
  std::vector<Acquisition> acquisitions;
  std::vector<GuardedWrite> writes;  // All that were tried.
  std::vector<LockKey> keys;
  std::vector<CounterValue> values;  // In the order of revisions.
};

// Checks that
//   the tokens under which was written grow from holder to holder, and the counter by one each
//   time: nobody wrote between a holder's read and its write;
//   whatever was written was written while its token's key was there, and was the oldest;
//   an acknowledged write is there, at its revision; a refused one is nowhere; nothing is there
//   that nobody tried;
//   a guard was only refused after its key was deleted;
//   every token that a contender was given is a key's, is given once, had a turn as the oldest key,
//   and is larger than those of acquisitions that had returned before this one was asked for.
std::vector<std::string> CheckFencing(const FencingHistory& history);

}  // namespace gavel::chaos
