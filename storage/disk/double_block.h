// A small file that is replaced as a whole: two checksummed slots, written in turn.
//
// A write touches only the older slot, so a crash in the middle of it leaves the newer one. Each
// slot is 4 KiB: version and generation, then the body. Used by one thread at a time.
//
//   offset  size  field
//        0     8  magic (the caller's eight characters)
//        8     4  format version (the caller's)
//       12     4  length of the body
//       16     8  generation, one more than the other slot's
//       24     4  CRC-32C of bytes 0 to 23 and the body
//       28     -  body
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "storage/disk/disk.h"

namespace gavel::storage {

// What the eight characters and the version at the front of a slot must be.
struct BlockFormat {
  std::string_view magic;  // Eight characters that live for ever.
  uint32_t version = 1;
};

class DoubleBlock {
 public:
  static constexpr size_t kSlotBytes = 4096;
  static constexpr size_t kBodyBytesMax = kSlotBytes - 28;

  // Writes a new file with `body` in both slots; durable, directory included, on return. A crash
  // before leaves no file at `path`; one named `path`.tmp may be left and is replaced.
  static absl::StatusOr<DoubleBlock> Create(Disk& disk, const std::string& path, BlockFormat format,
                                            std::string_view body);
  // Reads the file and chooses the newer whole slot. NotFound: no file. DataLoss: neither slot is
  // whole. FailedPrecondition: a newer version; the message names both.
  static absl::StatusOr<DoubleBlock> Open(Disk& disk, const std::string& path, BlockFormat format);

  DoubleBlock(DoubleBlock&&) = default;
  DoubleBlock& operator=(DoubleBlock&&) = default;

  const std::string& body() const { return body_; }
  // True if Open found one slot damaged. It held the body before or the one after body().
  bool slot_lost() const { return slot_lost_; }

  // Replaces the body; durable on return. Requires: at most kBodyBytesMax bytes. After an error
  // the object must not be used again.
  absl::Status Write(std::string_view body);

 private:
  DoubleBlock(std::unique_ptr<File> file, BlockFormat format)
      : file_(std::move(file)), format_(format) {}

  absl::Status WriteSlot(std::string_view body);

  std::unique_ptr<File> file_;
  BlockFormat format_;
  std::string body_;
  uint64_t generation_ = 0;
  int next_slot_ = 0;
  bool slot_lost_ = false;
};

}  // namespace gavel::storage
