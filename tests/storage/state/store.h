// A state machine on an engine, driven directly: entries are made here, reads run to their end.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

#include "proto/internal/command.pb.h"
#include "storage/engine/engine.h"
#include "storage/mvcc/collector.h"
#include "storage/mvcc/hash.h"
#include "storage/mvcc/key_codec.h"
#include "storage/mvcc/range.h"
#include "storage/state/state_machine.h"
#include "tests/storage/mvcc/model.h"
#include "tests/support/temporary_directory.h"

namespace gavel::testing {

storage::InitialState OneMember();

// A command's entry, as a member would propose it.
raft::Entry CommandEntry(uint64_t index, internal::Command command);

internal::Command Put(std::string_view key, std::string_view value);
internal::Command Delete(std::string_view key, std::string_view range_end = {});
internal::Command Compact(int64_t revision);
etcdserverpb::RangeRequest RangeOf(std::string_view key, std::string_view range_end = {});
// All keys.
etcdserverpb::RangeRequest Everything();

class Store {
 public:
  // On a fresh MapEngine unless an engine is given.
  explicit Store(std::shared_ptr<storage::Engine> engine = nullptr,
                 storage::StateMachineOptions options = {});

  // Applies one command in a batch of its own.
  storage::CommandOutcome Do(internal::Command command);
  // The same; must succeed. Returns the response.
  template <class Response>
  Response Get(internal::Command command) {
    return std::get<Response>(Do(std::move(command)).response);
  }
  // Applies commands as one batch.
  std::vector<storage::CommandOutcome> DoBatch(const std::vector<internal::Command>& commands);

  struct RangeOutcome {
    storage::RequestError error = storage::RequestError::kNone;
    etcdserverpb::RangeResponse response;
  };
  // On the newest view.
  RangeOutcome Range(const etcdserverpb::RangeRequest& request,
                     const storage::RangeBudget& budget = {});
  // The value of one key, or "(none)".
  std::string Value(std::string_view key, int64_t revision = 0);

  struct Hash {
    storage::RequestError error = storage::RequestError::kNone;
    uint32_t hash = 0;
    int64_t compacted = 0;
    friend bool operator==(const Hash&, const Hash&) = default;
  };
  Hash HashKv(int64_t revision = 0);

  // Puts a row for a lease into the engine, as a grant would.
  void AddLease(int64_t lease);

  // One collector step; false when there is nothing to do.
  bool CollectStep(int64_t changes_max);
  void CollectAll(int64_t changes_max = 1000);

  // Opens state machine and collector anew on the same engine, or on another one.
  void Reopen(std::shared_ptr<storage::Engine> engine = nullptr);

  storage::StateMachine& machine() { return *machine_; }
  storage::Collector& collector() { return *collector_; }
  const std::shared_ptr<storage::Engine>& engine() const { return engine_; }

 private:
  std::shared_ptr<storage::Engine> engine_;
  const storage::StateMachineOptions options_;
  std::unique_ptr<storage::StateMachine> machine_;
  std::unique_ptr<storage::Collector> collector_;
};

// A RocksDB in the directory.
std::shared_ptr<storage::Engine> OpenRocks(const TemporaryDirectory& directory);

// The rows of `versions` and of `changes`, as the model names them.
std::set<Model::Row> StoredVersions(const storage::Engine& engine);
std::set<Model::Row> StoredChanges(const storage::Engine& engine);

// All leases, and what hangs on them as (lease, key), as the model names them.
std::map<int64_t, Model::Lease> StoredLeases(const storage::Engine& engine);
std::set<std::pair<int64_t, std::string>> StoredLeaseKeys(const storage::Engine& engine);

// All rows of a family.
std::map<std::string, std::string> Dump(const storage::Engine& engine, storage::Family family);
// All rows that replicas must agree on when both have collected as much: every family, without
// what is local in `meta`.
std::map<std::string, std::string> DumpReplicated(const storage::Engine& engine);

}  // namespace gavel::testing
