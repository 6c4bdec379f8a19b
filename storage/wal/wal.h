// The segmented write-ahead log: entries, hard state and marks, durable in order.
//
// FORMAT.md describes the bytes. The log thread owns a Wal: only Read() and
// PrepareSegment() may be called from other threads.
//
// After any method but Read has failed the log is broken for good: every later call returns the
// same error, and the process must stop (a retried fsync can report success for lost data). Two
// errors are exempt: InvalidArgument from Append, and ResourceExhausted from PrepareSegment.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/configuration.h"
#include "raft/types.h"
#include "storage/disk/disk.h"

namespace gavel::storage {

struct WalOptions {
  std::string directory;
  uint64_t segment_bytes = 16 << 20;
  // Largest run of bytes PrepareSegment zeroes in one call.
  uint64_t zero_step_bytes = 256 << 10;
  // Largest payload that Append takes. At most 1 GiB.
  uint64_t payload_bytes_max = 1 << 30;
};

// Found by Open when the last, unconfirmed batch was not whole and has been cut.
struct TornTail {
  std::string file;
  uint64_t offset = 0;     // Where the cut was made.
  raft::Index last_index;  // Last entry kept.
  std::string reason;      // What was wrong, and at which offset.
};

// What the log held when it was opened.
struct WalContents {
  raft::HardState hard_state;
  // The mark at or before the first entry kept, with the configuration in force there.
  raft::SnapshotMeta start;
  // All entries after start.index, in order (see Wal::Open for which those are).
  std::vector<raft::Entry> entries;
  raft::Index first_index;  // Lowest entry that Read can return.
  std::optional<TornTail> torn_tail;
};

// One unit of the log: written together, made durable together.
struct WalBatch {
  std::optional<raft::SnapshotMeta> mark;  // The log starts anew after mark->index.
  std::optional<raft::HardState> hard_state;
  std::vector<raft::Entry> entries;  // entries[0].index may be at or below the last: truncates.
};

struct WalStats {
  uint64_t bytes_written = 0;
  uint64_t batches = 0;
  uint64_t syncs = 0;             // Of batches, segment starts and high-water marks.
  uint64_t unprepared_rolls = 0;  // Segments the log thread had to make itself.
  uint64_t segments = 0;
  uint64_t disk_bytes = 0;
  // What can still be appended without asking the file system for space, about. Little more than
  // zero for long means that PrepareSegment fails: stop taking proposals.
  uint64_t reserved_bytes = 0;
  raft::Index first_index;
  raft::Index last_index;
};

class Wal {
 public:
  // Creates an empty log in options.directory (which must be empty, missing, or left by a Create
  // that a crash cut short) that starts after `start` (index 0 for a new cluster), in its term.
  // Durable on return. AlreadyExists: the directory holds a log.
  static absl::StatusOr<std::unique_ptr<Wal>> Create(Disk& disk, WalOptions options,
                                                     const raft::SnapshotMeta& start);

  struct Opened;
  // Opens an existing log and reads all of it. Entries above `keep_from` are returned, older ones
  // only checked; contents.start then names `keep_from` (or the log's own start if that is
  // later) and the configuration in force there. If `keep_from` is beyond the log's last entry,
  // contents.start names that entry: a snapshot was installed whose mark did not reach the log,
  // and the caller appends that mark.
  //
  // DataLoss: damage below the high-water mark; the message names file, offset, index and what to
  // do. FailedPrecondition: a newer format version. NotFound: no log in the directory.
  static absl::StatusOr<Opened> Open(Disk& disk, WalOptions options, raft::Index keep_from);

  ~Wal();
  Wal(const Wal&) = delete;
  Wal& operator=(const Wal&) = delete;

  // Takes the batch over; durable only after Sync. Batches appended between two Syncs are one
  // batch on disk: after a crash all of it is there or nothing.
  //
  // Requires: entries are consecutive, above the newest mark and at most one above the last; none
  // has a term above that of the newest hard state, this batch's included.
  // InvalidArgument, with nothing taken over: a payload above options.payload_bytes_max.
  absl::Status Append(const WalBatch& batch);
  // Makes everything appended durable with one fdatasync.
  absl::Status Sync();
  // Writes the high-water mark to its double block. Call after 10 ms without a batch and at a
  // clean stop.
  absl::Status WriteMark();

  // Deletes whole segments that hold only entries below `index`, once the mark for it
  // (`meta.index` <= index, configuration in force there) is durable. Hard state is kept.
  // A mark older than the newest is not written again. Syncs what has been appended.
  // Requires: meta.index is not above the last entry.
  absl::Status CutTo(const raft::SnapshotMeta& meta);

  // Entries from `from` on, at least one, up to about `bytes_max`. OutOfRange if `from` is no
  // longer (or not yet) stored and synced. Any thread.
  absl::StatusOr<std::vector<raft::Entry>> Read(raft::Index from, size_t bytes_max) const;

  // Does one small step of writing the next segment with zeros ahead of its use. Returns true
  // while there is more to do. Any one thread but the log thread.
  //
  // ResourceExhausted: no space for it; nothing is lost and the call may be repeated later.
  absl::StatusOr<bool> PrepareSegment();

  // Any thread.
  WalStats stats() const;

 private:
  class Impl;
  explicit Wal(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

struct Wal::Opened {
  std::unique_ptr<Wal> wal;
  WalContents contents;
};

}  // namespace gavel::storage
