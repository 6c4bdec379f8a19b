// Brings watchers of one stream up to date from history, in bounded steps.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"

#include "server/watch/watch_batch.h"
#include "server/watch/watch_hub.h"
#include "server/watch/watch_index.h"
#include "server/watch/watcher.h"
#include "storage/mvcc/change_scan.h"
#include "storage/mvcc/read_view.h"

namespace gavel::server {

// One walk over history for all its watchers: everything below position() has been produced for
// those who want it. Used by one thread at a time; not part of it is guarded by the hub's lock.
class CatchUp {
 public:
  explicit CatchUp(const WatchLimits& limits) : limits_(limits) {}

  using Portions = std::vector<std::shared_ptr<const Portion>>;
  struct Newcomer {
    std::shared_ptr<Watcher> watcher;
    storage::Revision next = 0;  // First revision that it has not been told of.
  };
  // Adds watchers. Those that are behind position() make the walk begin anew where they are, but
  // only once it has got farther than ever before: until then they wait, so that newcomers cannot
  // keep the others from arriving. With `at_once` nobody waits. Requires: not unfinished(), or
  // nobody comes.
  void Add(std::vector<Newcomer> newcomers, bool at_once = false);
  // Of all watchers in it.
  bool empty() const { return entries_.empty(); }
  size_t waiting() const { return waiting_.size(); }
  storage::Revision position() const { return position_; }
  // A revision is under way: the next step must be Read.
  bool unfinished() const { return building_; }

  struct Result {
    std::shared_ptr<const BatchParts> parts;  // Null if nobody is told of anything.
    std::vector<const Watcher*> watchers;     // Whose the parts are.
    uint64_t events = 0;
    storage::Revision compacted = -1;  // At least 0: history below has been given up meanwhile.
    absl::Status status;
  };
  // Produces what comes at and after position() in portions that follow each other, the first of
  // which holds it, or a part of that. `number` is the batch's.
  Result Take(const Portions& portions, uint64_t number);
  // Reads on in history up to `through`. Nothing but a bounded amount of work may come of it.
  Result Read(const storage::ReadView& view, storage::Revision through, uint64_t number);

  // Takes out those who need history below `compacted`; the others go on above it.
  std::vector<std::shared_ptr<Watcher>> TakeBelow(storage::Revision compacted);
  // Takes out everyone but those who wait: they are where they want to be. Cheap; the rest of the
  // work is left for Add.
  std::vector<std::shared_ptr<Watcher>> TakeArrived();

 private:
  struct Entry : WatchIndexEntry {
    bool Wants(storage::Revision main, bool tombstone) const {
      return main >= next && watcher->Wants(tombstone) &&
             !watcher->canceled.load(std::memory_order_relaxed);
    }
    std::shared_ptr<Watcher> watcher;
    storage::Revision next = 0;
    BatchBuilder::Marks marks;
  };

  void AddEntry(Newcomer newcomer);
  void Begin(uint64_t number);
  // Takes from one portion until there is enough; whether there is. Copies what is wanted, unless
  // the portion is to be shared.
  bool TakeFrom(const Portion& portion, bool copy);
  // Adds the change, number `i` of its portion, for everyone who wants it; returns for how many.
  uint64_t Match(std::string_view key, storage::Revision main, bool tombstone, uint32_t i);
  // `main` is the revision after those that have been matched: they are enough for one batch.
  bool Enough(storage::Revision main) const;
  Result Finish(std::shared_ptr<const Portion> portion, storage::Revision through);
  // Reads the value that a change made, and counts it. NotFound: it has been collected.
  absl::Status AddChange(const storage::ReadView& view, const storage::ChangeScan& scan,
                         uint64_t matches, storage::ScanBudget& budget);
  void PurgeCanceled();

  const WatchLimits& limits_;
  WatchIndex index_;
  std::vector<std::unique_ptr<Entry>> entries_;
  std::vector<Newcomer> waiting_;
  // Of those who have arrived, to be destroyed at leisure.
  WatchIndex retired_index_;
  std::vector<std::unique_ptr<Entry>> retired_;
  storage::Revision position_ = 0;
  storage::Revision high_ = 0;  // How far it had come when it last began anew.

  // The batch under way.
  bool building_ = false;
  BatchBuilder builder_;
  std::vector<Entry*> told_;
  uint64_t sent_bytes_ = 0;  // Counted once for each who is told.
  // Read only.
  std::vector<storage::KeyChange> changes_;
  storage::ChangeId scan_position_;
  int64_t scanned_rows_ = 0;
  storage::Revision current_ = 0;  // Of the last row.
};

}  // namespace gavel::server
