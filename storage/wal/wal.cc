#include "storage/wal/wal.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "absl/strings/str_cat.h"

#include "raft/check.h"
#include "raft/sim_point.h"
#include "storage/disk/path.h"
#include "storage/mutex.h"
#include "storage/status_macros.h"
#include "storage/wal/batch_writer.h"
#include "storage/wal/entry_reader.h"
#include "storage/wal/recovery.h"
#include "storage/wal/segment_preparer.h"

namespace gavel::storage {

using wal::BatchWriter;
using wal::EntryRange;
using wal::HighWater;
using wal::LogIndex;
using wal::Position;
using wal::PreparedFile;
using wal::Run;
using wal::SegmentInfo;
using wal::SegmentPreparer;
using wal::SegmentStartBody;
using wal::Tail;

namespace {

constexpr size_t kRunsPerRead = 64;

// Writes `bytes` zeros to the start of `file`, so that the first segment is a prepared one too.
absl::Status FillWithZeros(File& file, const WalOptions& options) {
  const std::string zeros(std::min(options.zero_step_bytes, options.segment_bytes), '\0');
  for (uint64_t offset = 0; offset < options.segment_bytes; offset += zeros.size()) {
    const uint64_t count = std::min<uint64_t>(zeros.size(), options.segment_bytes - offset);
    GAVEL_RETURN_IF_ERROR(file.WriteAt(offset, std::string_view(zeros).substr(0, count)));
  }
  return absl::OkStatus();
}

// Turns `prepared` into segment `id` that continues `tail`, and moves tail.position to where its
// batches start. Only a segment whose start is durable gets its name.
absl::StatusOr<std::unique_ptr<File>> StartSegment(Disk& disk, const std::string& directory,
                                                   PreparedFile prepared, Tail& tail) {
  SegmentStartBody start{.previous_end = tail.position.offset,
                         .chain_before = tail.position.chain,
                         .last = {tail.position.last_index, tail.last_term},
                         .hard_state = tail.hard_state,
                         .mark = tail.mark};
  Position at = tail.position;
  ++at.segment;
  std::string record;
  wal::AppendRecord(record, wal::RecordType::kSegmentStart, 0, wal::EncodeSegmentStartBody(start));
  const uint32_t checksum = wal::SealRecord(record.data(), record.size(), at.segment, at.sequence);
  at.offset = wal::kPreambleBytes + record.size();
  at.chain = wal::Chain(at.chain, checksum);
  ++at.sequence;
  GAVEL_RETURN_IF_ERROR(prepared.file->WriteAt(0, wal::EncodePreamble() + record));
  if (!GAVEL_PLANTED_BUG(22)) GAVEL_RETURN_IF_ERROR(prepared.file->SyncData());
  GAVEL_SIM_POINT("segment start synced, not named");
  GAVEL_RETURN_IF_ERROR(
      disk.Rename(prepared.path, JoinPath(directory, wal::SegmentName(at.segment))));
  if (!GAVEL_PLANTED_BUG(17)) GAVEL_RETURN_IF_ERROR(disk.SyncDirectory(directory));
  tail.position = at;
  return std::move(prepared.file);
}

}  // namespace

class Wal::Impl {
 public:
  Impl(Disk& disk, const WalOptions& options, wal::Recovered recovered);

  absl::Status Append(const WalBatch& batch);
  absl::Status Sync() { return Guarded(&Impl::DoSync); }
  absl::Status WriteMark() { return Guarded(&Impl::DoWriteMark); }
  absl::Status CutTo(const raft::SnapshotMeta& meta);
  absl::StatusOr<std::vector<raft::Entry>> Read(raft::Index from, size_t bytes_max) const;
  absl::StatusOr<bool> PrepareSegment();
  WalStats stats() const;

 private:
  // Returns the error that broke the log, or OK.
  absl::Status broken() const;
  // Keeps the first error for ever, and returns it.
  absl::Status Latch(const absl::Status& status);
  // Does `step` unless the log is broken; its error breaks the log.
  absl::Status Guarded(absl::Status (Impl::*step)());

