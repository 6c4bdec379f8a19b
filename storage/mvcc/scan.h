// Walks the keys that are live at a revision, in key order, in bounded steps.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/record.h"
#include "storage/mvcc/revision.h"

namespace gavel::storage {

// How much work is left before a step ends. Every engine row that is looked at costs one row.
struct ScanBudget {
  int64_t rows = 0;
  int64_t bytes = 0;
  bool spent() const { return rows <= 0 || bytes <= 0; }
};

// Finds, for each key of a range, its newest version at or below a revision, leaving out keys
// that are deleted there. Reads the newest engine state: the caller makes sure that no version
// that it may need has been collected.
//
// Between steps it holds nothing of the engine. Use from one thread at a time.
class VersionScan {
 public:
  // `engine` must outlive the scan, the bytes of `range` the constructor only.
  VersionScan(const Engine& engine, const KeyRange& range, Revision revision,
              bool keep_tombstones = false);

  enum class Result {
    kRow,     // user_key() and version() are valid until the next call.
    kEnd,     // No more rows.
    kBudget,  // Call again with a new budget.
    kFailed,  // status().
  };
  Result Next(ScanBudget& budget);

  std::string_view user_key();
  const Version& version() const { return version_; }
  absl::Status status() const { return status_; }

  // Lets go of the engine until the next call; views die.
  void Suspend();

 private:
  enum class Step { kRow, kMoved, kFailed };

  void Open();
  bool AtEnd() const;
  Result Done();
  Step Look();
  void MovePastVersions();
  void MoveToRevision(const VersionKeyParts& parts);
  Step Fail(std::string_view what);

  const Engine& engine_;
  const Revision revision_;
  const bool keep_tombstones_;
  const bool single_;
  const EncodedRange range_;
  // Where to go on when there is no iterator.
  std::string position_;
  std::unique_ptr<Iterator> iterator_;
  bool done_ = false;

  std::string prefix_;     // Of the key that is finished or being skipped to `revision_`.
  bool finished_ = false;  // The key of `prefix_` has been answered: skip its older versions.
  bool leave_ = false;     // The iterator stands on the row last returned.
  int skipped_ = 0;        // Rows of `prefix_` passed one by one.
  Version version_;
  std::string scratch_;
  std::string target_;
  absl::Status status_;
};

}  // namespace gavel::storage
