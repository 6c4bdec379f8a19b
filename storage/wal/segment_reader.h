// Reads records of one segment through a bounded window, and checks whole batches.
//
// Memory is bounded by the window and the largest record that really is in the file: no length
// is believed before it has been compared with what the file holds.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "storage/disk/disk.h"
#include "storage/wal/format.h"

namespace gavel::storage::wal {

// Why the bytes at `offset` are not what a whole log has there.
struct Damage {
  uint64_t offset = 0;
  std::string what;
};

// One record in the window. `body` is valid until the next call on the reader.
struct Record {
  RecordHeader header;
  std::string_view body;
  std::string_view bytes;  // All of it, header and padding.
};

class SegmentReader {
 public:
  // The caller keeps `file` open; `size` is its size.
  SegmentReader(const File& file, uint64_t size) : file_(file), size_(size) {}

  uint64_t size() const { return size_; }

  // Returns `count` bytes from `offset` on, valid until the next call.
  // Requires: they lie within size(). Errors are those of the disk.
  absl::StatusOr<std::string_view> Fetch(uint64_t offset, uint64_t count);

  // Reads the record at `offset` without checking it; nullopt if it does not lie in [offset, end).
  absl::StatusOr<std::optional<Record>> ReadRecord(uint64_t offset, uint64_t end);

  // Returns the first offset in [from, end) whose byte is not zero, or `end`.
  absl::StatusOr<uint64_t> FindNonZero(uint64_t from, uint64_t end);

 private:
  const File& file_;
  const uint64_t size_;
  std::string window_;
  uint64_t window_offset_ = 0;
};

// What is at an offset where a batch should start.
struct BatchCheck {
  enum class Kind {
    kWhole,    // `body` describes it.
    kEnd,      // Only zeros up to the end of the file.
    kDamaged,  // `damage` says why.
  };
  Kind kind = Kind::kEnd;
  BatchBody body;
  Position after;  // kWhole: the position after the batch, all but last_index.
  Damage damage;
};

// Checks the batch at `at` in the segment that `reader` reads.
absl::StatusOr<BatchCheck> CheckBatch(SegmentReader& reader, const Position& at);

// Looks for the leading record of a batch behind damage at `at`: any such record proves that
// everything before it had been made durable. Returns its mark, or nullopt.
absl::StatusOr<std::optional<Position>> FindLaterMark(SegmentReader& reader, const Position& at);

}  // namespace gavel::storage::wal
