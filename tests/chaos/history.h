// What clients saw, and the check that one linear history explains all of it.
//
// Every write carries a value that no other write carries, so that the store's own revisions
// claim one total order, which is then checked against real time (a sweep, O(n log n)).
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

namespace gavel::chaos {

// key -> value at one revision.
using Snapshot = std::map<std::string, std::string>;

struct Operation {
  enum class Kind { kWrite, kRead };
  Kind kind = Kind::kRead;
  int64_t start_ns = 0;
  int64_t end_ns = 0;
  bool known = false;    // An answer came: `revision` is valid.
  int64_t revision = 0;  // From the response header.
  // kWrite: what the revision should hold. An empty value says that the key was deleted.
  // kRead: everything the read returned, over the whole key space.
  Snapshot contents;
  std::string client;  // For messages.
};

// Collects operations from many threads.
class History {
 public:
  void Add(Operation operation);
  std::vector<Operation> Take();

 private:
  std::mutex mutex_;
  std::vector<Operation> operations_;
};

// The truth afterwards: the store's contents at every revision, [first, first + size).
struct Truth {
  int64_t first = 0;
  std::vector<Snapshot> at;

  const Snapshot* Find(int64_t revision) const;
  int64_t last() const { return first + static_cast<int64_t>(at.size()) - 1; }
};

struct CheckResult {
  std::vector<std::string> violations;  // Empty: everything is explained.
  int64_t acknowledged_writes = 0;
  int64_t unknown_writes = 0;
  int64_t unknown_writes_present = 0;
  int64_t reads = 0;
};

// Checks that
//   an acknowledged write is in the truth at its revision, and no two writes share one;
//   a value that was never written, or whose write was refused, is nowhere in the truth;
//   no write's value is in two revisions as a change;
//   revisions follow real time: what began after something had ended has a higher revision
//   (a write) or at least as high a one (a read);
//   a read returned exactly the truth at its revision.
// `refused` are the values of writes that were certainly not carried out.
CheckResult Check(std::vector<Operation> operations, const Truth& truth,
                  const std::vector<std::string>& refused);

}  // namespace gavel::chaos
