#include "tests/sim/wal_watch.h"

#include <utility>

#include "storage/disk/path.h"
#include "storage/wal/format.h"

namespace gavel::sim {

namespace wal = storage::wal;

namespace {

uint64_t FirstSegment(const testing::CrashDisk& disk, const std::string& directory) {
  uint64_t first = 0;
  for (const std::string& name : disk.ListDurable(directory)) {
    const std::optional<uint64_t> segment = wal::ParseSegmentName(name);
    if (segment.has_value() && (first == 0 || *segment < first)) first = *segment;
  }
  return first;
}

}  // namespace

std::string WalWatch::Path(uint64_t segment) const {
  return storage::JoinPath(directory_, wal::SegmentName(segment));
}

void WalWatch::Reset(const testing::CrashDisk& disk, const std::string& directory) {
  directory_ = directory;
  segment_ = 0;
  older_.clear();
  offset_ = sequence_ = last_batch_offset_ = 0;
  hard_state_ = {};
  start_ = {};
  terms_.clear();
  Advance(disk);
}

void WalWatch::Advance(const testing::CrashDisk& disk) {
  if (segment_ == 0) {
    const uint64_t first = FirstSegment(disk, directory_);
    if (first == 0 || !EnterSegment(disk, first)) return;
  }
  do {
    while (ReadBatch(disk)) {
    }
  } while (EnterSegment(disk, segment_ + 1));
}

bool WalWatch::EnterSegment(const testing::CrashDisk& disk, uint64_t segment) {
  const std::string path = Path(segment);
  char head[wal::kRecordHeaderBytes];
  if (disk.ReadDurable(path, wal::kPreambleBytes, head) < sizeof(head)) return false;
  const wal::RecordHeader header = wal::DecodeHeader(head);
  if (header.type != static_cast<uint8_t>(wal::RecordType::kSegmentStart)) return false;
  const uint64_t bytes = wal::RecordBytes(header.length);
  buffer_.resize(bytes);
  if (disk.ReadDurable(path, wal::kPreambleBytes, buffer_) < bytes) return false;
  if (wal::RecordDamage(buffer_, segment, header.sequence) != nullptr) return false;
  const auto start = wal::DecodeSegmentStartBody(
      std::string_view(buffer_).substr(wal::kRecordHeaderBytes, header.length));
  if (!start.has_value()) return false;
  if (segment_ == 0) {
    hard_state_ = start->hard_state;
    start_ = start->last;
  } else if (start->previous_end != offset_ || header.sequence != sequence_ + 1) {
    return false;
  }
  if (segment_ != 0) older_.push_back({path_, offset_});
  segment_ = segment;
  path_ = path;
  offset_ = wal::kPreambleBytes + bytes;
  sequence_ = header.sequence;
  last_batch_offset_ = 0;
  return true;
}

bool WalWatch::ReadBatch(const testing::CrashDisk& disk) {
  const std::string& path = path_;
  char head[wal::kBatchRecordBytes];
  if (disk.ReadDurable(path, offset_, head) < sizeof(head)) return false;
  const wal::RecordHeader header = wal::DecodeHeader(head);
  if (header.type != static_cast<uint8_t>(wal::RecordType::kBatch)) return false;
  if (wal::RecordDamage({head, sizeof(head)}, segment_, sequence_ + 1) != nullptr) return false;
  const auto batch = wal::DecodeBatchBody({head + wal::kRecordHeaderBytes, wal::kBatchBodyBytes});
  if (!batch.has_value()) return false;
  buffer_.resize(batch->bytes);
  if (disk.ReadDurable(path, offset_, buffer_) < batch->bytes) return false;
  struct Part {
    uint8_t type;
    uint8_t detail;
    std::string_view body;
  };
  std::vector<Part> parts;
  uint64_t at = wal::kBatchRecordBytes;
  uint64_t sequence = sequence_ + 1;
  for (uint32_t i = 0; i < batch->records; ++i) {
    if (at + wal::kRecordHeaderBytes > buffer_.size()) return false;
    const wal::RecordHeader record = wal::DecodeHeader(buffer_.data() + at);
    const uint64_t bytes = wal::RecordBytes(record.length);
    if (at + bytes > buffer_.size()) return false;
    const std::string_view whole = std::string_view(buffer_).substr(at, bytes);
    if (wal::RecordDamage(whole, segment_, ++sequence) != nullptr) return false;
    parts.push_back(
        {record.type, record.detail, whole.substr(wal::kRecordHeaderBytes, record.length)});
    at += bytes;
  }
  for (const Part& part : parts) Take(part.type, part.detail, part.body);
  sequence_ = sequence;
  last_batch_offset_ = offset_;
  offset_ += batch->bytes;
  return true;
}

void WalWatch::Take(uint8_t type, uint8_t detail, std::string_view body) {
  switch (static_cast<wal::RecordType>(type)) {
    case wal::RecordType::kHardState:
      if (const auto state = wal::DecodeHardState(body)) hard_state_ = *state;
      break;
    case wal::RecordType::kEntry:
      if (const auto entry = wal::DecodeEntry(detail, body)) {
        if (on_entry_) on_entry_(last(), *entry);
        terms_.push_back(entry->term);
      }
      break;
    case wal::RecordType::kTruncate:
      if (const auto from = wal::DecodeTruncate(body)) {
        if (*from <= start_.index) {
          // The log was cut between the two; only earlier readings know the entry before.
          start_ = {from->Previous(), raft::Term()};
          terms_.clear();
        } else if (*from <= last().index) {
          terms_.resize(from->value() - first().value());
        }
      }
      break;
    case wal::RecordType::kMark:
      if (detail == wal::kMarkStartsAnew) {
        if (const auto mark = wal::DecodeMark(body)) {
          start_ = {mark->index, mark->term};
          terms_.clear();
          if (on_install_) on_install_(start_);
        }
      }
      break;
    default:
      break;
  }
}

std::vector<WalWatch::Covered> WalWatch::covered() const {
  std::vector<Covered> all = older_;
  if (last_batch_offset_ > 0) all.push_back({path_, last_batch_offset_});
  return all;
}

std::optional<WalWatch::UnderWay> WalWatch::VoteUnderWay(const testing::CrashDisk& disk) const {
  if (segment_ == 0) return std::nullopt;
  UnderWay under_way{path_, offset_, std::string(wal::kBatchRecordBytes, '\0')};
  std::string& bytes = under_way.bytes;
  if (disk.ReadVisible(path_, offset_, bytes) < bytes.size()) return std::nullopt;
  if (wal::RecordDamage(bytes, segment_, sequence_ + 1) != nullptr) return std::nullopt;
  const auto batch = wal::DecodeBatchBody(
      std::string_view(bytes).substr(wal::kRecordHeaderBytes, wal::kBatchBodyBytes));
  if (!batch.has_value()) return std::nullopt;
  bytes.resize(batch->bytes);
  if (disk.ReadVisible(path_, offset_, bytes) < bytes.size()) return std::nullopt;
  uint64_t at = wal::kBatchRecordBytes;
  for (uint32_t i = 0; i < batch->records && at + wal::kRecordHeaderBytes <= bytes.size(); ++i) {
    const wal::RecordHeader record = wal::DecodeHeader(bytes.data() + at);
    if (record.type == static_cast<uint8_t>(wal::RecordType::kHardState)) {
      const auto state = wal::DecodeHardState(
          std::string_view(bytes).substr(at + wal::kRecordHeaderBytes, wal::kHardStateBodyBytes));
      if (!state.has_value() || !state->voted_for.has_value()) return std::nullopt;
      const bool new_vote =
          state->term != hard_state_.term || state->voted_for != hard_state_.voted_for;
      if (new_vote) return under_way;
      return std::nullopt;
    }
    at += wal::RecordBytes(record.length);
  }
  return std::nullopt;
}

bool WalWatch::UnderWay::IsTorn(const testing::CrashDisk& disk) const {
  std::string left(bytes.size(), '\0');
  disk.ReadDurable(path, offset, left);
  return left != bytes && left.find_first_not_of('\0') != std::string::npos;
}

raft::EntryId WalWatch::last() const {
  if (terms_.empty()) return start_;
  return {raft::Index(start_.index.value() + terms_.size()), terms_.back()};
}

std::optional<raft::Term> WalWatch::TermAt(raft::Index index) const {
  if (index == start_.index) return start_.term;
  if (index < start_.index || index > last().index) return std::nullopt;
  return terms_[index.value() - start_.index.value() - 1];
}

}  // namespace gavel::sim
