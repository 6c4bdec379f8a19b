// One portion of changes, and who is to be told of which of them.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"

#include "server/watch/event_bytes.h"
#include "server/watch/portion.h"
#include "server/watch/watch_types.h"

namespace gavel::server {

// Some neighbouring changes of a portion; the runs of one watcher are linked.
struct WatchRun {
  static constexpr uint32_t kNone = ~uint32_t{0};

  uint32_t begin = 0;
  uint32_t end = 0;
  uint32_t next = kNone;
};

// What one watcher is told: at least one run.
struct WatchPart {
  WatchId id = 0;
  uint32_t first_run = WatchRun::kNone;
  bool prev_kv = false;
  bool fragment = false;
};

// Filled by a BatchBuilder, then shared and immutable, but for what is encoded on demand.
class WatchBatch {
 public:
  explicit WatchBatch(std::shared_ptr<const Portion> portion) : portion_(std::move(portion)) {}

  const Portion& portion() const { return *portion_; }
  storage::Revision first() const { return portion_->first(); }
  storage::Revision last() const { return portion_->last(); }
  const storage::KeyChange& change(size_t i) const { return portion_->changes()[i]; }

  // Calls `visit(begin, end)` for each run of a part, in order.
  template <class Visit>
  void ForEachRun(const WatchPart& part, Visit visit) const {
    for (uint32_t run = part.first_run; run != WatchRun::kNone; run = runs_[run].next) {
      visit(runs_[run].begin, runs_[run].end);
    }
  }

  // Changes whose previous values somebody wants.
  size_t previous_wanted() const { return previous_wanted_; }
  // Reads them, unless that has been done; those that are compacted are gone. Thread-safe.
  absl::Status LoadPrevious(const storage::ReadView& view) const;
  // The events, with previous values or without; encoded when they are first asked for.
  // Thread-safe. Requires: LoadPrevious, if it is with them.
  const std::shared_ptr<const EventBytes>& Events(bool with_previous) const;

 private:
  friend class BatchBuilder;

  const std::shared_ptr<const Portion> portion_;
  std::vector<WatchRun> runs_;
  // One byte for each change: somebody is told of it without and with its previous value.
  std::vector<uint8_t> wanted_[2];
  size_t previous_wanted_ = 0;

  mutable std::atomic<bool> previous_loaded_ = false;
  mutable std::atomic<storage::Revision> previous_compacted_ = 0;  // As it was then.
  mutable std::once_flag encoded_once_[2];
  mutable std::shared_ptr<const EventBytes> encoded_[2];
};

// What the watchers of one stream are told of a batch.
struct WatchDelivery {
  const WatchBatch& batch;
  std::span<const WatchPart> parts;
  storage::Revision revision;  // All up to here has been told with this.
};

// A batch with all its parts, those of one stream side by side.
struct BatchParts {
  std::shared_ptr<const WatchBatch> batch;
  std::vector<WatchPart> parts;
};

// Puts a batch together, change by change in order.
class BatchBuilder {
 public:
  // What is known of a watcher in the batch that is being built; any other batch's is stale.
  struct Marks {
    uint64_t batch = 0;
    uint32_t first_run = 0;
    uint32_t last_run = 0;
  };

  // `number` is the batch's, above all earlier ones. Changes may still be added to the portion.
  void Begin(uint64_t number);
  // Change `i` is for the watcher; true if it is the first for it.
  bool Add(Marks& marks, uint32_t i, bool prev_kv) {
    Mark(i, prev_kv);
    ++events_;
    if (marks.batch != number_) {
      marks.batch = number_;
      marks.first_run = marks.last_run = static_cast<uint32_t>(runs_.size());
      runs_.push_back({i, i + 1, WatchRun::kNone});
      return true;
    }
    if (runs_[marks.last_run].end == i) {
      ++runs_[marks.last_run].end;
    } else {
      const auto run = static_cast<uint32_t>(runs_.size());
      runs_[marks.last_run].next = run;
      marks.last_run = run;
      runs_.push_back({i, i + 1, WatchRun::kNone});
    }
    return false;
  }

  uint64_t number() const { return number_; }
  uint64_t events() const { return events_; }
  // Changes whose previous values somebody wants.
  size_t previous_wanted() const { return previous_wanted_; }
  std::shared_ptr<const WatchBatch> Finish(std::shared_ptr<const Portion> portion);

 private:
  void Mark(uint32_t i, bool prev_kv) {
    std::vector<uint8_t>& wanted = wanted_[prev_kv ? 1 : 0];
    if (wanted.size() <= i) wanted.resize(i + 1);
    if (wanted[i] != 0) return;
    wanted[i] = 1;
    if (prev_kv) ++previous_wanted_;
  }

  uint64_t number_ = 0;
  uint64_t events_ = 0;
  size_t previous_wanted_ = 0;
  std::vector<WatchRun> runs_;
  std::vector<uint8_t> wanted_[2];
};

}  // namespace gavel::server
