// What the watchers of one stream are told, checked against the whole history as it comes.
//
// Holds the contract of a watch: ordered, unique, without gaps (unless canceled by a compaction
// that took the gap), revisions whole, progress never ahead, filters and previous values right.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/watch/watch_batch.h"
#include "server/watch/watch_types.h"
#include "storage/mvcc/key_change.h"

namespace gavel::testing {

// Every change that was ever made. Thread-safe.
class History {
 public:
  void Add(const std::vector<storage::KeyChange>& changes);
  void SetCompacted(storage::Revision revision);
  storage::Revision compacted() const;
  size_t size() const;
  storage::KeyChange At(size_t i) const;
  // The number of the first change from number `from` on that `wanted` holds for; size() if none.
  size_t Find(size_t from, const std::function<bool(const storage::KeyChange&)>& wanted) const;
  // What the key was before `main`; nothing if it did not exist.
  std::optional<storage::KeyChange> Before(const std::string& key, storage::Revision main) const;

 private:
  mutable std::mutex mutex_;
  std::deque<storage::KeyChange> changes_;
  storage::Revision compacted_ = -1;
};

// A sink that takes `room` bytes until MakeRoom is called.
class WatchLog final : public server::WatchSink {
 public:
  explicit WatchLog(const History& history, size_t room = ~size_t{0})
      : history_(history), room_(room) {}

  // The next OnCreated or OnRefused is the answer to this.
  void Expect(const server::WatchOptions& options);
  // The watcher may end with OnCanceled from here on.
  void ExpectCanceled(server::WatchId id);

  void OnCreated(server::WatchId id, storage::Revision revision) override;
  void OnRefused(server::WatchRefusal why, storage::Revision revision) override;
  server::WatchSent OnEvents(const server::WatchDelivery& delivery) override;
  void OnCanceled(server::WatchId id, storage::Revision revision) override;
  void OnCompacted(server::WatchId id, storage::Revision compacted) override;
  void OnProgress(server::WatchId id, storage::Revision revision) override;
  void OnFailed(const absl::Status& status) override;

  // Whether it was full.
  bool MakeRoom();

  struct Told {
    server::WatchOptions options;
    storage::Revision compacted = 0;  // When it was asked for.
    storage::Revision start = 0;      // First revision of interest.
    size_t next = 0;                  // Number of the first change that has not been looked at.
    storage::Revision last = 0;       // Of the last event.
    uint64_t events = 0;
    uint64_t responses = 0;
    bool cancel_expected = false;
  };
  // The watchers there are.
  std::map<server::WatchId, Told> watchers() const;
  // Fails unless every watcher has been told everything.
  void ExpectComplete() const;
  bool complete() const;

  uint64_t events() const;
  std::vector<std::pair<server::WatchId, storage::Revision>> progress() const;
  std::vector<std::pair<server::WatchId, storage::Revision>> compacted() const;
  std::vector<server::WatchRefusal> refused() const;
  std::vector<server::WatchId> created() const;
  std::vector<server::WatchId> canceled() const;
  std::vector<absl::Status> failures() const;
  size_t unanswered() const;

 private:
  bool Wants(const Told& told, const storage::KeyChange& change) const;
  size_t NextWanted(const Told& told) const;
  // The revision of the first event that the watcher has not been told; huge if none.
  storage::Revision NextRevision(const Told& told) const;
  void TakeEvent(Told& told, const storage::KeyChange& change);
  void CheckEncoding(const Told& told, const server::WatchDelivery& delivery,
                     const server::WatchPart& part) const;

  const History& history_;
  mutable std::mutex mutex_;
  size_t room_;
  size_t queued_ = 0;
  bool full_ = false;
  server::WatchId next_id_ = 0;
  std::deque<Told> expected_;  // Asked for, and not answered.
  std::map<server::WatchId, Told> watchers_;
  std::set<server::WatchId> ended_;  // Because of a compaction, and not canceled since.
  uint64_t events_ = 0;
  std::vector<std::pair<server::WatchId, storage::Revision>> progress_;
  std::vector<std::pair<server::WatchId, storage::Revision>> compacted_;
  std::vector<server::WatchRefusal> refused_;
  std::vector<server::WatchId> created_;
  std::vector<server::WatchId> canceled_;
  std::vector<absl::Status> failures_;
};

}  // namespace gavel::testing
