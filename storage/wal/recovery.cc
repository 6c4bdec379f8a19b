#include "storage/wal/recovery.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

#include "storage/disk/advice.h"
#include "storage/disk/path.h"
#include "storage/status_macros.h"
#include "storage/wal/replay.h"
#include "storage/wal/segment_reader.h"

namespace gavel::storage::wal {
namespace {

constexpr uint64_t kZeroStepBytes = 256 << 10;

std::string Advice() {
  return absl::StrCat(
      "These bytes had been made durable, so the log is left as it is. Restore this directory from "
      "a copy, or ",
      kReplaceMember);
}

absl::Status Lost(const std::string& path, uint64_t offset, const std::string& what,
                  raft::Index last_whole) {
  return absl::DataLossError(absl::StrCat(path, ": damaged at offset ", offset, ", at entry ",
                                          last_whole.value() + 1, ": ", what, ". ", Advice()));
}

// One segment while it is being read.
struct Segment {
  uint64_t id = 0;
  std::string path;
  uint64_t bytes = 0;
  SegmentStartBody start;
  uint64_t start_sequence = 0;
  Position first;  // Where its batches start.
};

class Recovery {
 public:
  Recovery(Disk& disk, const WalOptions& options, HighWater high_water, raft::Index keep_from)
      : disk_(disk),
        directory_(options.directory),
        high_water_(std::move(high_water)),
        replay_(keep_from) {}

  absl::StatusOr<Recovered> Run(const std::vector<uint64_t>& ids);

 private:
  absl::Status ReadStart(uint64_t id);
  absl::Status CheckContinues(const Segment& segment) const;
  absl::Status ReadSegment(size_t i);
  absl::Status ApplyBatch(SegmentReader& reader, const Segment& segment, const BatchCheck& batch);
  // `offset` is of the batch, or the start, that may have brought the last entry.
  absl::Status CheckLastTerm(const Segment& segment, uint64_t offset) const;
  // Moves position_ to `to` and compares it with the high-water mark.
  absl::Status Advance(const Segment& segment, const Position& to);
  absl::Status HandleEnd(SegmentReader& reader, const Segment& segment, const BatchCheck& check);
  absl::Status Cut(SegmentReader& reader);
  // Makes the last batch, which no mark confirms yet, durable.
  absl::Status Confirm(const Segment& segment);