  absl::Status DoSync();
  absl::Status DoWriteMark();
  absl::Status RemoveSegmentsBelow(raft::Index index);
  // Stops the process if `batch` is not what may follow the log as appended.
  void CheckFollows(const WalBatch& batch) const;
  absl::Status Roll();
  absl::StatusOr<PreparedFile> NextFile();
  // Makes the batch that is durable from `offset` on visible to Read and to the next roll.
  void Publish(uint64_t offset);

  Disk& disk_;
  const WalOptions options_;
  SegmentPreparer preparer_;

  // The log thread's own. tail_ is the log as of the newest sync, next_ as appended; next_'s
  // position is only good for last_index.
  Tail tail_;
  Tail next_;
  bool mark_changed_ = false;  // next_.mark is not tail_.mark.
  std::unique_ptr<File> file_;
  bool segment_empty_;
  HighWater high_water_;
  BatchWriter writer_;

  mutable Mutex mutex_;  // Never held during I/O.
  absl::Status broken_ ABSL_GUARDED_BY(mutex_);
  LogIndex index_ ABSL_GUARDED_BY(mutex_);
  std::deque<SegmentInfo> segments_ ABSL_GUARDED_BY(mutex_);
  uint64_t end_offset_ ABSL_GUARDED_BY(mutex_);  // Where the next batch goes.
  WalStats stats_ ABSL_GUARDED_BY(mutex_);       // The counters only; stats() fills in the rest.
};

Wal::Impl::Impl(Disk& disk, const WalOptions& options, wal::Recovered recovered)
    : disk_(disk),
      options_(options),
      preparer_(disk, options),
      tail_(std::move(recovered.tail)),
      next_(tail_),
      file_(std::move(recovered.file)),
      segment_empty_(recovered.segment_empty),
      high_water_(std::move(recovered.high_water)),
      index_(std::move(recovered.index)),
      segments_(recovered.segments.begin(), recovered.segments.end()),
      end_offset_(tail_.position.offset) {
  GAVEL_CHECK(options.payload_bytes_max <= wal::kPayloadBytesMax);
}

absl::Status Wal::Impl::broken() const {
  const MutexLock lock(mutex_);
  return broken_;
}

absl::Status Wal::Impl::Latch(const absl::Status& status) {
  const MutexLock lock(mutex_);
  if (broken_.ok() && !status.ok()) {
    broken_ = absl::Status(status.code(),
                           absl::StrCat("the write-ahead log cannot go on: ", status.message()));
  }
  return broken_;
}

absl::Status Wal::Impl::Guarded(absl::Status (Impl::*step)()) {
  GAVEL_RETURN_IF_ERROR(broken());
  return Latch((this->*step)());
}

void Wal::Impl::CheckFollows(const WalBatch& batch) const {
  raft::EntryId last{next_.position.last_index, next_.last_term};
  raft::Index mark = next_.mark.index;
  if (batch.mark) {
    GAVEL_CHECK(batch.mark->index >= mark) << batch.mark->index.value() << " " << mark.value();
    mark = batch.mark->index;
    last = {mark, batch.mark->term};
  }
  if (batch.hard_state) GAVEL_CHECK(batch.hard_state->term >= next_.hard_state.term);
  if (batch.entries.empty()) return;
  const raft::Index first = batch.entries.front().index;
  GAVEL_CHECK(first > mark && first <= last.index.Next())
      << first.value() << " into " << mark.value() << ".." << last.index.value();
  raft::EntryId before{first.Previous(), first > last.index ? last.term : raft::Term()};
  for (const raft::Entry& entry : batch.entries) {
    GAVEL_CHECK(entry.index == before.index.Next() && entry.term >= before.term &&
                !entry.term.is_none())
        << entry.index.value() << " after " << before.index.value();
    GAVEL_CHECK((entry.payload == nullptr) == (entry.kind == raft::EntryKind::kEmpty));
    before = {entry.index, entry.term};
  }
}

absl::Status Wal::Impl::Append(const WalBatch& batch) {
  GAVEL_RETURN_IF_ERROR(broken());
  CheckFollows(batch);
  for (const raft::Entry& entry : batch.entries) {
    if (entry.payload_bytes() <= options_.payload_bytes_max) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("entry ", entry.index.value(), " has ", entry.payload_bytes(),
                     " bytes; the write-ahead log takes at most ", options_.payload_bytes_max));
  }
  if (batch.mark) {
    writer_.AddMark(*batch.mark, /*starts_anew=*/true);
    next_.mark = *batch.mark;
    next_.position.last_index = batch.mark->index;
    next_.last_term = batch.mark->term;
    mark_changed_ = true;
  }
  if (batch.hard_state && *batch.hard_state != next_.hard_state) {
    writer_.AddHardState(*batch.hard_state);
    next_.hard_state = *batch.hard_state;
  }
  if (batch.entries.empty()) return absl::OkStatus();
  // The truncation is durable no later than what replaces the old suffix, so that recovery never
  // finds two entries with one index and has to guess.
  const raft::Index first = batch.entries.front().index;
  if (first <= next_.position.last_index && !GAVEL_PLANTED_BUG(21)) writer_.AddTruncate(first);
  for (const raft::Entry& entry : batch.entries) writer_.AddEntry(entry);
  next_.position.last_index = batch.entries.back().index;
  next_.last_term = batch.entries.back().term;
  return absl::OkStatus();
}

