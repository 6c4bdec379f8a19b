// The high-water mark: up to where the log is known to be durable, in a double block.
//
// It never claims more than a sync has confirmed, so whatever it covers must be readable.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/disk/disk.h"
#include "storage/disk/double_block.h"
#include "storage/wal/format.h"

namespace gavel::storage::wal {

inline constexpr char kHighWaterName[] = "high-water";

class HighWater {
 public:
  // Writes a new file whose mark covers nothing.
  static absl::StatusOr<HighWater> Create(Disk& disk, const std::string& directory);
  // Errors are those of DoubleBlock::Open.
  static absl::StatusOr<HighWater> Open(Disk& disk, const std::string& directory);

  const Position& position() const { return position_; }
  // True if the mark covers nothing, not even the start of the first segment.
  bool covers_nothing() const { return position_.segment == 0; }

  // Makes `position` the mark; does nothing if it is already and both copies are whole.
  absl::Status Write(const Position& position);

 private:
  HighWater(DoubleBlock block, const Position& position)
      : block_(std::move(block)), position_(position), repair_(block_.slot_lost()) {}

  DoubleBlock block_;
  Position position_;
  bool repair_;
};

}  // namespace gavel::storage::wal
