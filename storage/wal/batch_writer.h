// Encodes the records of one batch into a buffer that is used again for the next.
//
// Pure; owned by the log thread. Records get their segment, sequence and checksum only in
// Finish, because only then is it known whether the batch still fits its segment.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "raft/configuration.h"
#include "raft/types.h"
#include "storage/wal/format.h"

namespace gavel::storage::wal {

// What a record of the batch does to the log's index, and where it is in the batch.
struct IndexChange {
  RecordType type = RecordType::kEntry;  // kEntry, kTruncate, or kMark if the log starts anew.
  raft::Index index;
  uint64_t offset = 0;
};

class BatchWriter {
 public:
  BatchWriter() { Clear(); }

  void AddMark(const raft::SnapshotMeta& mark, bool starts_anew);
  void AddHardState(const raft::HardState& state);
  void AddTruncate(raft::Index from);
  void AddEntry(const raft::Entry& entry);

  bool empty() const { return records_ == 0; }
  const std::vector<IndexChange>& changes() const { return changes_; }
  // Of the batch on disk, leading record included.
  uint64_t bytes() const { return buffer_.size(); }

  // Seals the batch as the one that starts at `at`, and moves `at` past it, all but last_index.
  // The bytes are valid until the next call that is not const.
  std::string_view Finish(Position& at, const Position& mark);
  void Clear();

 private:
  std::string buffer_;  // Room for the leading record, then the records.
  uint32_t records_ = 0;
  std::vector<IndexChange> changes_;
};

}  // namespace gavel::storage::wal
