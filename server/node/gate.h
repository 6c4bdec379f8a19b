// What the services see of a running member: propose, read, and look.
//
// A Gate owns no thread. It keeps who waits for what, and feeds the core's inbox; apply and the
// core tell it how things ended. All methods are thread-safe and none blocks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"

#include "raft/raft.h"
#include "server/clock.h"
#include "storage/mvcc/read_view.h"
#include "storage/state/state_machine.h"

namespace gavel::internal {
class ChangeMembers;
}
namespace gavel::storage {
struct Membership;
}
namespace gavel::server {

class WatchHub;

// Why a request got no outcome. kOk and kRefused are outcomes.
enum class GateResult : uint8_t {
  kOk,
  kRefused,               // The state machine refused: see outcome.error.
  kNoLeader,              // Certainly not carried out.
  kNotLeader,             // This member does not lead: certainly not carried out.
  kDropped,               // Certainly not carried out: until now no leader took it.
  kTimedOut,              // Unknown: may or may not be carried out.
  kTimedOutLeaderFailed,  // The same; the leader has changed since.
  kTimedOutDisconnected,  // The same; no connection to the leader, or a leader's to a majority.
  kLeaderChanged,         // Reads: ask again. Writes: unknown.
  kTooManyRequests,       // Certainly not carried out.
  kNotTaken,              // Certainly not carried out: the leader takes none like it.
  kStopped,               // The member is stopping; a write is unknown.
};

// True if a write that ends like this is in no log and never will be, so that it may be sent again.
constexpr bool CertainlyNotCarriedOut(GateResult result) {
  return result == GateResult::kNoLeader || result == GateResult::kNotLeader ||
         result == GateResult::kDropped || result == GateResult::kTooManyRequests ||
         result == GateResult::kNotTaken;
}

// The oneof field of internal.Command that a request goes into.
enum class CommandField : int {
  kPut = 10,
  kDeleteRange = 11,
  kTxn = 12,
  kCompact = 13,
  kLeaseGrant = 14,
  kLeaseRevoke = 15,
  kRenewLeases = 16,
  kExpireLeases = 17,
  kLeaseClock = 18,
  kPublishMember = 20,
  kChangeMembers = 21,
  kChangeAlarm = 22,
  kSetQuota = 23,
  kMarkDigest = 24,
  kReportDigest = 25,
  kSetLeaderPriority = 26,
  kAgreeSemantics = 27,
};

struct ProposeResult {
  GateResult result = GateResult::kOk;
  storage::CommandOutcome outcome;  // kOk and kRefused only.
  raft::Term term;                  // Current term, for the response header.
};
using ProposeDone = absl::AnyInvocable<void(ProposeResult) &&>;

struct ReadResult {
  GateResult result = GateResult::kOk;
  std::shared_ptr<const storage::ReadView> view;  // kOk only; applied >= the read's index.
};
using ReadDone = absl::AnyInvocable<void(ReadResult) &&>;

// What Maintenance.Status, metrics and health show.
struct MemberStatus {
  uint64_t cluster_id = 0;
  raft::Status raft;
  raft::Index applied;
  bool learner = false;
  uint64_t db_bytes = 0;  // Never 0.
  uint64_t db_in_use_bytes = 0;
  uint32_t db_readers = 0;  // Reads of the state under way.
  uint64_t quota_bytes = 0;
  std::vector<std::string> errors;
  std::vector<std::string> disk_errors;  // Of the errors: a disk that fails or does not answer.
};

struct GateLimits {
  // Deadline of a request that brings none: etcd's 5 s + 2 election timeouts.
  MonotonicNs request_timeout = 7 * kNsPerSecond;
  // committed - applied above this answers kTooManyRequests.
  uint64_t apply_backlog_entries_max = 5000;
  // Bytes of proposals without an outcome, over all clients.
  uint64_t pending_bytes_max = 256 << 20;
};

// Runs with the TTL of the lease renewed, in seconds (0: there is none), if the result is kOk.
using RenewDone = absl::AnyInvocable<void(GateResult result, int64_t ttl_seconds) &&>;

class Gate {
 public:
  virtual ~Gate() = default;

  // Replicates and applies a command whose body is `request`, the encoded message of `field`.
  virtual void Propose(CommandField field, std::string request, std::optional<MonotonicNs> deadline,
                       ProposeDone done) = 0;

  // Renews a lease through the log. Those that wait at the same time share an entry.
  virtual void RenewLease(int64_t id, std::optional<MonotonicNs> deadline, RenewDone done) = 0;
  // The lease clock as it stands, as far as this member knows.
  virtual int64_t lease_clock_ms() const = 0;
  // A positive number that no member has given before; mostly next to the one given before.
  virtual int64_t NewId() = 0;

  // A view for a linearizable read that starts now.
  virtual void Read(std::optional<MonotonicNs> deadline, ReadDone done) = 0;

  // The newest local view, for serializable reads.
  virtual std::shared_ptr<const storage::ReadView> view() const = 0;

  // As applied here, but for this member's own client URLs: those it advertises.
  virtual std::shared_ptr<const std::vector<storage::MemberRecord>> members() const = 0;
  virtual MemberStatus status() const = 0;
  virtual raft::NodeId member_id() const = 0;
  virtual uint64_t cluster_id() const = 0;
  virtual raft::Term term() const = 0;
  // Looked at for every request: cheap, and may be a moment old.
  virtual bool has_leader() const = 0;
  // The same, of the alarm for want of space: what adds to the store would be refused.
  virtual bool no_space() const = 0;
  // As applied here. Never null.
  virtual std::shared_ptr<const storage::LimitsState> limits() const = 0;
  virtual bool learner() const = 0;
  // Tells who watches of what is applied here.
  virtual WatchHub& watches() = 0;

  // Runs `done` once this member has deleted what the compaction at `compacted` gave up. Without a
  // deadline it waits for however long that takes, as etcd does.
  virtual void WhenCollected(storage::Revision compacted, std::optional<MonotonicNs> deadline,
                             absl::AnyInvocable<void(GateResult) &&> done) = 0;

  // Asks `target`, a voter, to lead, if this member does; `done` runs once it leads. kTimedOut: it
  // does not yet.
  virtual void MoveLeader(raft::NodeId target, std::optional<MonotonicNs> deadline,
                          absl::AnyInvocable<void(GateResult) &&> done) = 0;
  // Changes who is wanted as a member; `done` runs once the applied member table shows it: who is
  // added is listed, who is removed is gone, who is promoted votes. A member that is replaced stays
  // until its successor has caught up, which is not waited for. kTimedOut: it may still come about.
  virtual void ChangeMembers(const internal::ChangeMembers& change,
                             std::optional<MonotonicNs> deadline, ProposeDone done) = 0;
  // Who is wanted as a member, as applied here.
  virtual std::shared_ptr<const storage::Membership> membership() const = 0;
  // How long this member has been connected to `peer`; nothing if it is not.
  virtual std::optional<MonotonicNs> ConnectedFor(raft::NodeId peer) const = 0;

  // Has the engine rewrite its files so that what was deleted gives its space back. Returns at
  // once; neither reads nor writes wait for it.
  virtual absl::Status StartCompaction() = 0;

  // Steps that wait for a background thread.
  virtual size_t background_jobs() const = 0;
  // Runs `step` on a background thread until it returns false, other work in between.
  virtual void RunInBackground(absl::AnyInvocable<bool()> step) = 0;
  // The same, not before `delay` has passed.
  virtual void RunInBackgroundAfter(MonotonicNs delay, absl::AnyInvocable<bool()> step) = 0;
};

}  // namespace gavel::server
