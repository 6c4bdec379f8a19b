// A model of the multi-version store: every version of every key in a map, and the rules of
// etcd's contract written down as plainly as possible.
//
// Shares no code with storage/. For tests of every level: what it answers is right by
// definition, except where a real etcd differs.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/internal/command.pb.h"
#include "proto/mvccpb/kv.pb.h"
#include "storage/request_error.h"
#include "storage/state/state_machine.h"

namespace gavel::testing {

// One version of a key; a tombstone has key and mod_revision only.
struct ModelVersion {
  int32_t sub = 0;  // Its place in the transaction.
  bool tombstone = false;
  mvccpb::KeyValue kv;
};

struct ModelOutcome {
  storage::RequestError error = storage::RequestError::kNone;
  storage::CommandResponse response;
};

class Model {
 public:
  struct Lease {
    int64_t ttl_seconds = 0;
    int64_t deadline_ms = 0;
    uint64_t renewed = 0;  // Index of the entry that granted or last renewed it.
    friend bool operator==(const Lease&, const Lease&) = default;
  };
  std::map<int64_t, Lease> leases;
  int64_t lease_clock_ms = 0;

  // Headers hold the revision alone.
  struct RangeOutcome {
    storage::RequestError error = storage::RequestError::kNone;
    etcdserverpb::RangeResponse response;
  };
  RangeOutcome Range(const etcdserverpb::RangeRequest& request) const;

  // Carries out any command but that of a member about itself, in the entry `index` of `term`.
  ModelOutcome Apply(const internal::Command& command, uint64_t index = 0, uint64_t term = 1);

  int64_t revision() const { return revision_; }
  int64_t compacted() const { return compacted_; }
  // Every version that ever was, of each key: oldest first.
  const std::map<std::string, std::vector<ModelVersion>>& versions() const { return versions_; }

  // The rows that must remain when all compacted history has been collected, as (key, mod
  // revision, sub): of versions, and of changes.
  using Row = std::tuple<std::string, int64_t, int32_t>;
  std::set<Row> RetainedVersions() const;
  std::set<Row> RetainedChanges() const;

  // The newest versions that hang on a lease, as (lease, key).
  std::set<std::pair<int64_t, std::string>> LeaseKeys() const;

  // Recounts from all versions.
  storage::StateMachine::Sizes Sizes() const;

 private:
  using RangeRequest = etcdserverpb::RangeRequest;
  using TxnRequest = etcdserverpb::TxnRequest;

  // The live keys of a range at a revision.
  std::vector<mvccpb::KeyValue> Live(const std::string& key, const std::string& range_end,
                                     int64_t revision) const;
  etcdserverpb::RangeResponse Answer(const RangeRequest& request, int64_t visible) const;

  bool Succeeds(const TxnRequest& txn) const;
  bool Holds(const etcdserverpb::Compare& compare) const;
  storage::RequestError Check(const TxnRequest& txn) const;
  storage::RequestError CheckPut(const etcdserverpb::PutRequest& put, bool in_txn) const;

  int64_t visible() const { return revision_ + (subs_ > 0 ? 1 : 0); }
  void Run(const etcdserverpb::PutRequest& put, etcdserverpb::PutResponse* response);
  void Run(const etcdserverpb::DeleteRangeRequest& request,
           etcdserverpb::DeleteRangeResponse* response);
  void Run(const TxnRequest& txn, etcdserverpb::TxnResponse* response);
  void Finish();

  ModelOutcome ApplyLease(const internal::Command& command, uint64_t index, uint64_t term);
  void SetLeaseClock(int64_t now_ms);
  int64_t LeaseDeadline(int64_t ttl_seconds) const;
  // Deletes what hangs on the lease in one revision. Returns how many keys that were.
  size_t EndLease(int64_t id);

  std::map<std::string, std::vector<ModelVersion>> versions_;  // Oldest first.
  int64_t revision_ = 1;
  int64_t compacted_ = -1;
  int32_t subs_ = 0;  // Changes of the transaction under way.
};

}  // namespace gavel::testing
