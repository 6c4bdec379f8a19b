// The bytes of the write-ahead log: preamble, records and their bodies (FORMAT.md).
//
// Pure functions over byte ranges; no file is touched here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

#include "raft/configuration.h"
#include "raft/types.h"

namespace gavel::storage::wal {

inline constexpr uint32_t kFormatVersion = 1;

// A segment starts with a preamble whose layout is the same in every version.
inline constexpr size_t kPreambleBytes = 16;

enum class RecordType : uint8_t {
  kSegmentStart = 1,  // Once, right after the preamble: what the segment continues.
  kBatch = 2,         // Leads a batch; checks it as a whole and carries the high-water mark.
  kHardState = 3,
  kEntry = 4,
  kTruncate = 5,  // Drops all entries at or above an index.
  kMark = 6,      // A new start of the log.
};

// Values of RecordHeader::detail in a kMark record; in a kEntry record it is the EntryKind.
inline constexpr uint8_t kMarkKeepsEntries = 0;  // Entries after the mark stay.
inline constexpr uint8_t kMarkStartsAnew = 1;    // All entries are dropped; the next is mark + 1.

inline constexpr size_t kRecordHeaderBytes = 32;
inline constexpr size_t kBatchBodyBytes = 56;
inline constexpr size_t kBatchRecordBytes = kRecordHeaderBytes + kBatchBodyBytes;
inline constexpr size_t kHardStateBodyBytes = 24;
inline constexpr size_t kEntryPrefixBytes = 16;
inline constexpr size_t kTruncateBodyBytes = 8;
inline constexpr size_t kMarkPrefixBytes = 16;
inline constexpr size_t kSegmentStartPrefixBytes = 72;

// Largest payload of one entry.
inline constexpr size_t kPayloadBytesMax = size_t{1} << 30;

struct RecordHeader {
  uint32_t checksum = 0;  // Of everything after itself, padding included.
  uint32_t length = 0;    // Bytes of the body without padding.
  uint64_t segment = 0;
  uint64_t sequence = 0;  // Counts the records of a log from 1, over all its segments.
  uint8_t type = 0;
  uint8_t detail = 0;
};

// Bytes of a record with a body of `length`: header, body, zeros up to a multiple of eight.
constexpr uint64_t RecordBytes(uint64_t length) {
  return (kRecordHeaderBytes + length + 7) & ~uint64_t{7};
}

// A place in the log, and what had been written before it.
struct Position {
  uint64_t segment = 0;
  uint64_t offset = 0;
  uint64_t sequence = 0;  // Of the next record.
  uint32_t chain = 0;     // Checksum chained over all records before.
  raft::Index last_index;

  friend bool operator==(const Position&, const Position&) = default;
  bool Before(const Position& other) const {
    return segment != other.segment ? segment < other.segment : offset < other.offset;
  }
};

struct BatchBody {
  uint64_t bytes = 0;          // Of the whole batch, this record included.
  uint32_t records = 0;        // After this one.
  uint32_t records_chain = 0;  // chain_before, chained over the records after this one.
  uint32_t chain_before = 0;
  Position mark;  // The end of the newest batch whose sync had returned.
};

struct SegmentStartBody {
  uint64_t previous_end = 0;  // Where the data of the segment before ends; 0 in a log's first.
  uint32_t chain_before = 0;
  raft::EntryId last;  // The last entry before the segment.
  raft::HardState hard_state;
  raft::SnapshotMeta mark;  // The newest mark.
};

// Returns the chain after a record with checksum `checksum`.
uint32_t Chain(uint32_t chain, uint32_t checksum);

// The preamble of a segment of this version.
std::string EncodePreamble();
// DataLoss: not a preamble. FailedPrecondition: a newer version; the message names both.
// Requires: kPreambleBytes bytes.
absl::Status CheckPreamble(std::string_view bytes);

RecordHeader DecodeHeader(const char* bytes);
// Computes and stores segment, sequence and checksum of the whole record at `record`, whose other
// fields are already in place; returns the checksum.
uint32_t SealRecord(char* record, uint64_t bytes, uint64_t segment, uint64_t sequence);

// Requires: `record` is the whole record. Returns what is wrong with it, or null.
const char* RecordDamage(std::string_view record, uint64_t segment, uint64_t sequence);

void AppendRecord(std::string& out, RecordType type, uint8_t detail, std::string_view body);

std::string EncodeBatchBody(const BatchBody& body);
std::string EncodeSegmentStartBody(const SegmentStartBody& body);
void AppendHardState(std::string& out, const raft::HardState& state);
void AppendEntry(std::string& out, const raft::Entry& entry);
void AppendTruncate(std::string& out, raft::Index from);
void AppendMark(std::string& out, const raft::SnapshotMeta& mark, bool starts_anew);

// The decoders return nullopt for a body of the wrong size or with an impossible value.
std::optional<BatchBody> DecodeBatchBody(std::string_view body);
std::optional<SegmentStartBody> DecodeSegmentStartBody(std::string_view body);
std::optional<raft::HardState> DecodeHardState(std::string_view body);
std::optional<raft::EntryId> DecodeEntryId(std::string_view body);
std::optional<raft::Entry> DecodeEntry(uint8_t kind, std::string_view body);
std::optional<raft::Index> DecodeTruncate(std::string_view body);
std::optional<raft::SnapshotMeta> DecodeMark(std::string_view body);

// "0000000000000007.wal" for segment 7, and back (nullopt for any other name).
std::string SegmentName(uint64_t segment);
std::optional<uint64_t> ParseSegmentName(std::string_view name);

}  // namespace gavel::storage::wal