absl::Status Wal::Impl::DoSync() {
  if (writer_.empty()) return absl::OkStatus();
  // A batch lies in one segment. One that is larger than a segment gets a segment of its own,
  // which grows as needed.
  if (!segment_empty_ && tail_.position.offset + writer_.bytes() > options_.segment_bytes) {
    GAVEL_RETURN_IF_ERROR(Roll());
  }
  const uint64_t offset = tail_.position.offset;
  Position after = tail_.position;
  const std::string_view bytes = writer_.Finish(after, tail_.position);
  GAVEL_RETURN_IF_ERROR(file_->WriteAt(offset, bytes));
  GAVEL_SIM_POINT("log written, not synced");
  if (absl::Status status = file_->SyncData(); !status.ok() && !GAVEL_PLANTED_BUG(19)) {
    return status;
  }
  GAVEL_SIM_POINT("log synced");
  after.last_index = next_.position.last_index;
  tail_.position = after;
  tail_.last_term = next_.last_term;
  tail_.hard_state = next_.hard_state;
  if (mark_changed_) tail_.mark = next_.mark;
  mark_changed_ = false;
  segment_empty_ = false;
  Publish(offset);
  writer_.Clear();
  return absl::OkStatus();
}

void Wal::Impl::Publish(uint64_t offset) {
  const MutexLock lock(mutex_);
  for (const wal::IndexChange& change : writer_.changes()) {
    switch (change.type) {
      case wal::RecordType::kMark:
        index_.Reset(change.index);
        break;
      case wal::RecordType::kTruncate:
        index_.Truncate(change.index);
        break;
      default:
        index_.Add(change.index, tail_.position.segment, offset + change.offset);
    }
  }
  SegmentInfo& segment = segments_.back();
  segment.file_bytes = std::max(segment.file_bytes, tail_.position.offset);
  end_offset_ = tail_.position.offset;
  stats_.bytes_written += writer_.bytes();
  ++stats_.batches;
  ++stats_.syncs;
}

absl::StatusOr<PreparedFile> Wal::Impl::NextFile() {
  if (std::optional<PreparedFile> prepared = preparer_.Take()) return *std::move(prepared);
  const std::string path = JoinPath(options_.directory, "fresh.tmp");
  GAVEL_ASSIGN_OR_RETURN(auto file, disk_.Open(path, OpenMode::kCreate));
  const MutexLock lock(mutex_);
  ++stats_.unprepared_rolls;
  return PreparedFile{std::move(file), path, 0};
}

