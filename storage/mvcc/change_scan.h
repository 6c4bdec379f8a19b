// Reads history: the changes of keys in the order they were made, in bounded steps, and what they
// made of the keys.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/key_change.h"
#include "storage/mvcc/read_view.h"
#include "storage/mvcc/revision.h"
#include "storage/mvcc/scan.h"

namespace gavel::storage {

// Walks the family `changes`. Reads the newest engine state: history below the published
// compacted revision may be missing, which the caller looks for after it has read.
//
// Between steps it holds nothing of the engine. Use from one thread at a time.
class ChangeScan {
 public:
  // From `from` to the last change of the revision `through`. `engine` must outlive the scan.
  ChangeScan(const Engine& engine, ChangeId from, Revision through);
  ~ChangeScan();

  enum class Result {
    kRow,     // What follows is valid until the next call.
    kEnd,     // No more changes.
    kBudget,  // Call again with a new budget.
    kFailed,  // status().
  };
  Result Next(ScanBudget& budget);

  ChangeId id() const { return id_; }
  bool tombstone() const { return tombstone_; }
  int64_t superseded_total() const { return superseded_total_; }
  std::string_view user_key() const { return user_key_; }
  absl::Status status() const { return status_; }
  // Where it goes on: after the last row returned.
  ChangeId position() const { return position_; }

 private:
  const Engine& engine_;
  const std::string end_;
  std::unique_ptr<Iterator> iterator_;
  ChangeId position_;
  bool at_row_ = false;  // The iterator stands on the row last returned.
  ChangeId id_;
  bool tombstone_ = false;
  int64_t superseded_total_ = 0;
  std::string_view user_key_;
  absl::Status status_;
};

// Fills in what the change `change->id` of `change->key` made of it. NotFound if the version is
// gone, as it may be below the compacted revision. Requires: it is no tombstone.
absl::Status ReadChangedValue(const Engine& engine, KeyChange* change);

// Calls for what the key `user_key` was before the revision `main`: true, and `previous` filled
// in, if it existed and is not compacted. Its id is that of its own change.
absl::StatusOr<bool> ReadPreviousValue(const ReadView& view, std::string_view user_key,
                                       Revision main, KeyChange* previous);

}  // namespace gavel::storage