  Disk& disk_;
  const std::string directory_;
  HighWater high_water_;
  Replay replay_;
  std::vector<Segment> segments_;
  std::unique_ptr<File> file_;  // The segment that is being read: a long log has many.
  Position position_;           // After the last whole batch.
  uint64_t last_batch_ = 0;     // Offset of the last whole batch in the last segment; 0 if none.
  std::optional<Damage> torn_;  // An unconfirmed batch to cut.
};

absl::Status Recovery::ReadStart(uint64_t id) {
  Segment segment;
  segment.id = id;
  segment.path = JoinPath(directory_, SegmentName(id));
  GAVEL_ASSIGN_OR_RETURN(file_, disk_.Open(segment.path, OpenMode::kReadOnly));
  GAVEL_ASSIGN_OR_RETURN(segment.bytes, file_->Size());
  const auto lost = [&](uint64_t offset, const std::string& what) {
    return absl::DataLossError(absl::StrCat(segment.path, ": damaged at offset ", offset,
                                            ", in the segment's start: ", what, ". ", Advice()));
  };
  if (segment.bytes < kPreambleBytes) return lost(0, "the file is too short");
  SegmentReader reader(*file_, segment.bytes);
  GAVEL_ASSIGN_OR_RETURN(const std::string_view preamble, reader.Fetch(0, kPreambleBytes));
  const absl::Status version = CheckPreamble(preamble);
  if (absl::IsDataLoss(version)) return lost(0, std::string(version.message()));
  if (!version.ok()) {
    return absl::Status(version.code(), absl::StrCat(segment.path, ": ", version.message()));
  }
  GAVEL_ASSIGN_OR_RETURN(const auto record, reader.ReadRecord(kPreambleBytes, segment.bytes));
  if (!record) return lost(kPreambleBytes, "a record that does not fit the file");
  if (const char* what = RecordDamage(record->bytes, id, record->header.sequence)) {
    return lost(kPreambleBytes, what);
  }
  std::optional<SegmentStartBody> start;
  if (record->header.type == static_cast<uint8_t>(RecordType::kSegmentStart)) {
    start = DecodeSegmentStartBody(record->body);
  }
  if (!start) return lost(kPreambleBytes, "it cannot be understood");
  segment.start = *std::move(start);
  segment.start_sequence = record->header.sequence;
  segment.first = {.segment = id,
                   .offset = kPreambleBytes + record->bytes.size(),
                   .sequence = record->header.sequence + 1,
                   .chain = Chain(segment.start.chain_before, record->header.checksum),
                   .last_index = segment.start.last.index};
  segments_.push_back(std::move(segment));
  return absl::OkStatus();
}

absl::Status Recovery::CheckContinues(const Segment& segment) const {
  const absl::Status status = replay_.Continue(segment.start);
  if (!status.ok()) {
    return Lost(segment.path, kPreambleBytes, std::string(status.message()), replay_.last().index);
  }
  if (segment.start.previous_end != position_.offset ||
      segment.start_sequence != position_.sequence ||
      segment.start.chain_before != position_.chain) {
    return Lost(segment.path, kPreambleBytes,
                "the segment does not continue the records of the one before",
                replay_.last().index);
  }
  return absl::OkStatus();
}

absl::Status Recovery::Advance(const Segment& segment, const Position& to) {
  const Position& mark = high_water_.position();
  // A mark in a segment older than the first has been passed long ago.
  const bool first = position_.segment == 0;
  const bool reached =
      !to.Before(mark) && (first ? mark.segment == to.segment : position_.Before(mark));
  if (reached && to != mark) {
    return Lost(segment.path, to.offset,
                absl::StrCat("these are not the records that the high-water mark (offset ",
                             mark.offset, ", entry ", mark.last_index.value(), ") was set for"),
                replay_.last().index);
  }
  position_ = to;
  return absl::OkStatus();
}

absl::Status Recovery::ApplyBatch(SegmentReader& reader, const Segment& segment,
                                  const BatchCheck& batch) {
  uint64_t offset = position_.offset + kBatchRecordBytes;
  while (offset < batch.after.offset) {
    GAVEL_ASSIGN_OR_RETURN(const auto record, reader.ReadRecord(offset, batch.after.offset));
    if (!record) return absl::InternalError(absl::StrCat(segment.path, ": changed while read"));
    const absl::Status status = replay_.Apply(*record, segment.id, offset);
    if (!status.ok()) {
      return Lost(segment.path, offset, std::string(status.message()), replay_.last().index);
    }
    offset += record->bytes.size();
  }
  return CheckLastTerm(segment, position_.offset);
}

absl::Status Recovery::CheckLastTerm(const Segment& segment, uint64_t offset) const {
  const absl::Status status = replay_.CheckLastTerm();
  if (status.ok()) return status;
  return Lost(segment.path, offset, std::string(status.message()), replay_.last().index.Previous());
}

absl::Status Recovery::ReadSegment(size_t i) {
  const Segment& segment = segments_[i];
  const bool last = i + 1 == segments_.size();
  GAVEL_ASSIGN_OR_RETURN(
      file_, disk_.Open(segment.path, last ? OpenMode::kReadWrite : OpenMode::kReadOnly));
  if (i > 0) GAVEL_RETURN_IF_ERROR(CheckContinues(segment));
  last_batch_ = 0;
  GAVEL_RETURN_IF_ERROR(Advance(segment, segment.first));
  SegmentReader reader(*file_, segment.bytes);
  const uint64_t end = last ? segment.bytes : segments_[i + 1].start.previous_end;
  while (last || position_.offset < end) {
    GAVEL_ASSIGN_OR_RETURN(const BatchCheck check, CheckBatch(reader, position_));
    if (check.kind != BatchCheck::Kind::kWhole) return HandleEnd(reader, segment, check);
    GAVEL_RETURN_IF_ERROR(ApplyBatch(reader, segment, check));
    last_batch_ = position_.offset;
    Position after = check.after;
    after.last_index = replay_.last().index;
    GAVEL_RETURN_IF_ERROR(Advance(segment, after));
  }
  return absl::OkStatus();
}

absl::Status Recovery::HandleEnd(SegmentReader& reader, const Segment& segment,
                                 const BatchCheck& check) {
  const bool damaged = check.kind == BatchCheck::Kind::kDamaged;
  const uint64_t offset = damaged ? check.damage.offset : position_.offset;
  const std::string what = damaged ? check.damage.what : "only zeros from here on";
  const raft::Index last = replay_.last().index;
  if (&segment != &segments_.back()) {
    return Lost(segment.path, offset, absl::StrCat(what, ", but a later segment follows"), last);
  }
  const Position& mark = high_water_.position();
  if (position_.Before(mark)) {
    return Lost(segment.path, offset,
                absl::StrCat(what, ", below the high-water mark at offset ", mark.offset,
                             ", entry ", mark.last_index.value()),
                last);
  }
  if (!damaged) return absl::OkStatus();
  GAVEL_ASSIGN_OR_RETURN(const auto later, FindLaterMark(reader, position_));
  if (later) {
    return Lost(segment.path, offset,
                absl::StrCat(what, ", below a later batch whose high-water mark is at offset ",
                             later->offset, ", entry ", later->last_index.value()),
                last);
  }
  torn_ = check.damage;
  return absl::OkStatus();
}

absl::Status Recovery::Cut(SegmentReader& reader) {
  // Zeros, not a shorter file: the segment stays prepared, and nothing of the torn batch can
  // ever stand behind a later one.
  const std::string zeros(kZeroStepBytes, '\0');
  uint64_t offset = position_.offset;
  for (;;) {
    GAVEL_ASSIGN_OR_RETURN(offset, reader.FindNonZero(offset, reader.size()));
    if (offset == reader.size()) return absl::OkStatus();
    const uint64_t count = std::min(kZeroStepBytes, reader.size() - offset);
    GAVEL_RETURN_IF_ERROR(file_->WriteAt(offset, std::string_view(zeros).substr(0, count)));
    offset += count;
  }
}

absl::Status Recovery::Confirm(const Segment& segment) {
  SegmentReader reader(*file_, segment.bytes);
  if (torn_) GAVEL_RETURN_IF_ERROR(Cut(reader));
  // After a failed sync the kernel may hold pages as clean that never reached the disk. Writing
  // the last batch once more makes the sync below really carry it.
  uint64_t offset = last_batch_;
  while (offset != 0 && offset < position_.offset) {
    const uint64_t count = std::min(kZeroStepBytes, position_.offset - offset);
    GAVEL_ASSIGN_OR_RETURN(const std::string_view bytes, reader.Fetch(offset, count));
    GAVEL_RETURN_IF_ERROR(file_->WriteAt(offset, bytes));
    offset += count;
  }
  GAVEL_RETURN_IF_ERROR(file_->SyncData());
  GAVEL_RETURN_IF_ERROR(disk_.SyncDirectory(directory_));
  return high_water_.Write(position_);
}

absl::StatusOr<Recovered> Recovery::Run(const std::vector<uint64_t>& ids) {
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] != ids.front() + i) {
      return absl::DataLossError(absl::StrCat(JoinPath(directory_, SegmentName(ids.front() + i)),
                                              ": missing. ", Advice()));
    }
    GAVEL_RETURN_IF_ERROR(ReadStart(ids[i]));
  }
  if (high_water_.position().segment > ids.back()) {
    return absl::DataLossError(absl::StrCat(JoinPath(directory_, SegmentName(ids.back() + 1)),
                                            ": missing, but the high-water mark is in segment ",
                                            high_water_.position().segment, ". ", Advice()));
  }
  const absl::Status begun = replay_.Begin(segments_.front().start);
  if (!begun.ok()) {
    return Lost(segments_.front().path, kPreambleBytes, std::string(begun.message()),
                segments_.front().start.last.index);
  }
  for (size_t i = 0; i < segments_.size(); ++i) GAVEL_RETURN_IF_ERROR(ReadSegment(i));
  const Segment& last = segments_.back();
  GAVEL_RETURN_IF_ERROR(CheckLastTerm(segments_.front(), kPreambleBytes));
  WalContents contents;
  const absl::Status status = replay_.Finish(contents);
  if (!status.ok()) {
    return Lost(segments_.front().path, 0, std::string(status.message()), replay_.mark().index);
  }
  GAVEL_RETURN_IF_ERROR(Confirm(last));
  if (torn_) {
    contents.torn_tail =
        TornTail{.file = last.path,
                 .offset = position_.offset,
                 .last_index = replay_.last().index,
                 .reason = absl::StrCat("at offset ", torn_->offset, ": ", torn_->what)};
  }
  std::vector<SegmentInfo> infos;
  for (const Segment& segment : segments_) infos.push_back({segment.id, segment.bytes});
  return Recovered{.tail = {position_, replay_.last().term, replay_.hard_state(), replay_.mark()},
                   .segment_empty = last_batch_ == 0,
                   .file = std::move(file_),
                   .segments = std::move(infos),
                   .index = std::move(replay_.index()),
                   .high_water = std::move(high_water_),
                   .contents = std::move(contents)};
}

}  // namespace