absl::Status Wal::Impl::Roll() {
  GAVEL_ASSIGN_OR_RETURN(PreparedFile next, NextFile());
  SegmentInfo segment{.id = tail_.position.segment + 1, .file_bytes = next.bytes};
  GAVEL_ASSIGN_OR_RETURN(file_, StartSegment(disk_, options_.directory, std::move(next), tail_));
  GAVEL_SIM_POINT("segment rolled, mark not written");
  segment_empty_ = true;
  segment.file_bytes = std::max(segment.file_bytes, tail_.position.offset);
  {
    const MutexLock lock(mutex_);
    segments_.push_back(segment);
    end_offset_ = tail_.position.offset;
    ++stats_.syncs;
  }
  return DoWriteMark();
}

absl::Status Wal::Impl::DoWriteMark() {
  if (high_water_.position() == tail_.position) return absl::OkStatus();
  GAVEL_RETURN_IF_ERROR(high_water_.Write(tail_.position));
  GAVEL_SIM_POINT("mark of the log written");
  const MutexLock lock(mutex_);
  ++stats_.syncs;
  return absl::OkStatus();
}

absl::Status Wal::Impl::CutTo(const raft::SnapshotMeta& meta) {
  GAVEL_RETURN_IF_ERROR(broken());
  GAVEL_CHECK(meta.index <= next_.position.last_index) << meta.index.value();
  if (meta.index > next_.mark.index) {
    writer_.AddMark(meta, /*starts_anew=*/false);
    next_.mark = meta;
    mark_changed_ = true;
  }
  GAVEL_RETURN_IF_ERROR(Sync());
  GAVEL_SIM_POINT("log cut, segments still there");
  return Latch(RemoveSegmentsBelow(meta.index));
}

