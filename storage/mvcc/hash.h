// HashKV: one number for the keys visible up to a revision, equal on members that agree.
//
// Covers every version that a reader at or above the compacted revision could see up to
// `revision`, whatever a member's collector has already deleted.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/status/status.h"

#include "storage/mvcc/read_view.h"
#include "storage/request_error.h"

namespace gavel::storage {

// One hash under way; bounded steps, one thread at a time.
class HashCursor {
 public:
  // `revision` 0: the view's newest.
  HashCursor(std::shared_ptr<const ReadView> view, Revision revision);
  ~HashCursor();

  // Does up to `rows_max` rows; true when finished (see the accessors).
  bool Step(int64_t rows_max);

  RequestError error() const;
  absl::Status status() const;
  uint32_t hash() const;
  Revision compact_revision() const;
  Revision hash_revision() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::storage
