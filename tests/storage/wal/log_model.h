// What a log should hold, kept in plain containers, and random workloads that change both.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "raft/configuration.h"
#include "raft/random.h"
#include "raft/types.h"
#include "storage/wal/wal.h"

namespace gavel::storage {

// The contents of a log after some synced batches.
struct LogModel {
  raft::HardState hard_state;
  raft::SnapshotMeta mark;
  std::map<uint64_t, raft::Entry> entries;  // All that are live, below the mark too.

  uint64_t last() const { return entries.empty() ? mark.index.value() : entries.rbegin()->first; }
  raft::Term TermAt(uint64_t index) const;
  raft::Configuration ConfigurationAt(uint64_t index) const;

  void Apply(const WalBatch& batch);

  // Everything a reopened log must show, as lines of text.
  std::vector<std::string> Describe() const;
};

// The same lines for what Wal::Open(keep_from = 0) returned.
std::vector<std::string> DescribeContents(const WalContents& contents);

// One step of a workload.
struct Step {
  enum class Kind { kBatch, kCut, kWriteMark, kPrepare };
  Kind kind = Kind::kBatch;
  std::vector<WalBatch> batches;  // kBatch: appended one by one, then synced.
  raft::SnapshotMeta cut;         // kCut.
};

// Returns a random step that is legal after `model`.
Step RandomStep(const LogModel& model, raft::Random& random);

// The model after the step.
LogModel After(const LogModel& model, const Step& step);

// Carries the step out on the log.
absl::Status CarryOut(Wal& wal, const Step& step);

}  // namespace gavel::storage
