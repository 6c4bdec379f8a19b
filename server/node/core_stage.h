// The consensus core with its effects sorted by who carries them out.
//
// Passive: no thread, lock, clock or I/O. The core thread runs it in production, a loop in tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"

#include "raft/raft.h"
#include "server/node/command_check.h"
#include "server/node/log_batch.h"
#include "storage/request_error.h"
#include "storage/state/lease_reader.h"
#include "storage/state/leases.h"

namespace gavel::server {

// What reaches the core from the other stages and from peers.
struct PeerMessages {
  std::vector<raft::Message> messages;
};
struct Persisted {
  raft::BatchNumber number;
};
struct Applied {
  raft::EntryId last;
  int64_t lease_clock_ms = 0;
  std::vector<storage::LeaseChange> leases;  // For the lease keeper.
};
struct OlderEntries {
  raft::NodeId to;
  raft::Index from;
  std::vector<raft::Entry> entries;  // None: the log no longer has them, or cannot be read.
  absl::Status status = {};          // Why it cannot be read.
};
// `to` holds a snapshot up to `index`; or nothing came of it.
struct SnapshotSent {
  raft::NodeId to;
  std::optional<raft::Index> index;
};
struct PeerUnreachable {
  raft::NodeId peer;
};
struct PeerConnectionLost {
  raft::NodeId peer;
};
struct PeerConnected {
  raft::NodeId peer;
};
// Log entries below `index` are gone.
struct LogCut {
  raft::Index index;
};
struct HandOver {
  raft::NodeId target;
};
// Leases that the scan at the start has found; for the lease keeper.
struct LeasesFound {
  std::vector<storage::LeaseScan::Lease> leases;
  bool all = false;
};
using CoreInput =
    std::variant<PeerMessages, Persisted, Applied, OlderEntries, SnapshotSent, PeerUnreachable,
                 PeerConnectionLost, PeerConnected, LogCut, HandOver, LeasesFound>;

// What the core takes in one turn, in this order.
struct CoreTurn {
  uint32_t ticks = 0;
  // Of the leader's own accord, before and after all else that this turn appends.
  std::optional<raft::Proposal> first;
  std::vector<CoreInput> inputs;
  std::vector<raft::Proposal> proposals;
  std::optional<raft::Proposal> last;
  std::optional<raft::Configuration> change;  // Of the members.
  std::optional<raft::ReadId> read_round;
};

// A command that another member forwarded and that was not taken, and why.
struct RefusedForward {
  raft::NodeId from;
  std::string reason;
};

// What came up while the core took its inputs, in the order in which it must be honoured.
struct CoreOutput {
  std::optional<raft::Configuration> configuration;
  std::vector<raft::Message> send;  // Now.
  std::vector<LogBatch> log;
  std::vector<raft::Entry> committed;
  std::vector<raft::ReadGrant> reads;
  std::vector<raft::ReadId> failed_reads;
  std::vector<raft::ProposalOutcome> proposals;
  std::vector<raft::EntriesWanted> older;
  std::vector<raft::SnapshotWanted> snapshots;
  std::vector<raft::RoleChange> roles;
  std::vector<RefusedForward> refused;
  // Where they are; nothing if they were not appended.
  std::optional<raft::EntryId> first;
  std::optional<raft::EntryId> last;
};

// Promises that a batch is confirmed to the core only once it and all before it are durable, and
// that batches with nothing to write cost the log nothing: they are confirmed as soon as what
// was written before them is. A commit index that moved alone waits for the next batch that is
// written for another reason; and that a leader appends no forwarded command that CommandCheck
// refuses.
class CoreStage {
 public:
  CoreStage(raft::Raft raft, CommandCheck check) : raft_(std::move(raft)), check_(check) {}

  CoreOutput Process(CoreTurn turn);

  // The term that proposals handed in before the next Process would be made in, at the latest
  // known. Exact right after Process took proposals.
  raft::Term proposed_term() const { return proposed_term_; }

  raft::Status status() const { return raft_.status(); }
  const raft::Configuration& configuration() const { return raft_.configuration(); }

  // The commit index that no log batch has carried yet, for the clean stop.
  std::optional<raft::HardState> TakeHeldHardState();

 private:
  void Take(CoreInput input, CoreOutput& output);
  // What only a leader knows that speaks against a change of members.
  storage::RequestError WhyNotYet(const raft::Proposal& proposal) const;
  // Takes what this member, as leader, does not append out of its own proposals.
  void ScreenOwn(std::vector<raft::Proposal>& proposals, CoreOutput& output) const;
  // Takes what may not be appended out of `forward`, and tells its sender why.
  void Screen(const raft::Message& message, raft::ForwardProposals& forward, CoreOutput& output);
  void Split(raft::Effects effects, CoreOutput& output);
  void Confirm();

  raft::Raft raft_;
  const CommandCheck check_;
  raft::Term proposed_term_;
  raft::BatchNumber last_written_;    // Newest batch the log was given.
  raft::BatchNumber last_persisted_;  // Newest batch the log has reported.
  raft::BatchNumber last_batch_;      // Newest batch taken from the core.
  raft::BatchNumber last_confirmed_;
  std::optional<raft::HardState> held_hard_state_;
};

}  // namespace gavel::server
