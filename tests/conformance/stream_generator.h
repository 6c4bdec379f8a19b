// Makes the operations of a run of watch streams and leases from its seed, with the writes that
// they are about.
//
// Deterministic, as Generator is.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "proto/etcdserverpb/watch.pb.h"
#include "tests/conformance/generator.h"
#include "tests/conformance/recipe_generator.h"
#include "tests/conformance/vocabulary.h"
#include "tests/conformance/watch_history.h"

namespace gavel::conformance {

class StreamGenerator : public OperationSource {
 public:
  // `history` must outlive the generator.
  StreamGenerator(uint64_t seed, const WatchHistory& history);

  Operation Next() override;
  void Learn(const Operation& operation, const Answer& etcd) override;

 private:
  struct WatchStream {
    bool half_closed = false;
    std::set<int64_t> open;       // Ids.
    std::set<int64_t> ended;      // Because their start was compacted, and not canceled since.
    std::set<int64_t> burnt;      // Not to be chosen again.
    int64_t highest_picked = -1;  // By the server.
  };

  Operation Write();
  Operation LeaseCall();
  Operation Grant();
  Operation KeepAlive();
  Operation OnWatchStream();
  Operation WatchCreate(int64_t number, WatchStream& stream);
  Operation WatchCancel(int64_t number, WatchStream& stream);
  Operation BadMessage();
  Operation Compaction();
  // Several operations that belong together: the first is returned, the others follow.
  Operation Fragments();
  Operation Expiry();
  Operation RenewalsAtOnce();

  int64_t StartRevision();
  int64_t WatchId(const WatchStream& stream);
  int64_t AnyLease();
  Operation OpenWatchStream();
  Operation First(std::deque<Operation> several);
  void LearnWatch(const Operation& operation, const Answer& etcd);
  void LearnLease(const Operation& operation);

  raft::Random random_;
  Vocabulary words_;
  RecipeGenerator recipes_;
  const WatchHistory& history_;
  std::deque<Operation> following_;
  std::map<int64_t, WatchStream> streams_;
  std::map<int64_t, bool> keep_alives_;  // By number; whether messages may still be sent.
  std::vector<int64_t> ended_leases_;
  int64_t next_number_ = 1;
  int64_t next_lease_name_;
  int64_t next_unique_id_ = 1000;
  int64_t next_chosen_lease_ = 3'000'000'000;  // Going down.
};

}  // namespace gavel::conformance
