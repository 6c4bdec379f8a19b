#include "storage/wal/segment_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

#include "raft/check.h"
#include "storage/status_macros.h"

namespace gavel::storage::wal {
namespace {

constexpr uint64_t kWindowBytes = 256 << 10;

BatchCheck Damaged(uint64_t offset, std::string what) {
  BatchCheck check;
  check.kind = BatchCheck::Kind::kDamaged;
  check.damage = {offset, std::move(what)};
  return check;
}

// Tells the zeros after the last batch from a batch whose first bytes are lost.
absl::StatusOr<BatchCheck> CheckZeros(SegmentReader& reader, uint64_t offset) {
  GAVEL_ASSIGN_OR_RETURN(const uint64_t used, reader.FindNonZero(offset, reader.size()));
  if (used == reader.size()) return BatchCheck{};
  return Damaged(offset, absl::StrCat("zeros where a batch should start, but data at ", used));
}

bool StartsWithZeros(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

// Checks the leading record on its own.
absl::StatusOr<BatchCheck> CheckLead(SegmentReader& reader, const Position& at) {
  GAVEL_ASSIGN_OR_RETURN(const std::string_view lead, reader.Fetch(at.offset, kBatchRecordBytes));
  const RecordHeader header = DecodeHeader(lead.data());
  if (header.length != kBatchBodyBytes || header.type != static_cast<uint8_t>(RecordType::kBatch)) {
    return Damaged(at.offset, "no batch starts here");
  }
  if (const char* what = RecordDamage(lead, at.segment, at.sequence)) {
    return Damaged(at.offset, what);
  }
  BatchCheck check;
  check.kind = BatchCheck::Kind::kWhole;
  check.body = *DecodeBatchBody(lead.substr(kRecordHeaderBytes));
  check.after.chain = header.checksum;  // Completed by the caller.
  if (check.body.chain_before != at.chain) {
    return Damaged(at.offset, "a batch that does not continue the one before");
  }
  if (check.body.bytes < kBatchRecordBytes || check.body.bytes > reader.size() - at.offset) {
    return Damaged(at.offset, "a batch that does not fit the file");
  }
  return check;
}

}  // namespace

absl::StatusOr<std::string_view> SegmentReader::Fetch(uint64_t offset, uint64_t count) {
  GAVEL_CHECK(offset <= size_ && count <= size_ - offset) << offset << " " << count;
  if (offset < window_offset_ || offset + count > window_offset_ + window_.size()) {
    window_.resize(std::min(std::max(count, kWindowBytes), size_ - offset));
    window_offset_ = offset;
    GAVEL_ASSIGN_OR_RETURN(const size_t read, file_.ReadAt(offset, window_));
    if (read != window_.size()) {
      window_.clear();
      return absl::InternalError(
          absl::StrCat("read ", read, " bytes at ", offset, " of a file of ", size_, " bytes"));
    }
  }
  return std::string_view(window_).substr(offset - window_offset_, count);
}

absl::StatusOr<std::optional<Record>> SegmentReader::ReadRecord(uint64_t offset, uint64_t end) {
  end = std::min(end, size_);
  if (offset > end || end - offset < kRecordHeaderBytes) return std::nullopt;
  GAVEL_ASSIGN_OR_RETURN(const std::string_view head, Fetch(offset, kRecordHeaderBytes));
  Record record;
  record.header = DecodeHeader(head.data());
  const uint64_t bytes = RecordBytes(record.header.length);
  if (bytes > end - offset) return std::nullopt;
  GAVEL_ASSIGN_OR_RETURN(record.bytes, Fetch(offset, bytes));
  record.body = record.bytes.substr(kRecordHeaderBytes, record.header.length);
  return record;
}

absl::StatusOr<uint64_t> SegmentReader::FindNonZero(uint64_t from, uint64_t end) {
  while (from < end) {
    // Use up what is in the window before reading on: FindLaterMark asks in small steps.
    const bool inside = from >= window_offset_ && from < window_offset_ + window_.size();
    const uint64_t step = inside ? window_offset_ + window_.size() - from : kWindowBytes;
    const uint64_t count = std::min(step, end - from);
    GAVEL_ASSIGN_OR_RETURN(const std::string_view bytes, Fetch(from, count));
    // Comparing the range with itself shifted by one byte is the fastest portable zero test.
    if (bytes[0] != '\0' || std::memcmp(bytes.data(), bytes.data() + 1, count - 1) != 0) {
      const auto used = std::find_if(bytes.begin(), bytes.end(), [](char c) { return c != '\0'; });
      return from + static_cast<uint64_t>(used - bytes.begin());
    }
    from += count;
  }
  return end;
}

absl::StatusOr<BatchCheck> CheckBatch(SegmentReader& reader, const Position& at) {
  const uint64_t left = reader.size() - std::min(at.offset, reader.size());
  GAVEL_ASSIGN_OR_RETURN(const std::string_view head,
                         reader.Fetch(std::min(at.offset, reader.size()),
                                      std::min<uint64_t>(left, kRecordHeaderBytes)));
  if (StartsWithZeros(head)) return CheckZeros(reader, at.offset);
  if (left < kBatchRecordBytes) return Damaged(at.offset, "the file ends inside a batch");
  GAVEL_ASSIGN_OR_RETURN(BatchCheck check, CheckLead(reader, at));
  if (check.kind != BatchCheck::Kind::kWhole) return check;

  const uint64_t end = at.offset + check.body.bytes;
  uint64_t offset = at.offset + kBatchRecordBytes;
  uint64_t sequence = at.sequence + 1;
  uint32_t chain = at.chain;
  for (uint32_t i = 0; i < check.body.records; ++i, ++sequence) {
    GAVEL_ASSIGN_OR_RETURN(const std::optional<Record> record, reader.ReadRecord(offset, end));
    if (!record) return Damaged(offset, "a record that does not fit its batch");
    if (const char* what = RecordDamage(record->bytes, at.segment, sequence)) {
      return Damaged(offset, what);
    }
    chain = Chain(chain, record->header.checksum);
    offset += record->bytes.size();
  }
  if (offset != end || chain != check.body.records_chain) {
    return Damaged(at.offset, "the records are not those of the batch");
  }
  check.after = {at.segment, end, sequence, Chain(chain, check.after.chain), {}};
  return check;
}

absl::StatusOr<std::optional<Position>> FindLaterMark(SegmentReader& reader, const Position& at) {
  if (reader.size() < kBatchRecordBytes) return std::nullopt;
  const uint64_t end = reader.size() - kBatchRecordBytes;
  // Records start at multiples of eight.
  uint64_t offset = (at.offset & ~uint64_t{7}) + 8;
  while (offset <= end) {
    GAVEL_ASSIGN_OR_RETURN(const uint64_t used, reader.FindNonZero(offset, reader.size()));
    // A record that starts with a zero byte, even with eight, is still found from here.
    offset = std::max(offset, (used & ~uint64_t{7}));
    if (offset > end) break;
    GAVEL_ASSIGN_OR_RETURN(const std::string_view lead, reader.Fetch(offset, kBatchRecordBytes));
    const RecordHeader header = DecodeHeader(lead.data());
    if (header.length == kBatchBodyBytes &&
        header.type == static_cast<uint8_t>(RecordType::kBatch) && header.sequence > at.sequence &&
        RecordDamage(lead, at.segment, header.sequence) == nullptr) {
      return DecodeBatchBody(lead.substr(kRecordHeaderBytes))->mark;
    }
    offset += 8;
  }
  return std::nullopt;
}

}  // namespace gavel::storage::wal
