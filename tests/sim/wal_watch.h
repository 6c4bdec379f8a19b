// What a member's log holds for certain, read from the durable bytes of its disk.
//
// The simulator's own reader: it asks the disk, not the product, what a power cut would leave, and
// follows it from sync to sync. Everything that a member promises is compared with it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "raft/configuration.h"
#include "raft/types.h"
#include "tests/support/crash_disk.h"

namespace gavel::sim {

class WalWatch {
 public:
  // Called for each entry that becomes durable, with the entry before it. That has no term if the
  // log read does not tell it; the entry was durable before then.
  using OnEntry = std::function<void(raft::EntryId previous, const raft::Entry& entry)>;

  // The log begins anew behind a snapshot that holds everything up to `last`.
  using OnInstall = std::function<void(raft::EntryId last)>;

  void SetOnEntry(OnEntry on_entry) { on_entry_ = std::move(on_entry); }
  void SetOnInstall(OnInstall on_install) { on_install_ = std::move(on_install); }

  // Forgets everything and reads the log in `directory` of `disk` from its first segment.
  void Reset(const testing::CrashDisk& disk, const std::string& directory);
  // Reads what has become durable since.
  void Advance(const testing::CrashDisk& disk);

  const raft::HardState& hard_state() const { return hard_state_; }
  raft::EntryId last() const;
  // The term of the durable entry at `index`, or nothing if the log does not hold it. The start
  // of the log counts as held.
  std::optional<raft::Term> TermAt(raft::Index index) const;
  raft::Index first() const { return raft::Index(start_.index.value() + 1); }
  // Records made durable since the log began; never falls for a log that keeps what it was given.
  uint64_t sequence() const { return sequence_; }
  // Bytes of the log below its newest whole batch: where damage is certain to be seen, because a
  // later batch covers it.
  struct Covered {
    std::string path;
    uint64_t end = 0;
  };
  std::vector<Covered> covered() const;
  bool found() const { return segment_ != 0; }

  // A batch that is written and not durable.
  struct UnderWay {
    // Whether `disk` holds it in part.
    bool IsTorn(const testing::CrashDisk& disk) const;

    std::string path;
    uint64_t offset = 0;
    std::string bytes;
  };
  // The one that comes next, if its vote is another than the durable one.
  std::optional<UnderWay> VoteUnderWay(const testing::CrashDisk& disk) const;

 private:
  bool ReadBatch(const testing::CrashDisk& disk);
  bool EnterSegment(const testing::CrashDisk& disk, uint64_t segment);
  void Take(uint8_t type, uint8_t detail, std::string_view body);
  std::string Path(uint64_t segment) const;

  OnEntry on_entry_;
  OnInstall on_install_;
  std::string directory_;
  std::string path_;  // Of the segment.
  uint64_t segment_ = 0;
  std::vector<Covered> older_;  // The segments before it, whole.
  uint64_t offset_ = 0;
  uint64_t sequence_ = 0;
  uint64_t last_batch_offset_ = 0;
  raft::HardState hard_state_;
  raft::EntryId start_;            // The entry before terms_[0].
  std::vector<raft::Term> terms_;  // Of the entries after start_.
  std::string buffer_;
};

}  // namespace gavel::sim
