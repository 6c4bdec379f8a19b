// The replicated state machine: apply(state, command), and the views it publishes.
//
// Apply is a function of state and command alone: no clock, no chance, no local configuration.
// One thread applies; any thread may take the view.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "proto/etcdserverpb/kv.pb.h"
#include "proto/etcdserverpb/lease.pb.h"
#include "raft/configuration.h"
#include "raft/types.h"
#include "storage/engine/engine.h"
#include "storage/mvcc/key_change.h"
#include "storage/mvcc/read_view.h"
#include "storage/request_error.h"
#include "storage/state/alarms.h"
#include "storage/state/command.h"
#include "storage/state/digest.h"
#include "storage/state/key_values.h"
#include "storage/state/leases.h"

namespace gavel::storage {

struct Membership;

// A row of the member table. A member that has not started yet has no name.
struct MemberRecord {
  raft::NodeId id;
  std::string name;
  std::vector<std::string> peer_urls;
  std::vector<std::string> client_urls;
  bool learner = false;
  uint32_t leader_priority = 0;  // A leader gives way to a voter with a higher one.

  friend bool operator==(const MemberRecord&, const MemberRecord&) = default;
};

// What a fresh store holds before the first entry; equal on every member.
struct InitialState {
  raft::Configuration configuration;  // At index 0.
  std::vector<MemberRecord> members;
};

// Responses have header.revision set and the rest of the header empty.
using CommandResponse =
    std::variant<std::monostate, etcdserverpb::PutResponse, etcdserverpb::DeleteRangeResponse,
                 etcdserverpb::TxnResponse, etcdserverpb::CompactionResponse,
                 etcdserverpb::LeaseGrantResponse, etcdserverpb::LeaseRevokeResponse, RenewOutcome,
                 AlarmTable>;

// How one command ended.
struct CommandOutcome {
  raft::RequestId id;
  raft::Index index;
  RequestError error = RequestError::kNone;
  CommandResponse response;  // Only built for the commands the caller waits for.
  // It was carried out, but there was no room for its response.
  bool response_too_large = false;
};

struct ApplyResult {
  std::vector<CommandOutcome> outcomes;  // One per command entry, in order.
  bool members_changed = false;          // The table, or who is wanted.
  std::vector<KeyChange> changes;        // All, in order, if the caller wants them.
  std::vector<LeaseChange> leases;       // All, in order.
  std::vector<DigestReport> digest_reports;
  bool digest_marked = false;
  // Whether anything but marks and reports came after the last mark here; none: nothing else and
  // no mark did.
  std::optional<bool> digest_news;
};

struct StateMachineOptions {
  // Bounds of the cache from key to its newest version (derived, never authoritative).
  size_t newest_cache_bytes_max = 32 << 20;
  // Of that from lease to its row; about 50 bytes each.
  size_t lease_cache_rows_max = 128 << 10;
  // Of that from lease to the keys that hang on it; about 120 bytes for a lease with one key.
  size_t lease_key_cache_bytes_max = 16 << 20;
  // Renewals that are not in the rows of their leases. Not a member's choice: the rows of members
  // that differ in it differ, though never what they say.
  size_t lease_renewals_max = 64 << 10;
  // Keys that are counted together, so that a count need not walk over them again.
  int64_t count_part_keys = 256;
};

class StateMachine {
 public:
  // Opens the state in `engine`, or initialises a fresh one from `initial`. The same function
  // serves a start and a snapshot install: every derived cache is rebuilt here.
  //
  // FailedPrecondition: another format (named). DataLoss: the state contradicts itself.
  static absl::StatusOr<std::unique_ptr<StateMachine>> Open(std::shared_ptr<Engine> engine,
                                                            const InitialState& initial,
                                                            StateMachineOptions options);
  ~StateMachine();

  // Whether `engine` holds a state, whole or damaged, or nothing that Open would take for one.
  static absl::StatusOr<bool> Exists(const Engine& engine);

  // Applies consecutive entries (the first is applied().Next()) as one engine batch, together
  // with the applied index, then publishes a new view. `wanted` are the member and life whose
  // commands get a response; `changes` asks
  // for ApplyResult::changes. An error is terminal: the member must stop. ResourceExhausted
  // (the engine stalls) changed nothing and may be tried again.
  struct Wanted {
    raft::NodeId member;
    raft::Incarnation incarnation;
    bool changes = false;
    // Of what responses return of keys, over all of the call. A response of a few KiB is built in
    // any case.
    int64_t response_bytes_max = std::numeric_limits<int64_t>::max();
  };
  absl::StatusOr<ApplyResult> Apply(std::span<const raft::Entry> entries, const Wanted& wanted);

  // Any thread. Never null.
  std::shared_ptr<const ReadView> view() const;

  raft::Index applied() const;
  // The applied index that a crash would keep (read back from the engine).
  absl::StatusOr<raft::EntryId> DurableApplied() const;
  // What a crash would keep; the collector may drop whole files below `compacted`. Any thread.
  struct Durable {
    raft::EntryId applied;
    Revision compacted = -1;
  };
  absl::StatusOr<Durable> ReadDurable() const;

  // The applied member table, sorted by id. Any thread; never null.
  std::shared_ptr<const std::vector<MemberRecord>> members() const;

  // The applied configuration: what a snapshot or a log mark at applied() stands for. Any thread;
  // never null.
  std::shared_ptr<const raft::Configuration> configuration() const;

  // Who is wanted as a member (storage/state/membership.h). Any thread; never null.
  std::shared_ptr<const Membership> membership() const;
  // The quota and the alarms. Any thread; never null.
  std::shared_ptr<const LimitsState> limits() const;

  // What live versions take (VersionBytes in storage/mvcc/record.h), and superseded versions that
  // are not compacted: a function of the log.
  struct Sizes {
    int64_t live_bytes = 0;
    int64_t superseded_bytes = 0;
    int64_t keys = 0;
    int64_t used_bytes = 0;  // What the quota bounds: both, and leases.
  };
  Sizes sizes() const;  // Any thread.
  struct LeaseTotals {
    int64_t clock_ms = 0;  // The lease clock, as last read in the log.
    int64_t count = 0;
  };
  LeaseTotals leases() const;  // Any thread.
  // What the members have agreed on (storage/state/semantics.h). Any thread.
  uint32_t semantics() const;
  // Any thread.
  DigestMarks digest_marks() const;
  // Since this process began. Any thread.
  OperationCounts operations() const;

 private:
  class Impl;
  explicit StateMachine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gavel::storage
