// Who belongs to the cluster, and how membership is written into a log entry.
//
// A configuration is simple (`outgoing_voters` empty) or joint (Ongaro §4.3). It is in force
// from the moment its entry is appended, not when it is committed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#include "raft/types.h"

namespace gavel::raft {

// A member's identity and the URLs at which other members reach it.
struct MemberAddress {
  NodeId id;
  std::vector<std::string> peer_urls;

  friend bool operator==(const MemberAddress&, const MemberAddress&) = default;
};

// Invariants: all lists are sorted by id without repeats; every voter, old or new, is in
// `members`; a member in neither voter list is a learner; whoever is leaving is in `members` and
// not in `voters`, and nobody is leaving unless the configuration is joint.
struct Configuration {
  std::vector<MemberAddress> members;   // Everyone who receives the log.
  std::vector<NodeId> voters;           // C_new while joint, else the only voter set.
  std::vector<NodeId> outgoing_voters;  // C_old while joint, else empty.
  std::vector<NodeId> leaving;          // Members of C_old that are not in C_new at all.

  bool joint() const { return !outgoing_voters.empty(); }
  bool IsVoter(NodeId id) const;  // In either half.
  bool IsLearner(NodeId id) const;
  const MemberAddress* Find(NodeId id) const;  // Null when unknown.

  friend bool operator==(const Configuration&, const Configuration&) = default;
};

// Returns InvalidArgument naming the first invariant above that does not hold.
absl::Status CheckConfiguration(const Configuration& configuration);

// The bytes of a kConfiguration payload: a format version, then the fields in order.
std::string EncodeConfiguration(const Configuration& configuration);

// Returns InvalidArgument for bytes that are damaged, break an invariant above, or carry a
// newer format version (which the message names).
absl::StatusOr<Configuration> DecodeConfiguration(std::string_view bytes);

// What a snapshot or a log mark stands for: everything up to `index`, and the configuration
// that was in force there.
struct SnapshotMeta {
  Index index;
  Term term;
  Configuration configuration;

  friend bool operator==(const SnapshotMeta&, const SnapshotMeta&) = default;
};

}  // namespace gavel::raft