absl::Status Wal::Impl::RemoveSegmentsBelow(raft::Index index) {
  std::vector<uint64_t> removed;
  {
    const MutexLock lock(mutex_);
    const uint64_t keep = index_.SegmentOf(index).value_or(segments_.back().id);
    for (; segments_.front().id < keep; segments_.pop_front()) {
      removed.push_back(segments_.front().id);
    }
    // Before the files go, so that a read never starts on one that is about to.
    index_.DropSegmentsBelow(keep);
  }
  // One after the other, oldest first: a crash in between leaves no gap, so recovery can take
  // every gap for a loss.
  for (const uint64_t id : removed) {
    GAVEL_RETURN_IF_ERROR(disk_.Remove(JoinPath(options_.directory, wal::SegmentName(id))));
    GAVEL_SIM_POINT("old segment removed, not for certain");
    GAVEL_RETURN_IF_ERROR(disk_.SyncDirectory(options_.directory));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<raft::Entry>> Wal::Impl::Read(raft::Index from, size_t bytes_max) const {
  // Two rounds at most: a segment that vanishes was cut away, and then so is `from`.
  for (;;) {
    std::vector<Run> runs;
    EntryRange range{.from = from, .end = {}, .bytes_max = bytes_max};
    {
      const MutexLock lock(mutex_);
      if (from < index_.first_index() || from > index_.last_index()) {
        return absl::OutOfRangeError(
            absl::StrCat("entry ", from.value(), " is not stored; the log has ",
                         index_.first_index().value(), " to ", index_.last_index().value()));
      }
      runs = index_.RunsFrom(from, kRunsPerRead + 1);
      range.end = index_.last_index().Next();
    }
    if (runs.size() > kRunsPerRead) {
      range.end = runs.back().first;
      runs.pop_back();
    }
    auto entries = wal::ReadEntries(disk_, options_.directory, runs, range);
    if (!absl::IsNotFound(entries.status())) return entries;
    const MutexLock lock(mutex_);
    if (from >= index_.first_index() && runs.front().segment >= segments_.front().id) {
      return entries;
    }
  }
}

absl::StatusOr<bool> Wal::Impl::PrepareSegment() {
  GAVEL_RETURN_IF_ERROR(broken());
  absl::StatusOr<bool> more = preparer_.Step();
  if (!more.ok() && !absl::IsResourceExhausted(more.status())) return Latch(more.status());
  return more;
}

WalStats Wal::Impl::stats() const {
  const uint64_t prepared = preparer_.ready_bytes();
  const MutexLock lock(mutex_);
  WalStats stats = stats_;
  stats.segments = segments_.size();
  stats.disk_bytes = prepared;
  for (const SegmentInfo& segment : segments_) stats.disk_bytes += segment.file_bytes;
  stats.reserved_bytes = prepared + segments_.back().file_bytes - end_offset_;
  stats.first_index = index_.first_index();
  stats.last_index = index_.last_index();
  return stats;
}

Wal::Wal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Wal::~Wal() = default;

absl::StatusOr<std::unique_ptr<Wal>> Wal::Create(Disk& disk, WalOptions options,
                                                 const raft::SnapshotMeta& start) {
  const std::string& directory = options.directory;
  GAVEL_RETURN_IF_ERROR(disk.CreateDirectories(directory));
  GAVEL_ASSIGN_OR_RETURN(const std::vector<uint64_t> ids, wal::ListSegments(disk, directory));
  if (!ids.empty()) {
    return absl::AlreadyExistsError(absl::StrCat(directory, ": holds a write-ahead log"));
  }
  GAVEL_RETURN_IF_ERROR(wal::RemoveTemporaries(disk, directory));
  GAVEL_ASSIGN_OR_RETURN(HighWater high_water, HighWater::Create(disk, directory));
  Tail tail;
  tail.position = {.segment = 0, .offset = 0, .sequence = 1, .chain = 0, .last_index = start.index};
  tail.last_term = start.term;
  tail.hard_state.term = start.term;  // Whoever holds an entry has entered its term.
  tail.mark = start;
  PreparedFile first{nullptr, JoinPath(directory, "fresh.tmp"), options.segment_bytes};
  GAVEL_ASSIGN_OR_RETURN(first.file, disk.Open(first.path, OpenMode::kCreate));
  GAVEL_RETURN_IF_ERROR(FillWithZeros(*first.file, options));
  GAVEL_ASSIGN_OR_RETURN(auto file, StartSegment(disk, directory, std::move(first), tail));
  GAVEL_RETURN_IF_ERROR(high_water.Write(tail.position));
  LogIndex index;
  index.Reset(start.index);
  wal::Recovered created{.tail = std::move(tail),
                         .segment_empty = true,
                         .file = std::move(file),
                         .segments = {{1, options.segment_bytes}},
                         .index = std::move(index),
                         .high_water = std::move(high_water),
                         .contents = {}};
  return std::unique_ptr<Wal>(
      new Wal(std::make_unique<Impl>(disk, std::move(options), std::move(created))));
}

absl::StatusOr<Wal::Opened> Wal::Open(Disk& disk, WalOptions options, raft::Index keep_from) {
  GAVEL_ASSIGN_OR_RETURN(wal::Recovered recovered, wal::Recover(disk, options, keep_from));
  WalContents contents = std::move(recovered.contents);
  auto impl = std::make_unique<Impl>(disk, options, std::move(recovered));
  return Opened{std::unique_ptr<Wal>(new Wal(std::move(impl))), std::move(contents)};
}

absl::Status Wal::Append(const WalBatch& batch) { return impl_->Append(batch); }
absl::Status Wal::Sync() { return impl_->Sync(); }
absl::Status Wal::WriteMark() { return impl_->WriteMark(); }
absl::Status Wal::CutTo(const raft::SnapshotMeta& meta) { return impl_->CutTo(meta); }
absl::StatusOr<std::vector<raft::Entry>> Wal::Read(raft::Index from, size_t bytes_max) const {
  return impl_->Read(from, bytes_max);
}
absl::StatusOr<bool> Wal::PrepareSegment() { return impl_->PrepareSegment(); }
WalStats Wal::stats() const { return impl_->stats(); }

}  // namespace gavel::storage
