// What watchers were told, and the check that it is the committed history, no more and no less.
//
// The names W1 to W7 and C1 are those of what is checked: order, no doubles, no gaps, whole
// revisions, resumption, progress that is never ahead, and filters and previous values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proto/etcdserverpb/watch.pb.h"
#include "proto/mvccpb/kv.pb.h"
#include "tests/storage/mvcc/model.h"

namespace gavel::sim {

// A watch that was created, and all that its client has read about it.
struct WatchRecord {
  struct Told {
    enum class Kind : uint8_t { kEvents, kProgress, kCompacted };
    Kind kind = Kind::kEvents;
    etcdserverpb::WatchResponse response;
    int64_t compacted = 0;  // On the member, when it wrote this.
  };

  uint64_t number = 0;  // Among all.
  int member = 0;
  etcdserverpb::WatchCreateRequest request;
  int64_t created_at = 0;  // The revision that it was told of with `created`.
  std::vector<Told> told;
  int64_t seen = 0;  // All up to this revision has been told, as the client understands it.
};

// All changes that the committed log makes, by revision.
class WatchHistory {
 public:
  // `model` has carried out the whole log.
  explicit WatchHistory(const testing::Model& model);

  // The first rule that `record` breaks, or nothing.
  std::optional<std::string> Check(const WatchRecord& record) const;

  // The revisions that were ever compacted to, in order.
  void SetCompactions(std::vector<int64_t> compactions) { compactions_ = std::move(compactions); }
  uint64_t events_checked() const { return events_checked_; }

 private:
  struct Change {
    bool tombstone = false;
    mvccpb::KeyValue kv;
    std::optional<mvccpb::KeyValue> previous;
  };
  class Walk;

  int64_t revision_ = 1;
  std::vector<Change> changes_;  // In the order in which they were made.
  std::vector<int64_t> compactions_;
  mutable uint64_t events_checked_ = 0;
};

}  // namespace gavel::sim
