// Which rows of a store are part of its state, and which only wait for the collector.
//
// Members that have applied the same entries keep the same rows, whatever their collectors have
// done so far.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "storage/engine/engine.h"
#include "storage/mvcc/revision.h"

namespace gavel::storage {

// Asked for all rows of a family in order, one family after the other.
class RowFilter {
 public:
  explicit RowFilter(Revision compacted) : compacted_(compacted) {}

  // Whether the row is part of the state. DataLoss if it is damaged.
  absl::StatusOr<bool> Keeps(Family family, std::string_view key, std::string_view value);

 private:
  absl::StatusOr<bool> KeepsVersion(std::string_view key, std::string_view value);

  const Revision compacted_;
  std::string prefix_;    // Of the user key under way.
  bool settled_ = false;  // What readers at the compacted revision see of it has passed.
};

}  // namespace gavel::storage
