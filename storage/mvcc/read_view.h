// A state that readers see: immutable, published whole after each applied batch.
#pragma once

#include <atomic>
#include <memory>

#include "raft/types.h"
#include "storage/engine/engine.h"
#include "storage/mvcc/revision.h"

namespace gavel::storage {

class KeyCounts;
class LeaseRenewals;

// What can be read, as of one applied batch. Keys are versioned, so a view needs no engine
// snapshot: it reads the newest engine state at its own revision. What a compaction takes away
// meanwhile is noticed by looking at `published_compacted` after the read.
struct ReadView {
  std::shared_ptr<const Engine> engine;
  Revision revision = 1;    // Newest visible revision.
  Revision compacted = -1;  // Compacted revision when published; -1: never compacted.
  raft::Index applied;      // Everything up to here is visible.
  raft::Term applied_term;
  // The newest published compacted revision of this store; outlives the view.
  std::shared_ptr<const std::atomic<Revision>> published_compacted;
  // Of the newest state, like all that concerns leases; null: there are none.
  std::shared_ptr<const LeaseRenewals> lease_renewals;
  // What has been counted of this store; null: counts are walks.
  std::shared_ptr<KeyCounts> counts;
};

}  // namespace gavel::storage