absl::StatusOr<std::vector<uint64_t>> ListSegments(Disk& disk, const std::string& directory) {
  GAVEL_ASSIGN_OR_RETURN(const std::vector<std::string> names, disk.List(directory));
  std::vector<uint64_t> ids;
  for (const std::string& name : names) {
    if (const std::optional<uint64_t> id = ParseSegmentName(name)) ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

absl::Status RemoveTemporaries(Disk& disk, const std::string& directory) {
  GAVEL_ASSIGN_OR_RETURN(const std::vector<std::string> names, disk.List(directory));
  for (const std::string& name : names) {
    if (absl::EndsWith(name, ".tmp")) GAVEL_RETURN_IF_ERROR(disk.Remove(JoinPath(directory, name)));
  }
  return absl::OkStatus();
}

absl::StatusOr<Recovered> Recover(Disk& disk, const WalOptions& options, raft::Index keep_from) {
  const std::string& directory = options.directory;
  GAVEL_ASSIGN_OR_RETURN(const std::vector<uint64_t> ids, ListSegments(disk, directory));
  absl::StatusOr<HighWater> high_water = HighWater::Open(disk, directory);
  if (absl::IsNotFound(high_water.status()) && ids.empty()) {
    return absl::NotFoundError(absl::StrCat(directory, ": holds no write-ahead log"));
  }
  if (!high_water.ok()) {
    const bool lost =
        absl::IsNotFound(high_water.status()) || absl::IsDataLoss(high_water.status());
    return absl::Status(
        lost ? absl::StatusCode::kDataLoss : high_water.status().code(),
        absl::StrCat(high_water.status().message(), lost ? ". " : "", lost ? Advice() : ""));
  }
  if (ids.empty()) {
    if (high_water->covers_nothing()) {
      return absl::NotFoundError(absl::StrCat(directory, ": holds no write-ahead log"));
    }
    return absl::DataLossError(
        absl::StrCat(directory, ": all segments are missing, but the high-water mark is at entry ",
                     high_water->position().last_index.value(), ". ", Advice()));
  }
  GAVEL_ASSIGN_OR_RETURN(Recovered recovered,
                         Recovery(disk, options, *std::move(high_water), keep_from).Run(ids));
  GAVEL_RETURN_IF_ERROR(RemoveTemporaries(disk, directory));
  return recovered;
}

}  // namespace gavel::storage::wal
