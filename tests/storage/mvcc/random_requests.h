// Random requests over few keys, so that they meet: for the model tests and for fuzzing.
#pragma once

#include <string>
#include <vector>

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/internal/command.pb.h"
#include "raft/random.h"
#include "tests/storage/mvcc/model.h"

namespace gavel::testing {

class RandomRequests {
 public:
  explicit RandomRequests(uint64_t seed) : random_(seed) {}

  // A put, a deletion, a transaction (nested up to a depth) or a compaction. `newest` is about
  // the store's revision; revisions asked for are around and below it.
  internal::Command Command(int64_t newest, bool compactions = true);
  // A grant, a renewal, a revocation, an expiry or a reading of the lease clock, about few leases
  // and mostly such as mean something in the model's state.
  internal::Command LeaseCommand(const Model& model);
  // Any combination of options, some of them outside their enumerations.
  etcdserverpb::RangeRequest Range(int64_t newest);

  std::string Key();
  raft::Random& random() { return random_; }

  // The leases that puts name; half of them exist in the tests.
  static constexpr int64_t kLeases[] = {7, -3, 1000, 1 << 20};

 private:
  std::string Value();
  std::string RangeEnd();
  int64_t Revision(int64_t newest);
  etcdserverpb::PutRequest Put();
  etcdserverpb::DeleteRangeRequest DeleteRange();
  etcdserverpb::Compare Compare(int64_t newest);
  etcdserverpb::TxnRequest Txn(int64_t newest, int depth);
  void FillOp(int64_t newest, int depth, etcdserverpb::RequestOp* op);

  raft::Random random_;
};

}  // namespace gavel::testing
