// The changes of consecutive revisions, shared by all who watch them.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"

#include "storage/mutex.h"
#include "storage/mvcc/key_change.h"
#include "storage/mvcc/read_view.h"

namespace gavel::server {

// Immutable, but for the previous values that are read when somebody wants them.
class Portion {
 public:
  // All that is of interest of the revisions `first` to `last`.
  Portion(std::vector<storage::KeyChange> changes, storage::Revision first, storage::Revision last);

  storage::Revision first() const { return first_; }
  storage::Revision last() const { return last_; }
  const std::vector<storage::KeyChange>& changes() const { return changes_; }
  // Of keys and values.
  size_t bytes() const { return bytes_; }

  // Reads what change `i` changed, unless that is known. Thread-safe.
  absl::Status LoadPrevious(size_t i, const storage::ReadView& view) const;
  // It, as an encoded KeyValue; empty if there was nothing, or it is compacted. The view lives as
  // long as the portion. Requires: it has been loaded.
  std::string_view Previous(size_t i) const;

 private:
  struct PreviousValue {
    bool loaded = false;
    std::string key_value;
  };

  const std::vector<storage::KeyChange> changes_;
  const storage::Revision first_;
  const storage::Revision last_;
  size_t bytes_ = 0;

  mutable Mutex mutex_;
  // Empty until one is wanted.
  mutable std::vector<PreviousValue> previous_ ABSL_GUARDED_BY(mutex_);
};

// Cuts the changes of a batch into portions of about `bytes_max` bytes and at most
// `revisions_max` revisions. A revision is never split. The last portion goes up to `last`.
std::vector<std::shared_ptr<const Portion>> CutIntoPortions(std::vector<storage::KeyChange> changes,
                                                            storage::Revision first,
                                                            storage::Revision last,
                                                            size_t bytes_max,
                                                            int64_t revisions_max);

}  // namespace gavel::server
